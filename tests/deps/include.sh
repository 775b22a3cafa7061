#!/bin/sh
# include.sh NAME: no C++ file among the runfiles includes <NAME/...>.
set -eu
files=$(find -L . -name '*.cc' -o -name '*.h')
[ "$(printf '%s\n' "$files" | wc -l)" -ge 30 ] || { echo "the sources are not there" >&2; exit 1; }
# shellcheck disable=SC2086  # words on purpose: no path of ours has a blank
if grep -n "#include *[<\"]$1/" $files; then
  echo "must not be named here" >&2
  exit 1
fi
