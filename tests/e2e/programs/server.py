"""Apache with a git repository, a Subversion repository and a WebDAV folder, none of which asks for a password: they
learn from the gateway who the user is."""

import json
import os
import shutil
import socket
import subprocess

from parts import Part

MODULES = "/usr/lib/apache2/modules"


class Server:
    """The three of them. What reached Apache is in its access log: method, path, user, and whether a password did."""

    def __init__(self, folder):
        self.git, self.record = folder / "git/shop.git", folder / "access.log"
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", self.git], check=True)
        subprocess.run(["git", "-C", self.git, "config", "core.logAllRefUpdates", "true"], check=True)
        subprocess.run(["svnadmin", "create", folder / "svn"], check=True)
        (folder / "dav").mkdir()
        (folder / "state").mkdir()
        for written in ["git", "svn", "dav", "state"]:
            give_away(folder / written)
        folder.chmod(0o755)
        configuration = folder / "apache.conf"
        port = free_port()
        configuration.write_text(CONFIGURATION.format(
            folder=folder, port=port, modules=loaded(), record=self.record, user=user_lines(),
            backend=subprocess.check_output(["git", "--exec-path"], text=True).strip() + "/git-http-backend"))
        command = ["apache2", "-f", configuration, "-DFOREGROUND"]
        self.part = Part(folder, "apache", command, "resuming normal operations", port=port)

    def reached(self):
        """Everything that reached it so far."""
        return [json.loads(line) for line in self.record.read_text().splitlines()]


CONFIGURATION = """
{modules}
ServerRoot {folder}
DefaultRuntimeDir {folder}/state
PidFile {folder}/apache2.pid
ScriptSock {folder}/state/cgi
ServerName localhost
ErrorLog /dev/stderr
LogLevel notice
{user}
Listen 127.0.0.1:{port}
LogFormat "{{\\"method\\":\\"%m\\",\\"path\\":\\"%U\\",\\"user\\":\\"%{{X-Forwarded-User}}i\\",\\
\\"password\\":\\"%{{Authorization}}i\\"}}" record
CustomLog {record} record
Timeout 20

# git-http-backend accepts a push of any user whose name is set.
SetEnvIf X-Forwarded-User "^(.+)$" REMOTE_USER=$1
SetEnv GIT_PROJECT_ROOT {folder}/git
SetEnv GIT_HTTP_EXPORT_ALL 1
ScriptAlias /git/ {backend}/

DavLockDB {folder}/state/locks
Alias /dav {folder}/dav
<Location /dav>
    Dav on
</Location>
<Location /svn>
    DAV svn
    SVNPath {folder}/svn
</Location>
"""


def loaded():
    names = ["mpm_event", "authz_core", "alias", "env", "setenvif", "cgid", "dav", "dav_fs", "dav_lock", "dav_svn"]
    return "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in names)


def user_lines():
    return "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""


def give_away(folder):
    """Run by root, Apache works as nobody."""
    if os.geteuid() == 0:
        for path in [folder, *folder.rglob("*")]:
            shutil.chown(path, "nobody", "nogroup")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
