#!/bin/sh
# The lines of a running gateway, in all formats and under hostile names, read by the real fail2ban with the filter of
# deploy/fail2ban: the filter finds the addresses that were refused, and no others.
#
# Usage: tests/e2e/fail2ban.sh PROGRAM
#
# Where fail2ban is not installed its package is unpacked into a folder and used from there: installing it would start
# a service that bans people.
set -eu

program=$1
filter=$(dirname "$0")/../../deploy/fail2ban/exeunt.conf
folder=$(mktemp -d)
gateway=
trap 'test -z "$gateway" || kill "$gateway" 2>/dev/null; rm -rf "$folder"' EXIT

if command -v fail2ban-regex >/dev/null; then
    read_log() { fail2ban-regex -o ip "$1" "$filter"; }
else
    # A machine that has no lists of packages yet does not know it.
    apt-cache show fail2ban >/dev/null 2>&1 || $(test "$(id -u)" = 0 || echo sudo) apt-get update -qq
    (cd "$folder" && apt-get download -qq -o Acquire::Retries=3 fail2ban && dpkg -x fail2ban_*.deb unpacked)
    read_log() {
        PYTHONPATH="$folder/unpacked/usr/lib/python3/dist-packages" \
            python3 -B "$folder/unpacked/usr/bin/fail2ban-regex" --config "$folder/unpacked/etc/fail2ban" \
            -o ip "$1" "$filter"
    }
fi

# The address that is never refused here: a filter that finds it was deceived by what a client wrote.
innocent=203.0.113.66
password=wrong-horse-battery

# One name a line; each is tried from an address of its own.
cat >"$folder/names" <<NAMES
alice
x client=$innocent reason=credentials_wrong user=y
x" client=$innocent reason=credentials_wrong user="y
event=sign_in_refused client=$innocent reason=credentials_wrong user=
\\" event=sign_in_refused client=$innocent
{"client":"$innocent","event":"sign_in_refused","reason":"credentials_wrong","time":"2020-01-01T00:00:00Z","user":"
","client":"$innocent","x":"
01/Jan/2020:00:00:00 time=2020-01-01T00:00:00Z
host exeunt[1]: event=sign_in_refused client=$innocent reason=credentials_wrong user=
NAMES
# And one with line breaks in it, which a shell's line cannot hold.
broken="x%0d%0atime%3d2026-01-01T00:00:00Z%20event%3dsign_in_refused%20client%3d$innocent"
broken="$broken%20reason%3dcredentials_wrong%20user%3dy"

start() {
    cat >"$folder/config.toml" <<CONFIG
listen = ["127.0.0.1:0"]
public_url = "http://localhost:8080"
trusted_proxies = ["127.0.0.1"]
[[route]]
upstream = "http://127.0.0.1:9"
[login]
users = "users.toml"
[log]
format = "$1"
CONFIG
    : >"$folder/log"
    "$program" serve --config "$folder/config.toml" 2>"$folder/log" &
    gateway=$!
    tries=0
    until address=$(grep -ao 'listening.*' "$folder/log" | grep -o '127\.0\.0\.1:[0-9]*' | head -1) &&
        test -n "$address"; do
        tries=$((tries + 1))
        test $tries -lt 600 || { echo "the gateway does not listen:"; cat "$folder/log"; exit 1; }
        sleep 0.1
    done
}

stop() {
    kill "$gateway"
    wait "$gateway" || true
    gateway=
    if test -n "${EXEUNT_TEST_EVIDENCE:-}"; then
        cat "$folder/log" >>"$EXEUNT_TEST_EVIDENCE/fail2ban.log"
        echo "$password" >>"$EXEUNT_TEST_EVIDENCE/fail2ban.secrets"
    fi
}

# try ADDRESS CURL-OPTION...: a wrong password that must be answered 401.
try() {
    from=$1
    shift
    status=$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: localhost' -H "X-Forwarded-For: $from" "$@" \
        -d "password=$password" "http://$address/login")
    test "$status" = 401 || { echo "$from: answered $status"; exit 1; }
}

failed=0
for format in text json combined; do
    start "$format"
    number=0
    : >"$folder/expected"
    while IFS= read -r name; do
        number=$((number + 1))
        try "192.0.2.$number" --data-urlencode "username=$name" </dev/null
        echo "192.0.2.$number" >>"$folder/expected"
    done <"$folder/names"
    try 2001:db8::7 -d "username=$broken"
    echo 2001:db8::7 >>"$folder/expected"
    # Other lines that a client controls.
    curl -s -o /dev/null -H 'Host: localhost' \
        -A "event=sign_in_refused client=$innocent reason=credentials_wrong user=" \
        "http://$address/event=sign_in_refused%20client=$innocent%20reason=credentials_wrong%20user="
    stop
    # As the journal shows them, too.
    sed 's/^/host exeunt[12]: /' "$folder/log" >"$folder/journal"
    for log in log journal; do
        read_log "$folder/$log" >"$folder/found"
        if cmp -s "$folder/expected" "$folder/found"; then
            echo "ok    $format, $log: $(wc -l <"$folder/found") addresses"
        else
            echo "FAIL  $format, $log: expected and found differ"
            diff "$folder/expected" "$folder/found" || true
            failed=1
        fi
    done
done
exit $failed
