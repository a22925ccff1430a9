#!/bin/sh
# Installs what the Makefile needs beside Python: bubblewrap, the wall around model-written code, and Python's venv.
# Where it may not, it says the one line to type and lets the caller go on: only the code interpreter needs the wall.
set -u
packages=""
command -v bwrap >/dev/null || packages="bubblewrap"
"${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || packages="$packages python3-venv"
[ -n "$packages" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  # The lists may be missing or old: update only where the first try fails.
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $packages >/dev/null 2>&1 ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages >/dev/null; } || exit 1
  exit 0
fi
echo "Missing: $packages. Install with: sudo apt-get install $packages (or your system's package manager)" >&2
case "$packages" in *venv*) exit 1 ;; esac
