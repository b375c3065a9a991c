#!/usr/bin/env bash
# The metrics of a running gateway, read by the real Prometheus, and the alert rules and the dashboard of
# deploy/prometheus, read by promtool: what happened is counted, and every metric that they name exists.
#
# Usage: tests/e2e/prometheus.sh PROGRAM
#
# Where Prometheus is not installed its package is unpacked into a folder and used from there: installing it would start
# a service that listens on every address.
set -euo pipefail

program=$(realpath "$1")
deploy=$(realpath "$(dirname "$0")/../../deploy/prometheus")
folder=$(mktemp -d)
started=()
finish() {
    ((${#started[@]})) && kill "${started[@]}" 2> /dev/null && wait "${started[@]}" 2> /dev/null
    rm -rf "$folder"
}
trap finish EXIT

if command -v prometheus > /dev/null && command -v promtool > /dev/null; then
    binaries=$(dirname "$(command -v prometheus)")
else
    # A machine that has no lists of packages yet does not know it.
    apt-cache show prometheus > /dev/null 2>&1 || $(((EUID)) && echo sudo) apt-get update -qq
    (cd "$folder" && apt-get download -qq -o Acquire::Retries=3 prometheus && dpkg -x prometheus_*.deb unpacked)
    binaries=$folder/unpacked/usr/bin
fi

fail() {
    echo "FAIL  $*" >&2
    tail -n 20 "$folder"/*.log >&2 || true
    exit 1
}
free_port() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# Repeats a command until it succeeds: for what another program does in its own time, at most 30 seconds.
until_true() {
    for _ in {1..150}; do
        "$@" && return
        sleep 0.2
    done
    fail "not within 30 seconds: $*"
}

"$binaries/promtool" check rules "$deploy/exeunt.rules.yml" || fail "the alert rules"

metrics=$(free_port) database=$(free_port) public=$(free_port)
cat > "$folder/config.toml" << CONFIG
listen = ["127.0.0.1:$public"]
public_url = "http://localhost:$public"
[[route]]
upstream = "demo"
[login]
users = "users.toml"
[metrics]
listen = "127.0.0.1:$metrics"
CONFIG
echo "correct-horse-battery" | "$program" user set alice --file "$folder/users.toml" > /dev/null
"$program" serve --config "$folder/config.toml" 2> "$folder/gateway.log" &
started+=($!)
answers() { curl -sf -o /dev/null "$1"; }
until_true answers "http://127.0.0.1:$metrics/readyz"

# One sign-in, one request, one logout; one sign-in and one request that are refused.
site=http://localhost:$public
curl -sf -o /dev/null -c "$folder/jar" -d username=alice -d password=correct-horse-battery "$site/login" ||
    fail "sign-in"
curl -sf -o /dev/null -b "$folder/jar" "$site/" || fail "request"
curl -sf -o /dev/null -b "$folder/jar" -X POST "$site/logout" || fail "logout"
[ "$(curl -s -o /dev/null -w '%{http_code}' -d username=alice -d password=wrong "$site/login")" = 401 ] ||
    fail "refusal"
[ "$(curl -s -o /dev/null -w '%{http_code}' "$site/")" = 401 ] || fail "protection"
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$metrics/readyz")" = 200 ] || fail "readiness"
[ "$(curl -s -o /dev/null -w '%{http_code}' -X POST "http://127.0.0.1:$metrics/metrics")" = 405 ] || fail "a change"

cat > "$folder/prometheus.yml" << CONFIG
global: { scrape_interval: 1s }
rule_files: [$deploy/exeunt.rules.yml]
scrape_configs:
  - job_name: exeunt
    static_configs: [{ targets: ["127.0.0.1:$metrics"] }]
CONFIG
"$binaries/promtool" check config "$folder/prometheus.yml" > /dev/null || fail "the configuration of Prometheus"
"$binaries/prometheus" --config.file "$folder/prometheus.yml" --storage.tsdb.path "$folder/data" \
    --web.listen-address "127.0.0.1:$database" > "$folder/prometheus.log" 2>&1 &
started+=($!)

# query EXPRESSION VALUE: whether Prometheus has this value.
query() {
    curl -sfG "http://127.0.0.1:$database/api/v1/query" --data-urlencode "query=$1" |
        python3 -c 'import json, sys
found = [row["value"][1] for row in json.load(sys.stdin)["data"]["result"]]
sys.exit(found != [sys.argv[1]])' "$2"
}
until_true query exeunt_sign_ins_total 1 2> /dev/null
until_true query 'exeunt_sign_ins_refused_total{reason="credentials_wrong"}' 1
until_true query 'exeunt_sessions_ended_total{cause="logout"}' 1
until_true query 'exeunt_logout_steps_total{step="end",result="done"}' 1
until_true query exeunt_sessions 0
until_true query 'exeunt_requests_refused_total{reason="sign_in_required"}' 1
until_true query 'exeunt_request_duration_seconds_count >bool 4' 1
until_true query exeunt_upstream_duration_seconds_count 1

# Every metric that the rules and the dashboard name.
names=$(grep -ohE 'exeunt_[a-z_]+' "$deploy"/* | sed -E 's/_bucket$//' | sort -u)
text=$(curl -sf "http://127.0.0.1:$metrics/metrics")
for name in $names; do
    grep -q "^$name" <<< "$text" || fail "$name is in no answer of /metrics"
done
python3 -m json.tool "$deploy/exeunt.dashboard.json" > /dev/null || fail "the dashboard"
echo "ok    Prometheus reads the metrics, and knows the $(wc -l <<< "$names") that rules and dashboard name"
