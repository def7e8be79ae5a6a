#!/bin/sh
# Generates src/bindings/v2_1.rs and v2_2.rs from libevent's public headers, with the options in build/generate.rs.
#
#   regenerate.sh           writes the files
#   regenerate.sh --check   changes nothing, shows the difference, and fails if there is one
#
# Needs libclang and a C compiler. Sources: LIBEVENT_2_1_DIR (default: what vendor/fetch.sh unpacked) and LIBEVENT_2_2_DIR,
# a checkout of upstream's master; without it v2_2.rs is skipped, and said so. The checked-in one was generated from commit
# 0c3e47ad5f654714e39bae3f8689a3446599b614.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
check=
case ${1-} in
--check) check=1 ;;
'') ;;
*) echo "usage: $0 [--check]" >&2; exit 2 ;;
esac

new=$(mktemp)
trap 'rm -f "$new"' EXIT
status=0

# generate <file> <folder of the source>
generate() {
    [ -f "$2/event.c" ] || { echo "$0: no libevent source in $2: run vendor/fetch.sh" >&2; exit 1; }
    env -u LIBEVENT_LIB_DIR -u LIBEVENT_INCLUDE_DIR -u LIBEVENT_NO_VENDOR LIBEVENT_SOURCE_DIR="$(cd "$2" && pwd)" \
        cargo run --quiet --manifest-path "$here/Cargo.toml" --features bindgen,vendored --example bindings >"$new"
    file=$here/src/bindings/$1
    if [ -n "$check" ]; then
        diff -u "$file" "$new" || { echo "$0: $file is out of date: run $0" >&2; status=1; }
    else
        cat "$new" >"$file"
        echo "$file"
    fi
}

generate v2_1.rs "${LIBEVENT_2_1_DIR:-$here/../vendor/libevent}"
if [ -n "${LIBEVENT_2_2_DIR-}" ]; then
    generate v2_2.rs "$LIBEVENT_2_2_DIR"
else
    echo "$0: v2_2.rs skipped: LIBEVENT_2_2_DIR is not set" >&2
fi
exit $status
