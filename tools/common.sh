# shellcheck shell=sh disable=SC2034,SC2154  # what one file sets, another uses
# Sourced by ../run and ../test, which set $top: what they need from Debian 12 and how it gets there, and the build.

# To build. The two rule packages are what WORKSPACE points at.
PACKAGES_BUILD="bazel-bootstrap bazel-bootstrap-data bazel-rules-java bazel-rules-proto g++
  libabsl-dev libseccomp-dev libcap-dev libssl-dev libtomlplusplus-dev libgtest-dev libcrypt-dev"
# For the demo: the certificate, and the client in its list of commands that may be missing.
PACKAGES_RUN="$PACKAGES_BUILD openssl python3 curl"
# For the tests: real mail clients, a checkpassword for system accounts (fgetty), and the programs that look over our shoulder.
PACKAGES_TEST="$PACKAGES_RUN fetchmail isync mpop mutt neomutt getmail6 offlineimap3 fgetty sslscan procps iproute2
  clang-format shellcheck man-db"

# need_packages NAME...: installs those that are missing; asks dpkg only, so that nothing is slow when nothing is missing.
need_packages() {
  installed=" $(dpkg-query -W -f='${db:Status-Status}:${Package} ' "$@" 2>/dev/null || true)"
  missing=
  for package; do
    case "$installed" in
      *" installed:$package "*) ;;
      *) missing="$missing $package" ;;
    esac
  done
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    printf '%s: packages are missing; as root:\n  apt-get update && apt-get install --no-install-recommends%s\n' \
      "$0" "$missing" >&2
    exit 100
  fi
  printf 'installing from Debian:%s\n' "$missing" >&2
  # shellcheck disable=SC2086  # words on purpose
  {
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
  } >&2 </dev/null
}

# build TARGET...: with Bazel, quietly where nobody watches. Sets $bazel_bin, where its output is.
build() {
  [ -z "${CI-}" ] || set -- --noshow_progress --color=no --curses=no "$@"
  (cd "$top" && bazel build "$@") >&2 </dev/null
  bazel_bin=$(cd "$top" && bazel info bazel-bin 2>/dev/null)
}
