#!/bin/sh
# run.sh FILE: one test file, in its runfiles. Bazel 4.2 could run it as a py_test only with a Python toolchain.
set -eu
exec /usr/bin/python3 -B "$@"
