#!/bin/sh
# The benchmark in its runfiles, as Bazel starts it. Files named by arguments are where the user is.
set -eu
exec /usr/bin/python3 -B tests/bench/bench.py --directory "${BUILD_WORKING_DIRECTORY:-.}" "$@"
