#!/usr/bin/env bash
# Puts kubernetes-validate, which carries Kubernetes' schemas, into a folder of its own in the cache, and prints the
# program. Where there is no Python or no package index it says so, and the test of the manifests is skipped. With
# `--find` it installs nothing and prints the program only where it is there.
set -uo pipefail

version=1.37.0
cache="${NEXUSMON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nexusmon}"
folder="$cache/kubernetes-validate-$version"
program="$folder/bin/kubernetes-validate"

if [ ! -x "$program" ]; then
  [ "${1:-}" = --find ] && exit 0
  part="$folder.part-$$"
  trap 'rm -rf "$part"' EXIT
  mkdir -p "$cache"
  # A venv cannot be moved: it is made in its place, and counts once its program, which comes last, is there.
  if ! { python3 -m venv --clear "$folder" && "$folder/bin/python" -m pip install --quiet \
    --disable-pip-version-check "kubernetes-validate==$version"; } >"$part" 2>&1; then
    echo "kubernetes-validate could not be installed: $(tail -n 1 "$part")" >&2
    exit 0
  fi
fi
echo "$program"
