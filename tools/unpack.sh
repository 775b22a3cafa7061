# shellcheck shell=sh
# Sourced by programs that take what they need out of Debian's packages, unpacked and not installed.

# unpack DIR WHOLE TAKE PACKAGE...: has the packages unpacked in a directory and calls `TAKE THAT-DIRECTORY DIR'`, which puts
# what is wanted into DIR'. Does nothing if `WHOLE DIR` says that DIR has all of it already; DIR appears whole or not at all.
# It has bin/ and lib/, and what is in bin/ must find every library, there or on the system.
unpack() {
  target=$1 is_whole=$2 take=$3
  shift 3
  ! "$is_whole" "$target" || return 0
  mkdir -p "$(dirname "$target")"
  exec 9<"$(dirname "$target")"
  flock 9 # one at a time: tests call this side by side
  ! "$is_whole" "$target" || return 0
  work=$(mktemp -d "$target.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' HUP INT TERM

  echo "fetching from Debian, to be unpacked in $target" >&2
  if ! download "$@"; then
    [ "$(id -u)" -eq 0 ] || fail "perhaps the package lists are missing; as root: apt-get update"
    apt-get update >&2
    download "$@"
  fi
  mkdir "$work/root" "$work/done" "$work/done/bin" "$work/done/lib"
  for package in "$work"/*.deb; do dpkg -x "$package" "$work/root"; done
  "$take" "$work/root" "$work/done"
  chmod -R u=rwX,go=rX "$work/done"

  "$is_whole" "$work/done" || fail "the packages are not as they were"
  for file in "$work/done/bin"/* "$work/done/lib"/*.so*; do
    [ -e "$file" ] || continue
    if LD_LIBRARY_PATH=$work/done/lib ldd "$file" | grep 'not found' >&2; then
      fail "$(basename "$file") needs libraries that are in none of its packages"
    fi
  done
  [ ! -e "$target" ] || mv -T "$target" "$work/old" # from an older version of this program
  mv -T "$work/done" "$target"
}

# apt-get checks what it fetches against Debian's signed lists. Its user _apt may not be able to write here.
download() { (cd "$work" && apt-get download -q -o APT::Sandbox::User= "$@") >&2; }

fail() {
  echo "$(basename "$0"): $1" >&2
  exit 111
}
