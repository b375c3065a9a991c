#!/usr/bin/env bash
# Programs without cookies, the real ones: git, Subversion and curl with HTTP Basic, through the program to Apache with
# git's, Subversion's and its own WebDAV server. About ten seconds once everything is installed.
#
#   tests/e2e/programs.sh PROGRAM     PROGRAM: the exeunt to test
#
# What is missing is installed by name with apt-get: git, subversion, apache2-bin, libapache2-mod-svn, curl. Nothing
# listens beyond loopback, on a port that the system chooses, and everything ends with the test.
set -euo pipefail
cd "$(dirname "$0")/../.."
EXEUNT=$(realpath "${1:?"the exeunt program to test with"}")
export EXEUNT PATH=$PATH:/usr/sbin

missing=()
for command in git:git svn:subversion svnadmin:subversion apache2:apache2-bin curl:curl python3:python3; do
    command -v "${command%%:*}" > /dev/null || missing+=("${command##*:}")
done
[ -e /usr/lib/apache2/modules/mod_dav_svn.so ] || missing+=(libapache2-mod-svn)
if ((${#missing[@]})); then
    echo "installing ${missing[*]}"
    sudo=$( ((EUID)) && echo sudo || true)
    $sudo apt-get update -qq
    # Debian starts servers as they are installed; these are for tests alone.
    $sudo env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends "${missing[@]}" > /dev/null || {
        echo "FAIL  cannot install ${missing[*]}: as root, type: apt-get install --no-install-recommends ${missing[*]}"
        exit 1
    }
fi
PYTHONPATH=tests/e2e exec python3 -B tests/e2e/programs
