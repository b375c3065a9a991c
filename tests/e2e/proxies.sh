#!/usr/bin/env bash
# Every snippet of deploy/proxies/, in a real proxy, in front of a real gateway: sign-in to logout (deploy/smoke), the
# client's address, WebSockets, server-sent events. About 20 seconds once everything is installed.
#
#   tests/e2e/proxies.sh PROGRAM [nginx|apache|haproxy|caddy|traefik]...     PROGRAM: the exeunt to test
#
# What is missing is installed by name: nginx, apache2, haproxy, openssl with apt-get, Caddy and Traefik with pip, into
# target/e2e/. Nothing listens beyond loopback, on ports that the system chooses, and everything ends with the test.
set -euo pipefail
cd "$(dirname "$0")/../.."
program=$(realpath "${1:?"the exeunt program to test with"}")
shift

source tests/e2e/install.sh
install_missing nginx:nginx-light apache2:apache2-bin haproxy:haproxy openssl:openssl curl:curl python3:python3-venv

venv=${CARGO_TARGET_DIR:-target}/e2e/venv
wanted=tests/e2e/proxies/requirements.txt
if ! cmp -s "$wanted" "$venv/installed.txt"; then
    mkdir -p "${venv%/*}"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$venv/installed.txt"
fi
PATH=$(realpath "$venv")/bin:$PATH:/usr/sbin PYTHONPATH=tests/e2e \
    exec "$venv/bin/python" -B tests/e2e/proxies "$program" "$@"
