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

source tests/e2e/install.sh
install_missing git:git svn:subversion svnadmin:subversion apache2:apache2-bin curl:curl python3:python3 \
    /usr/lib/apache2/modules/mod_dav_svn.so:libapache2-mod-svn
PYTHONPATH=tests/e2e exec python3 -B tests/e2e/programs
