#!/usr/bin/env bash
# What is tried before a release: tools/release/run.sh [package] [lowest] [coverage]
#
#   package   wheel and sdist from a clean clone, checked, installed into a fresh
#             environment and used: the command, the Python API, and napari, which has
#             to find the plugin in the wheel
#   lowest    the tests of core with the oldest version of everything that
#             pyproject.toml names
#   coverage  how much of core its own tests run; fails below 90 %
#
# Without a word all three, one after the other: about half an hour on two cores and up
# to 12 GB of disk under RELEASE_WORK (default: a temporary folder, removed afterwards).
# Only what is committed is tried. Windows open on a virtual screen (xvfb).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${PYTHON:-python3}
if [[ -n ${RELEASE_WORK:-} ]]; then
  work=$RELEASE_WORK
  mkdir -p "$work"
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi

say() { printf '\n== %s\n' "$*"; }

tools() {
  # The programs that build and check, apart from what is built and checked.
  [[ -x $work/tools/bin/uv ]] && return
  "$python" -m venv "$work/tools"
  "$work/tools/bin/pip" install --quiet --disable-pip-version-check \
    "build>=1.2" "check-wheel-contents>=0.6" "twine>=6.1" "uv>=0.8"
}

clone() {
  rm -rf "$work/clone"
  git clone --quiet "$root" "$work/clone"
}

build() {
  tools
  clone
  say "wheel and sdist"
  # The wheel is made from the sdist, so both are tried.
  (cd "$work/clone" && "$work/tools/bin/python" -m build --outdir "$work/dist")
  wheel=$(ls -t "$work"/dist/*.whl | head -n 1)
  "$work/tools/bin/twine" check --strict "$work"/dist/*
  "$work/tools/bin/check-wheel-contents" "$wheel"
}

on_a_screen() {
  env -u WAYLAND_DISPLAY QT_QPA_PLATFORM=xcb \
    xvfb-run -a -s "-screen 0 1920x1200x24" "$@"
}

package() {
  build
  say "a fresh environment"
  rm -rf "$work/fresh" "$work/home" "$work/used"
  "$python" -m venv "$work/fresh"
  "$work/fresh/bin/pip" install --quiet --disable-pip-version-check "${wheel}[all]"
  mkdir -p "$work/home" "$work/used"
  cd "$work/used" # not in a checkout: only the wheel can be imported
  say "the command"
  env HOME="$work/home" PATH="$work/fresh/bin:$PATH" \
    bash "$root/tools/release/use_command.sh"
  say "Python"
  env HOME="$work/home" "$work/fresh/bin/python" "$root/tools/release/use_python.py"
  say "napari"
  HOME="$work/home" on_a_screen "$work/fresh/bin/python" \
    "$root/tools/release/use_napari.py"
}

lowest() {
  build
  say "the lowest versions"
  cd "$work/clone"
  # dask and distributed come in pairs, so dask is as old as distributed has to be.
  local dask
  dask=$(sed -n 's/.*"distributed>=\([0-9.]*\)".*/\1/p' pyproject.toml | head -n 1)
  "$work/tools/bin/uv" pip compile --quiet --resolution lowest-direct \
    --python-version 3.11 --extra all --extra cluster pyproject.toml \
    --override <(printf 'dask==%s.0\ndistributed==%s.0\n' "$dask" "$dask") \
    --output-file "$work/lowest.txt"
  "$work/tools/bin/uv" venv --quiet --clear --python 3.11 "$work/lowest"
  "$work/tools/bin/uv" pip install --quiet --python "$work/lowest/bin/python" \
    --requirement "$work/lowest.txt" --override "$work/lowest.txt" "$wheel" \
    pytest pytest-xdist hypothesis
  # Old packages warn of what newer ones have mended, so warnings are no errors here.
  env -u DISPLAY -u WAYLAND_DISPLAY "$work/lowest/bin/python" -m pytest -n 2 \
    --dist worksteal -q -o filterwarnings=default -p no:cacheprovider tests/core
}

coverage() {
  clone
  say "coverage of core"
  cd "$work/clone"
  local venv=$work/covered
  "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -e ".[test]"
  env -u DISPLAY -u WAYLAND_DISPLAY "$venv/bin/python" -m pytest -n 2 \
    --dist worksteal -q -p no:napari -p no:pytest-qt -p no:cacheprovider tests/core \
    --cov --cov-report=
  "$venv/bin/python" -m coverage report --include='*/napari_dinoprompt/core/*' \
    --fail-under=90
}

if (($# == 0)); then set -- package lowest coverage; fi
for part in "$@"; do
  case $part in
    package | lowest | coverage) ("$part") ;;
    *)
      printf 'tools/release/run.sh: no part %s\n' "$part" >&2
      exit 2
      ;;
  esac
done
say "all of it passed: $*"
