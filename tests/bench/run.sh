#!/bin/sh
# The benchmark in its runfiles, as Bazel starts it. Files named by arguments are where the user is.
set -eu
[ "$(id -u)" -eq 0 ] || { echo "the benchmark wants root: courier's programs, and postern's cages in full, do" >&2; exit 100; }
# In a mount namespace of its own, for a loader's cache of its own.
exec unshare --mount --propagation private /usr/bin/python3 -B tests/bench/bench.py --directory "${BUILD_WORKING_DIRECTORY:-.}" "$@"
