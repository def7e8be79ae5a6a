#!/bin/bash
# 1 GiB through simple_proxy to a reader that stops again and again:
#
#   tests/proxy_load.sh [folder with the examples]
#
# What arrives has the same checksum, and the memory of the proxy stays as it is. In both
# directions. Needs nc (OpenBSD's), 1 GiB of temporary space, and a minute.
set -euo pipefail

folder=${1:-}
if [ -z "$folder" ]; then
    cd "$(dirname "$0")/.."
    cargo build --quiet --release --example simple_proxy
    folder=${CARGO_TARGET_DIR:-target}/release/examples
fi
limit_kib=$((16 * 1024))

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

echo "making the file"
head -c $((1 << 30)) /dev/urandom >"$work/file"
expected=$(sha256sum <"$work/file")

# port_in LOG: what a program says it listens on, as soon as it does.
port_in() {
    local port
    until port=$(sed -n 's/^[Ll]istening on .*[: ]\([0-9]*\)$/\1/p' "$1") && [ -n "$port" ]; do
        sleep 0.05
    done
    echo "$port"
}

# Stops a process half of the time, for long enough that all that can pile up does.
hinder() {
    while kill -STOP "$1" 2>/dev/null; do
        sleep 0.4
        kill -CONT "$1" 2>/dev/null || true
        sleep 0.2
    done
}

# run NAME SENDER: that one sends the file, and the other one reads it.
run() {
    local name=$1 sender=$2 reader server client proxy memory most=0 begun=$SECONDS
    : >"$work/server.log" >"$work/proxy.log"
    mkfifo "$work/out"
    sha256sum <"$work/out" >"$work/sum" &
    if [ "$sender" = client ]; then
        nc -v -d -l 127.0.0.1 0 >"$work/out" 2>"$work/server.log" &
    else
        nc -v -N -l 127.0.0.1 0 <"$work/file" 2>"$work/server.log" &
    fi
    server=$!
    "$folder/simple_proxy" 127.0.0.1:0 "127.0.0.1:$(port_in "$work/server.log")" \
        >"$work/proxy.log" &
    proxy=$!
    if [ "$sender" = client ]; then
        nc -N 127.0.0.1 "$(port_in "$work/proxy.log")" <"$work/file" &
        client=$! reader=$server
    else
        nc -d 127.0.0.1 "$(port_in "$work/proxy.log")" >"$work/out" &
        client=$! reader=$client
    fi
    hinder "$reader" &
    while kill -0 "$reader" 2>/dev/null; do
        memory=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$proxy/status")
        [ "$memory" -le "$most" ] || most=$memory
        sleep 0.05
    done
    wait "$reader" || fail "$name: the reader"
    # Whoever has nothing to say does not end its half by itself.
    kill "$server" "$client" 2>/dev/null || true
    kill -INT "$proxy"
    wait "$proxy" || fail "$name: the proxy"
    wait
    [ "$(cat "$work/sum")" = "$expected" ] || fail "$name: something else has arrived"
    echo "$name: the same has arrived, in $((SECONDS - begun)) s; the proxy had $most KiB at the most"
    [ "$most" -lt $limit_kib ] || fail "$name: that is too much"
    rm "$work/out"
}

run "from the client to the server" client
run "from the server to the client" server
echo "all is well"
