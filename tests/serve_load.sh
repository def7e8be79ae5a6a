#!/bin/bash
# Serves a real tree with evserve and checks what arrives:
#
#   tests/serve_load.sh [evserve]
#
# 1,200 files and one of 1 GiB, byte for byte; 100 clients at once; a client that goes in the
# middle; SIGTERM during a download. Needs curl, 2 GiB of temporary space, and a minute.
set -euo pipefail

evserve=${1:-}
if [ -z "$evserve" ]; then
    cd "$(dirname "$0")/.."
    cargo build --quiet --features serve --bin evserve
    evserve=${CARGO_TARGET_DIR:-target}/debug/evserve
fi
limit_kib=$((40 * 1024))

work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# peak: the most memory that the server has had resident, in KiB.
peak() {
    sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$server/status"
}

start() {
    : >"$work/log"
    "$evserve" "$work/tree" --port 0 >"$work/log" &
    server=$!
    until url=$(sed -n 's/^listening on //p' "$work/log") && [ -n "$url" ]; do
        kill -0 "$server" || fail "evserve ended"
        sleep 0.05
    done
}

echo "making the tree"
mkdir -p "$work/tree" "$work/got"
head -c $((1 << 30)) /dev/urandom >"$work/tree/1GiB"
head -c $((32 << 20)) "$work/tree/1GiB" >"$work/tree/32MiB"
for folder in $(seq 0 11); do
    mkdir -p "$work/tree/folder $folder/ü"
    for file in $(seq 0 99); do
        # From nothing to 100 KiB.
        head -c $((file * file * 10)) "$work/tree/32MiB" >"$work/tree/folder $folder/ü/$file.txt"
    done
done

start
echo "every file, byte for byte: $(find "$work/tree" -type f | wc -l) files"
begun=$SECONDS
for folder in $(seq 0 11); do
    mkdir -p "$work/got/folder $folder/ü"
    # curl makes the names itself.
    curl -sSf --output "$work/got/folder $folder/ü/#1.txt" "${url}folder%20$folder/%C3%BC/[0-99].txt"
    diff -r "$work/tree/folder $folder" "$work/got/folder $folder" || fail "folder $folder differs"
done
echo "  1200 small files: $((SECONDS - begun)) s"
begun=$(date +%s%N)
curl -sSf "${url}1GiB" | cmp - "$work/tree/1GiB" || fail "the long file differs"
echo "  1 GiB, compared as it came: $((($(date +%s%N) - begun) / 1000000)) ms"
begun=$(date +%s%N)
curl -sSf -o /dev/null "${url}1GiB"
echo "  1 GiB, thrown away: $((($(date +%s%N) - begun) / 1000000)) ms"
echo "  peak memory: $(peak) KiB"

echo "100 clients at once, 32 MiB each"
begun=$SECONDS
clients=()
for client in $(seq 100); do
    curl -sSf --limit-rate 4M "${url}32MiB" | cmp - "$work/tree/32MiB" &
    clients+=($!)
done
sleep 3
open=$(find "/proc/$server/fd" -lname 'socket:*' | wc -l)
[ "$open" -gt 100 ] || fail "only $open sockets are open: the clients are not served at once"
for client in "${clients[@]}"; do
    wait "$client" || fail "a client got something else"
done
echo "  $((SECONDS - begun)) s, $open sockets open in the middle, peak memory: $(peak) KiB"

echo "clients that go in the middle"
for client in $(seq 20); do
    curl -sSf --limit-rate 1M --max-time 0.3 -o /dev/null "${url}1GiB" 2>/dev/null && fail "it did not go"
done
curl -sSf "${url}32MiB" | cmp - "$work/tree/32MiB" || fail "the next client got something else"

echo "SIGTERM during a download"
curl -sSf --limit-rate 200M "${url}1GiB" | cmp - "$work/tree/1GiB" &
client=$!
until grep -q . <(find "/proc/$server/fd" -lname '*/1GiB'); do sleep 0.05; done
kill -TERM "$server"
until ! curl -s -o /dev/null "$url"; do sleep 0.05; done
peak=$(peak)
wait "$client" || fail "the download was cut"
wait "$server" || fail "exit code $?"
server=
grep -q '"GET /1GiB" 200 1073741824 [0-9]*ms$' "$work/log" || fail "the log does not tell of it"

echo "peak memory in all: $peak KiB (limit: $limit_kib)"
[ "$peak" -lt "$limit_kib" ] || fail "too much memory"
