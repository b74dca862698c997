#!/usr/bin/env bash
# The whole check of a fresh clone in one command: tests/run.sh
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

say "packages (the first time this takes some minutes and about 6 GB)"
"$bin/python" -m pip install --quiet --disable-pip-version-check -e ".[test]"

# --- checks ------------------------------------------------------------------
# Every check runs, also after one has failed; the summary at the end has them all.

summary=()
failed=0

check() {
  local name=$1 log=$logs/$1 result=ok
  shift
  say "$name"
  if ! "$@" 2>&1 | tee "$log"; then
    result=FAILED
    failed=1
  fi
  # The last line that says something: for pytest its count of tests.
  summary+=("$(printf '%-7s %-7s %s' "$name" "$result" \
    "$(grep -v '^[[:space:]]*$' "$log" | tail -n 1)")")
}

tier() {
  # A folder that is there but holds no test fails: pytest then exits with 5.
  local name=$1
  shift
  if [[ -d tests/$name ]]; then
    check "$name" "$@" "tests/$name"
  else
    summary+=("$(printf '%-7s absent' "$name")")
  fi
}

# Two processes of tests side by side: one waits where the other computes.
pairs=(-n 2 --dist worksteal)

# The core works on a machine without display, Qt or napari, so its tests do as well.
core=(env -u DISPLAY -u WAYLAND_DISPLAY
  "$bin/python" -m pytest "${pairs[@]}" -p no:napari -p no:pytest-qt)

# Anywhere but on Linux, and on a Linux without xvfb, windows open on the real display.
windows=("$bin/python" -m pytest "${pairs[@]}")
if [[ $(uname -s) == Linux ]] && command -v xvfb-run >/dev/null; then
  windows=(env -u WAYLAND_DISPLAY QT_QPA_PLATFORM=xcb
    xvfb-run -a -s "-screen 0 1920x1200x24" "$bin/python" -m pytest
    "${pairs[@]}")
fi

check lint "$bin/python" -m ruff check .
check format "$bin/python" -m ruff format --check .
check types "$bin/python" -m mypy
tier core "${core[@]}"
tier layers "${windows[@]}"
tier qt "${windows[@]}"
tier viewer "${windows[@]}"

say "summary"
printf '%s\n' "${summary[@]}"
exit "$failed"
