#!/bin/sh
# absent.sh PATH LIST: no line of LIST (labels that bazel query printed) has PATH in it.
set -eu
# An empty or foreign list must not pass: everything depends on Abseil.
grep -q third_party/abseil "$2" || { echo "$2 is not a list of dependencies" >&2; exit 1; }
if grep "$1" "$2"; then
  echo "must not be linked" >&2
  exit 1
fi
