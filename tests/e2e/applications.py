"""Real applications on loopback, with their data in a folder of the test, and what they were sent."""

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

from parts import PASSWORD, Part

SPY = """<?php
file_put_contents({log}, json_encode($_COOKIE) . "\\n", FILE_APPEND);
{more}
"""
"""Runs before every page: the cookies that a gateway keeps are seen nowhere else."""


def free_port():
    """A port that nobody listens on: PHP's server does not choose one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Php(Part):
    """An application under PHP's own server."""

    def __init__(self, folder, name, root, more="", **environment):
        self.cookies = folder / f"{name}-cookies.log"
        spy = folder / f"{name}-spy.php"
        spy.write_text(SPY.format(log=json.dumps(str(self.cookies)), more=more))
        port = free_port()
        command = ["php", "-S", f"127.0.0.1:{port}", "-t", root, "-d", f"auto_prepend_file={spy}",
                   "-d", "display_errors=0"]
        super().__init__(folder, name, command, r"started", port, **environment)

    def seen(self):
        """The cookies of the last request that had any, as a line."""
        lines = [json.loads(line) for line in self.cookies.read_text().splitlines()]
        last = next(cookies for cookies in reversed(lines) if cookies)
        return "; ".join(f"{name}={value}" for name, value in last.items())

    def straight(self, path, cookies):
        """A page of the application, asked for around the gateway."""
        command = ["curl", "--silent", "--location", "--cookie", cookies, f"http://localhost:{self.port}{path}"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def dokuwiki(folder):
    """Debian's DokuWiki, with alice as its user."""
    conf, data = folder / "conf", folder / "data"
    conf.mkdir()
    for name in Path("/etc/dokuwiki").iterdir():
        if name.is_file() and not name.is_symlink():
            shutil.copy(name, conf)
    for name in ["attic", "cache", "index", "locks", "log", "media", "media_attic", "media_meta", "meta", "pages", "tmp"]:
        (data / name).mkdir(parents=True)
    hashed = subprocess.run(["php", "-r", "echo password_hash($argv[1], PASSWORD_BCRYPT);", PASSWORD], check=True,
                            capture_output=True, text=True).stdout
    (conf / "users.auth.php").write_text(f"alice:{hashed}:Alice:alice@example.com:user\n")
    (conf / "acl.auth.php").write_text("*\t@ALL\t8\n")
    (conf / "local.php").write_text(f"<?php\n$conf['savedir'] = '{data}';\n$conf['useacl'] = 1;\n$conf['authtype'] = 'authplain';\n")
    more = f"define('DOKU_MAIN_CONF', '{conf}/');\ndefine('DOKU_CONF', '{conf}/');"
    return Php(folder, "dokuwiki", "/usr/share/dokuwiki", more)


def mediawiki(folder):
    """Debian's MediaWiki over SQLite, with alice as its user."""
    root = folder / "wiki"
    shutil.copytree("/usr/share/mediawiki", root, symlinks=False, ignore=shutil.ignore_patterns("LocalSettings.php", "tests"))
    install = ["php", root / "maintenance/install.php", "--dbtype=sqlite", f"--dbpath={folder}", "--dbname=wiki", "--scriptpath=",
               f"--pass={PASSWORD}", "--server=http://localhost", "Test", "alice"]
    subprocess.run(install, check=True, capture_output=True, text=True, cwd=root)
    settings = root / "LocalSettings.php"
    settings.write_text(re.sub(r"\$wgServer = .*", "$wgServer = '//' . ($_SERVER['HTTP_HOST'] ?? 'localhost');", settings.read_text()))
    return Php(folder, "mediawiki", root)
