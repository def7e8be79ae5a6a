#!/bin/bash
# evserve behind nginx and behind HAProxy, with the files of deploy/: who the client is, health
# checks, an instance that goes, one that is replaced, large bodies both ways.
#
#   tests/deploy_load.sh <evserve>
set -euo pipefail

evserve=$(realpath "$1")
deploy=$(realpath "$(dirname "$0")/../deploy")
work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT

die() {
    echo "FAILED: $*" >&2
    exit 1
}

# wait_for <url>: until it answers 200.
wait_for() {
    for _ in $(seq 100); do
        curl -sf -o /dev/null "$1" && return
        sleep 0.1
    done
    die "$1 does not answer"
}

# start_instance <name> <flags...>: sets pid and port.
start_instance() {
    local name=$1
    shift
    "$evserve" "$work/public" --port 0 --upload --log json "$@" >"$work/$name.log" 2>&1 &
    pid=$!
    pids+=("$pid")
    for _ in $(seq 100); do
        port=$(sed -n 's|^listening on http://127.0.0.1:\([0-9]*\)/.*|\1|p' "$work/$name.log")
        [ -n "$port" ] && return
        sleep 0.1
    done
    die "instance $name does not start: $(cat "$work/$name.log")"
}

# in_front <command...>: starts what stands in front.
in_front() {
    "$@" >"$work/front.log" 2>&1 &
    front=$!
    pids+=("$front")
}

# with_ports <file>: a copy of a configuration with the ports of this run.
with_ports() {
    sed -e "s/:8080/:$public/; s/:8001/:$one/; s/:8002/:$two/" "$deploy/$1" >"$work/$1"
}

# check <name>: what has to hold, whoever stands in front.
check() {
    local url=http://127.0.0.1:$public
    wait_for "$url/page.html"
    curl -sf "$url/large.bin" | cmp - "$work/public/large.bin" || die "$1: the download differs"
    curl -sf -T "$work/public/large.bin" "$url/up-$1.bin" >/dev/null || die "$1: the upload fails"
    cmp "$work/public/large.bin" "$work/public/up-$1.bin" || die "$1: the upload differs"
    curl -sf -H 'X-Forwarded-For: 192.0.2.99' "$url/page.html?who" >/dev/null
    cat "$work"/*.log | grep '?who' | grep -q '127\.0\.0\.1' || die "$1: it does not know its client"
    ! cat "$work"/*.log | grep -q '192\.0\.2\.99' || die "$1: a client can say who it is"

    # One goes while requests come in: all are answered.
    kill -9 "$first"
    for n in $(seq 50); do
        curl -sf -o /dev/null "$url/page.html?$n" || die "$1: request $n fails while an instance is gone"
    done
    # The other is replaced: all are answered.
    kill -HUP "$second"
    for n in $(seq 50); do
        curl -sf -o /dev/null "$url/page.html?$n" || die "$1: request $n fails while an instance is replaced"
    done
    echo "$1: 100 of 100 requests without one instance and during a restart of the other"
}

finish() {
    kill "${pids[@]}" 2>/dev/null || true
    pkill -f "$evserve $work/public" 2>/dev/null || true
    wait 2>/dev/null || true
    pids=()
    rm -f "$work"/*.log
}

mkdir "$work/public"
echo "<p>a page" >"$work/public/page.html"
head -c 50M /dev/urandom >"$work/public/large.bin"

public=$(shuf -i 20000-29999 -n 1)
start_instance one --trusted-proxy 127.0.0.1
first=$pid one=$port
start_instance two --trusted-proxy 127.0.0.1
second=$pid two=$port
with_ports nginx.conf
in_front nginx -c "$work/nginx.conf" -p "$work" -g 'daemon off;'
check nginx
finish

public=$((public + 1))
start_instance one --proxy-protocol
first=$pid one=$port
start_instance two --proxy-protocol
second=$pid two=$port
with_ports haproxy.cfg
in_front haproxy -f "$work/haproxy.cfg"
check haproxy
finish
