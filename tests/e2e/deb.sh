#!/usr/bin/env bash
# The Debian package, in a Debian of its own (a folder): it installs, starts, is upgraded, removed and purged, and what
# an operator made is kept or gone as it should be. Needs root, for chroot. About a minute and a half; the first time
# some minutes more, for cargo-deb and the Debian (debootstrap, 250 MB in target/e2e/).
#
#   tests/e2e/deb.sh PROGRAM         PROGRAM: the exeunt to put into the package
#
# No systemd runs in the folder. What systemd would do, with the very lines of the unit, is done by hand: the program is
# started by ExecStart= as User=. That systemd understands the unit is what tests/e2e/unit.sh shows.
set -euo pipefail
cd "$(dirname "$0")/../.."
program=$(realpath "${1:?"the exeunt program to test with"}")
((EUID == 0)) || { echo 'FAIL  root is needed, for chroot' >&2; exit 1; }
# What is mounted below is invisible to other processes, and gone when this script ends.
[[ -n ${OWN_MOUNTS:-} ]] || OWN_MOUNTS=yes exec unshare --mount --propagation private "tests/e2e/${0##*/}" "$program"

mkdir -p "${CARGO_TARGET_DIR:-target}/e2e"
target=$(realpath "${CARGO_TARGET_DIR:-target}/e2e")
base=$target/debian
work=$(mktemp -d -p "$target" deb.XXXXXX)
root=$work/root
processes=()
finish() {
    for id in "${processes[@]}"; do kill "$id" 2> /dev/null || true; done
    ! mountpoint -q "$root/proc" || umount "$root/proc"
    rm -rf --one-file-system "$work"
}
trap finish EXIT

ok() { printf 'ok    %s\n' "$1"; }
fail() { printf 'FAIL  %s\n' "$1"; exit 1; }
# is WHAT SEEN EXPECTED
is() { if [[ $2 == "$3" ]]; then ok "$1"; else fail "$1: expected '$3', seen '$2'"; fi; }
there() { for path in "$@"; do [[ -e $root$path || -L $root$path ]] || fail "$path is not there"; done; }
gone() { for path in "$@"; do [[ ! -e $root$path && ! -L $root$path ]] || fail "$path is still there"; done; }

inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }
owner() { inside stat -c '%a %U:%G' "$1"; }
dpkg_does() { inside dpkg "$@" < /dev/null > "$work/dpkg.log" 2>&1 || fail "dpkg $*: $(cat "$work/dpkg.log")"; }

# until_said FILE PATTERN: waits for a line; prints what the pattern's group caught.
until_said() {
    local caught
    for _ in {1..600}; do
        caught=$(sed -nE "s/$2/\1/p" "$1" | head -n 1)
        [[ -z $caught ]] || { printf '%s' "$caught"; return; }
        sleep 0.05
    done
    fail "nothing like /$2/ in: $(cat "$1")"
}

# --- Before -----------------------------------------------------------------------------------------------------

# With the least that the package depends on; made once, and kept.
make_debian() {
    [[ ! -e $base/complete ]] || return 0
    rm -rf --one-file-system "$base"
    debootstrap --variant=minbase --include=systemd-standalone-sysusers,systemd-standalone-tmpfiles \
        bookworm "$base" http://deb.debian.org/debian > "$target/debootstrap.log" \
        || fail "debootstrap: $(tail -n 3 "$target/debootstrap.log")"
    touch "$base/complete"
}

build() { # REVISION
    deploy/deb --program "$program" --revision "$1" --output "$work" --fast > "$work/build.log" 2>&1 ||
        fail "$(cat "$work/build.log")"
    cp "$work"/exeunt_*-"$1"_*.deb "$root/exeunt-$1.deb"
}

start_application() {
    python3 - > "$work/application.log" 2>&1 <<'PYTHON' &
import http.server

class Headers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = str(self.headers).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Headers)
print("port", server.server_port, flush=True)
server.serve_forever()
PYTHON
    processes+=($!)
    application=$(until_said "$work/application.log" '^port ([0-9]+)$')
}

# --- The life of a package --------------------------------------------------------------------------------------

installs() {
    dpkg_does --install /exeunt-1.deb
    ! grep -q 'not (re)started' "$work/dpkg.log" || fail "the shipped configuration is refused: $(cat "$work/dpkg.log")"
    is 'the user cannot sign in' "$(inside getent passwd exeunt | cut -d: -f6,7)" /var/lib/exeunt:/usr/sbin/nologin
    is 'the configuration is read by the service, changed by root' "$(owner /etc/exeunt/config.toml)" '640 root:exeunt'
    is 'its folder too' "$(owner /etc/exeunt)" '750 root:exeunt'
    is 'the state is the service'"'"'s' "$(owner /var/lib/exeunt)" '750 exeunt:exeunt'
    there /etc/systemd/system/multi-user.target.wants/exeunt.service
    ok 'the unit is enabled'
    there /usr/share/man/man1/exeunt.1.gz /usr/share/bash-completion/completions/exeunt \
        /usr/share/zsh/vendor-completions/_exeunt /usr/share/fish/vendor_completions.d/exeunt.fish
    is 'the program runs' "$(inside exeunt --version)" "$("$program" --version)"
}

configure() {
    inside sed -i -e 's|^listen = \[.*|listen = ["127.0.0.1:0"]|' \
        -e "s|^upstream = .*|upstream = \"http://127.0.0.1:$application\"|" /etc/exeunt/config.toml
    echo 'correct horse battery' | inside exeunt user set alice > "$work/user.log" 2>&1 ||
        fail "$(cat "$work/user.log")"
    is 'the users'"'"' file is for root and the service' "$(owner /etc/exeunt/users.toml)" '640 root:exeunt'
}

# As systemd does it, by the unit's own words.
starts_and_stops() {
    local command user service port
    command=$(sed -n 's/^ExecStart=//p' "$root/usr/lib/systemd/system/exeunt.service")
    user=$(sed -n 's/^User=//p' "$root/usr/lib/systemd/system/exeunt.service")
    # Not a shell function in between: the id must be the program's own.
    # shellcheck disable=SC2086
    chroot "$root" /usr/bin/env -i setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs \
        --bounding-set=-all --inh-caps=-all $command 2> "$work/service.log" &
    service=$!
    processes+=("$service")
    port=$(until_said "$work/service.log" '.*listening.*127\.0\.0\.1:([0-9]+).*')
    echo 'correct horse battery' |
        deploy/smoke "http://127.0.0.1:$port" alice --host localhost --echo / > "$work/smoke.log" \
        || fail "$(cat "$work/smoke.log")"
    ok "the installed program passes deploy/smoke: $(tail -n 1 "$work/smoke.log")"
    is 'its socket for operators' "$(owner /run/exeunt/admin.sock)" '600 exeunt:exeunt'
    inside exeunt session list > "$work/list.log" 2>&1 || fail "exeunt session list: $(cat "$work/list.log")"
    ok 'exeunt session list reaches it'
    inside exeunt reload --config /etc/exeunt/config.toml > "$work/reload.log" 2>&1 ||
        fail "exeunt reload: $(cat "$work/reload.log")"
    ok "exeunt reload: $(tail -n 1 "$work/reload.log")"
    kill -TERM "$service"
    local status=0
    wait "$service" || status=$?
    is 'it stops when told' "$status" 0
}

# systemd has the socket: exeunt.socket.
is_upgraded_behind_a_socket() {
    local reached
    reached=$(python3 -B tests/e2e/behind_socket.py "$root" /exeunt-2.deb 2> "$work/behind.log") \
        || fail "an upgrade behind a socket: $(tail -n 3 "$work/behind.log"); $(tail -n 5 "$work/behind_socket.log")"
    ok "an upgrade behind exeunt.socket: $reached"
    dpkg_does --install /exeunt-1.deb
}

upgrades() {
    local before
    before=$(cat "$root/etc/exeunt/"*.toml | sha256sum)
    touch "$root/var/lib/exeunt/kept"
    dpkg_does --install /exeunt-2.deb
    is 'the upgrade is there' "$(inside dpkg-query -W -f '${Version}' exeunt)" "$version-2"
    is 'it keeps configuration and users' "$(cat "$root/etc/exeunt/"*.toml | sha256sum)" "$before"
    there /var/lib/exeunt/kept

    cp "$root/etc/exeunt/config.toml" "$work/config.toml"
    echo 'lisen = "x"' > "$root/etc/exeunt/config.toml"
    dpkg_does --install /exeunt-1.deb
    grep -q lisen "$work/dpkg.log" && grep -q 'not (re)started' "$work/dpkg.log" \
        || fail "dpkg does not tell of a broken configuration: $(cat "$work/dpkg.log")"
    ok 'with a broken configuration it installs, says what is wrong, and starts nothing'
    cat "$work/config.toml" > "$root/etc/exeunt/config.toml"

    cp -p "$root/etc/exeunt/users.toml" "$work/users.toml"
    inside chown root:root /etc/exeunt/users.toml
    dpkg_does --install /exeunt-2.deb
    grep -q 'users.toml' "$work/dpkg.log" && grep -q 'not (re)started' "$work/dpkg.log" \
        || fail "dpkg does not tell of a file that the service cannot read: $(cat "$work/dpkg.log")"
    ok 'a file that the service cannot read is a problem, too'
    cp -p "$work/users.toml" "$root/etc/exeunt/users.toml"
}

is_removed() {
    dpkg_does --remove exeunt
    gone /usr/bin/exeunt /usr/lib/systemd/system/exeunt.service
    there /etc/exeunt/config.toml /etc/exeunt/users.toml /var/lib/exeunt/kept
    ok 'removed, what the operator and the service made is kept'
    dpkg_does --install /exeunt-2.deb
    ok 'it comes back'
    touch "$root/etc/exeunt/own.secret"
    dpkg_does --purge exeunt
    there /etc/exeunt/own.secret
    rm -r "$root/etc/exeunt"
    # Beside dpkg's own books, one user more is all that is left of it.
    find "$root" -xdev -newer "$work/started" ! -type d -printf '/%P\n' \
        | grep -vE '^/(var/lib/dpkg/|var/log/|var/cache/|exeunt-[12]\.deb$)' \
        | grep -vE '^/etc/(\.pwd\.lock|(passwd|group|shadow|gshadow)-?)$' \
        > "$work/left" || true
    is 'purged, nothing is left' "$(cat "$work/left")" ''
    is 'nothing of its name either' \
        "$(find "$root" -xdev -name '*exeunt*' ! -name 'exeunt-[12].deb' -printf '/%P\n')" ''
}

source tests/e2e/install.sh
install_missing debootstrap:debootstrap lintian:lintian strip:binutils dpkg-shlibdeps:dpkg-dev curl:curl python3:python3
make_debian
cp -a --reflink=auto "$base" "$root"
rm "$root/complete"
mount -t proc proc "$root/proc"
touch "$work/started"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
build 1
build 2
ok "two packages of $version"
lintian --fail-on error --allow-root "$root"/exeunt-*.deb > "$work/lintian.log" 2>&1 ||
    fail "lintian: $(cat "$work/lintian.log")"
ok "lintian finds no errors, $(grep -c ^W: "$work/lintian.log") warnings"
start_application
installs
configure
starts_and_stops
is_upgraded_behind_a_socket
upgrades
is_removed
