#!/bin/bash
# As many connections at once as this machine allows, each with a request that waits:
#
#   tests/delay_load.sh [folder with the examples]
#
# First as many as one process may have descriptors for, then 40,000 over several workers. Each
# has to be answered, and none may fail. Prints the memory per connection. Takes two minutes.
set -euo pipefail

folder=${1:-}
if [ -z "$folder" ]; then
    cd "$(dirname "$0")/.."
    cargo build --quiet --release --example delay_server --example delay_load
    folder=${CARGO_TARGET_DIR:-target}/release/examples
fi
ulimit -n "$(ulimit -Hn)"

work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# run CONNECTIONS WORKERS DELAY: all of them are open before the first is answered.
run() {
    local connections=$1 workers=$2 delay=$3 port part clients=() failed=0
    : >"$work/log"
    "$folder/delay_server" --port 0 --delay "$delay" --workers "$workers" >"$work/log" &
    server=$!
    until port=$(sed -n 's/^listening on .*://p' "$work/log") && [ -n "$port" ]; do
        kill -0 "$server" || fail "delay_server ended"
        sleep 0.1
    done
    # Each client is a process with descriptors of its own, and an address that has the ports.
    part=$(((connections + parts - 1) / parts))
    for ((number = 1; number <= parts; number++)); do
        "$folder/delay_load" "127.0.0.1:$port" --from "127.0.1.$number" \
            --connections $((number < parts ? part : connections - part * (parts - 1))) \
            --rate $((6000 / parts)) &
        clients+=($!)
    done
    for client in "${clients[@]}"; do
        wait "$client" || failed=1
    done
    sleep 2
    kill -INT "$server"
    wait "$server" || fail "delay_server failed"
    server=
    echo "at the most:"
    sort -n "$work/log" | grep ' live, ' | tail -1
    echo "at the end:"
    grep ' live, ' "$work/log" | tail -1
    [ $failed = 0 ] || fail "a client was not answered"
    sort -n "$work/log" | grep -q "^$connections live, 0 answered" ||
        fail "not all $connections were open at once"
    grep -q "^0 live, $connections answered, .* 0 failed" "$work/log" ||
        fail "not all were answered"
}

# The listener, the standard three, and what the loop needs.
one=$(($(ulimit -n) - 20))
echo "one process, $one connections"
parts=3 run "$one" 1 20
echo
echo "four workers, 40,000 connections"
parts=4 run 40000 4 30
echo "all is well"
