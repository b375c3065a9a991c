#!/usr/bin/env bash
# The systemd unit: systemd understands every line of it, and what it gives away is at most 1.7 of 10 by systemd's own
# measure, with the drop-in for ports below 1024 too. About a second.
#
#   tests/e2e/unit.sh PROGRAM        PROGRAM: an exeunt to stand where the unit expects one
set -euo pipefail
cd "$(dirname "$0")/../.."
program=$(realpath "${1:?"the exeunt program to test with"}")
source tests/e2e/install.sh
install_missing systemd-analyze:systemd
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# As installed, except for the program's and the manual page's place.
units=$work/units
mkdir "$units"
sed -e "s|^ExecStart=/usr/bin/exeunt|ExecStart=$program|" -e "s|^ExecReload=/usr/bin/exeunt|ExecReload=$program|" \
    -e '/^Documentation=/d' deploy/exeunt.service > "$units/exeunt.service"
said=$(systemd-analyze verify --man=no "$units/exeunt.service" 2>&1)
[[ -z $said ]] || { printf 'FAIL  systemd-analyze verify says:\n%s\n' "$said"; exit 1; }
echo 'ok    systemd understands the unit'

at_most() { # NAME TENTHS
    local answer exposure
    if ! answer=$(systemd-analyze security --offline=true --threshold="$2" "$units/exeunt.service"); then
        printf 'FAIL  %s: %s\n' "$1" "$(tail -n 1 <<< "$answer")"
        exit 1
    fi
    exposure=$(sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/\1/p' <<< "$answer")
    printf 'ok    %s: exposure %s\n' "$1" "${exposure:?systemd-analyze named no exposure}"
}

# 1.2, and 0.2 for the priority of the threads that check passwords.
at_most 'as it stands' 14
# The drop-in that the unit's own comment offers.
{
    echo '[Service]'
    sed -n 's/^# .*\(AmbientCapabilities=.*\|CapabilityBoundingSet=.*\|PrivateUsers=.*\)/\1/p' "$units/exeunt.service"
} > "$work/low-port.conf"
[[ $(wc -l < "$work/low-port.conf") == 4 ]] || { echo 'FAIL  the comment offers no drop-in for low ports'; exit 1; }
# --offline reads no drop-in folders: what comes later in one file wins, and an empty list was set before.
sed -e '/^AmbientCapabilities=\|^CapabilityBoundingSet=\|^PrivateUsers=/d' -i "$units/exeunt.service"
cat "$work/low-port.conf" >> "$units/exeunt.service"
at_most 'with a port below 1024' 17

# A stop is clean only if the drain fits into it: limits.drain of the annotated reference, in seconds.
drain=$(sed -n 's/^# drain = "\([0-9]*\)s"$/\1/p' config.toml)
stop=$(sed -n 's/^TimeoutStopSec=\([0-9]*\)$/\1/p' deploy/exeunt.service)
((stop >= ${drain:?no drain in config.toml} + 5)) ||
    { echo "FAIL  TimeoutStopSec=$stop, limits.drain $drain s"; exit 1; }
echo "ok    stopping may take $stop s, the drain $drain s"
