#!/usr/bin/env bash
# The check of a fresh clone in one command: tests/run.sh [--all]
#
# Every feature is tried. What takes long and is covered otherwise as well (programs
# that are killed, workers of dask, benchmarks, random inputs) only with --all.
#
# On Debian and Ubuntu it first installs the system libraries that are missing; on
# other systems these have to be there. The environment is made in .venv, or where
# DINOPROMPT_VENV says, and is used again the next time. It holds about 6 GB, because
# the plain torch package for Linux brings CUDA along.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=${DINOPROMPT_VENV:-.venv}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

say() { printf '\n== %s\n' "$*"; }
die() {
  printf 'tests/run.sh: %s\n' "$*" >&2
  exit 1
}

everything=0
for word in "$@"; do
  case $word in
    --all) everything=1 ;;
    *) die "no option $word; there is --all" ;;
  esac
done

# --- machine -----------------------------------------------------------------

find_python() {
  # Run it, do not only look for it: Windows puts a stub of that name on the PATH.
  local candidate
  for candidate in python3 python; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
      >/dev/null 2>&1; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

installed() {
  # Newer releases put t64 behind the names of some libraries (64-bit time).
  grep -qx installed < <(
    dpkg-query -W -f '${db:Status-Status}\n' "$1" "$1t64" 2>/dev/null
  )
}

install_system_packages() {
  local package wanted missing=()
  wanted=(
    # to import Qt
    libgl1 libegl1 libglib2.0-0 libfontconfig1 libxkbcommon0 libdbus-1-3
    # to show windows on a display that nobody sees
    xvfb xauth libxcb-cursor0 libxkbcommon-x11-0 libxcb-icccm4 libxcb-keysyms1
    libxcb-shape0
  )
  local python
  if ! python=$(find_python); then
    wanted+=(python3 python3-venv)
  elif ! "$python" -c 'import ensurepip' 2>/dev/null; then
    wanted+=(python3-venv) # Debian's own Python comes without it
  fi
  for package in "${wanted[@]}"; do
    installed "$package" || missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then
    return
  fi

  say "system packages: ${missing[*]}"
  local as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      die "needs root to install these; install them, then run it again"
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
  install_system_packages
fi

# --- environment -------------------------------------------------------------

if [[ -d $venv/Scripts ]]; then bin=$venv/Scripts; else bin=$venv/bin; fi
if ! "$bin/python" -c '' 2>/dev/null; then
  base=$(find_python) || die "needs Python 3.11 or newer on the PATH"
  say "environment: $venv ($("$base" --version))"
  "$base" -m venv --clear "$venv"
  if [[ -d $venv/Scripts ]]; then bin=$venv/Scripts; else bin=$venv/bin; fi
fi

# Nothing is installed again before pyproject.toml changes, or the checkout is another.
stamp=$venv/.installed
wanted="$PWD $(cksum <pyproject.toml)"
if [[ ! -f $stamp || $(<"$stamp") != "$wanted" ]]; then
  say "packages (the first time this takes some minutes and about 6 GB)"
  "$bin/python" -m pip install --quiet --disable-pip-version-check -e ".[test]"
  printf '%s' "$wanted" >"$stamp"
fi

# --- checks ------------------------------------------------------------------
# Every check runs, also after one has failed; the summary at the end has them all.

summary=()
failed=0

sum_up() {
  # The last line that says something: for pytest its count of tests.
  local name=$1 result=$2
  [[ $result == ok ]] || failed=1
  summary+=("$(printf '%-7s %-7s %s' "$name" "$result" \
    "$(grep -v '^[[:space:]]*$' "$logs/$name" | tail -n 1)")")
}

check() {
  local name=$1 result=ok
  shift
  say "$name"
  "$@" 2>&1 | tee "$logs/$name" || result=FAILED
  sum_up "$name" "$result"
}

# Two processes of tests side by side: one waits where the other computes.
options=(-n 2 --dist worksteal)
((everything)) || options+=(-m "not slow")

# The core works on a machine without display, Qt or napari, so its tests do as well.
core=(env -u DISPLAY -u WAYLAND_DISPLAY
  "$bin/python" -m pytest "${options[@]}" -p no:napari -p no:pytest-qt)

# Anywhere but on Linux, and on a Linux without xvfb, windows open on the real display.
windows=("$bin/python" -m pytest "${options[@]}")
if [[ $(uname -s) == Linux ]] && command -v xvfb-run >/dev/null; then
  windows=(env -u WAYLAND_DISPLAY QT_QPA_PLATFORM=xcb
    xvfb-run -a -s "-screen 0 1920x1200x24" "$bin/python" -m pytest
    "${options[@]}")
fi

check lint "$bin/python" -m ruff check .
check format "$bin/python" -m ruff format --check .
# Beside the tests of core, some of which wait for other programs.
"$bin/python" -m mypy >"$logs/types" 2>&1 &
types=$!
check core "${core[@]}" tests/core
say types
result=ok
wait "$types" || result=FAILED
cat "$logs/types"
sum_up types "$result"
# In one go: torch and napari are imported once. The longest come first.
check windows "${windows[@]}" tests/viewer tests/qt tests/layers

say "summary"
printf '%s\n' "${summary[@]}"
exit "$failed"
