#!/usr/bin/env bash
# Both corpora of raw requests, byte for byte, and every spelling of a path, through the program to real servers and
# frameworks that write down what reached them: waitress, gunicorn, uvicorn, Node.js, nginx, Apache, PHP, Flask, Bottle,
# Falcon, Starlette. About a minute once everything is installed.
#
#   tests/e2e/raw.sh PROGRAM [NAME]...     PROGRAM: the exeunt to test; NAME: "waitress", "uvicorn, h11", …
#
# What is missing is installed by name: nginx, apache2, php-cli, nodejs with apt-get, the rest with pip into
# target/e2e/. Nothing listens beyond loopback, on ports that the system chooses, and everything ends with the test.
set -euo pipefail
cd "$(dirname "$0")/../.."
EXEUNT=$(realpath "${1:?"the exeunt program to test with"}")
export EXEUNT
shift

source tests/e2e/install.sh
install_missing nginx:nginx-light apache2:apache2-bin php:php-cli node:nodejs python3:python3-venv

venv=${CARGO_TARGET_DIR:-target}/e2e/raw-venv
wanted=tests/e2e/raw/requirements.txt
if ! cmp -s "$wanted" "$venv/installed.txt"; then
    mkdir -p "${venv%/*}"
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$venv/installed.txt"
fi
PATH=$PATH:/usr/sbin PYTHONPATH=tests/e2e exec "$venv/bin/python" -B tests/e2e/raw "$@"
