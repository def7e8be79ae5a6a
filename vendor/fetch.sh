#!/bin/sh
# Puts the C source of libevent 2.1.13 into libevent/ beside this script. Downloads nothing when it is there already.
#
# Tried in turn; whatever arrives must have the checksum below:
#   1. LIBEVENT_TARBALL, a file or a URL
#   2. upstream's release, with curl or wget
#   3. on Debian and its relatives, apt, from the mirror that this machine uses (libevent is newer in unstable)
set -eu

version=2.1.13-stable
sha256=f7e9383b8c0baa81b687e5b5eecc01beefaf1b19b64151d95ed61647fe7a315c
upstream=https://github.com/libevent/libevent/releases/download/release-$version/libevent-$version.tar.gz

here=$(cd "$(dirname "$0")" && pwd)
target=${LIBEVENT_FETCH_DIR:-$here/libevent}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tarball=$work/libevent.tar.gz

say() { echo "fetch.sh: $*" >&2; }

# checksum <file>
checksum() {
    if command -v sha256sum >/dev/null; then
        sha256sum "$1" | cut -d' ' -f1
    elif command -v shasum >/dev/null; then
        shasum -a 256 "$1" | cut -d' ' -f1
    elif command -v sha256 >/dev/null; then
        sha256 -q "$1"
    else
        openssl dgst -sha256 "$1" | sed 's/.* //'
    fi
}

# good <file> <where from>
good() {
    [ -s "$1" ] || return 1
    got=$(checksum "$1")
    [ "$got" = "$sha256" ] && return 0
    say "checksum of $2 is $got, expected $sha256: not used"
    return 1
}

# download <url>
download() {
    rm -f "$tarball"
    if command -v curl >/dev/null; then
        curl -fsSL --connect-timeout 20 -o "$tarball" "$1" || return 1
    elif command -v wget >/dev/null; then
        wget -q -T 20 -t 1 -O "$tarball" "$1" || return 1
    else
        say "neither curl nor wget is here"
        return 1
    fi
}

from_setting() {
    case ${LIBEVENT_TARBALL-} in
    '') return 1 ;;
    *://*) download "$LIBEVENT_TARBALL" ;;
    *) cp "$LIBEVENT_TARBALL" "$tarball" ;;
    esac
}

# The mirror is read from apt's own configuration; nothing of the system's is changed.
from_apt() {
    command -v apt-get >/dev/null && command -v apt-cache >/dev/null || return 1
    mirror=$(apt-cache policy | grep -o -m1 'http[^ ]*/debian') || return 1
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
    echo "deb-src [trusted=yes] $mirror sid main" >"$work/apt/sources.list"
    set -- -qq -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User=root
    apt-get "$@" update >&2 || return 1
    # Its own two small files may be missing on a mirror; the tarball is all that is wanted, and the checksum decides.
    (cd "$work/apt" && apt-get "$@" source --download-only libevent >/dev/null 2>&1) || true
    mv "$work"/apt/libevent_*.orig.tar.gz "$tarball" 2>/dev/null
}

if [ -f "$target/event.c" ] && grep -q "AC_INIT(libevent,$version)" "$target/configure.ac" 2>/dev/null; then
    say "libevent $version is in $target already"
    exit 0
fi

if [ -n "${LIBEVENT_TARBALL-}" ]; then
    # Asked for by name: nothing else will do.
    from_setting || { say "cannot get LIBEVENT_TARBALL=$LIBEVENT_TARBALL"; exit 1; }
    good "$tarball" "$LIBEVENT_TARBALL" || exit 1
elif download "$upstream" && good "$tarball" "$upstream"; then
    :
elif say "not from upstream, trying apt" && from_apt && good "$tarball" "apt's source package"; then
    :
else
    say "cannot get libevent-$version.tar.gz: download it by hand and set LIBEVENT_TARBALL to the file"
    exit 1
fi

# Beside the target, so that the last step is a rename: a half-unpacked source is never taken for a whole one.
mkdir -p "$(dirname "$target")"
fresh=$target.new.$$
rm -rf "$fresh"
mkdir "$fresh"
trap 'rm -rf "$work" "$fresh"' EXIT
gzip -dc "$tarball" | (cd "$fresh" && tar xf -)
rm -rf "$target"
mv "$fresh"/* "$target"
say "libevent $version is in $target"
