"""An upgrade of the package behind exeunt.socket, in a folder with a Debian in it where no systemd runs.

    python3 tests/e2e/behind_socket.py ROOT PACKAGE

ROOT has an earlier package, installed and configured, with the user alice. What systemd would do is done here, with the
words of the units: this program listens as the socket unit says, on a port that the system chose, hands that socket
over at each start of the service, and restarts it when the package's own scripts ask `systemctl` to. Meanwhile clients
connect again and again: none may be refused or cut off, and everybody stays signed in.
"""

import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlencode

PATIENCE = 60
CLIENTS = 4
ENOUGH = 20
"""The number of answers of each client before the upgrade, and after it."""
PASSWORD = "correct horse battery"
SYSTEMCTL = """#!/bin/sh
# In a test: asks for what systemd would do, and waits until it is done.
case " $* " in *" try-restart exeunt.service "*) echo "$*" > /run/asked && read -r _ < /run/done ;; esac
"""


class Manager:
    """As much of systemd as one service with a socket needs."""

    def __init__(self, root):
        self.root, self.service, self.replaced = root, None, None
        units = root / "usr/lib/systemd/system"
        self.unit = (units / "exeunt.service").read_text()
        backlog = re.search(r"^Backlog=(\d+)$", (units / "exeunt.socket").read_text(), re.MULTILINE)[1]
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(int(backlog))
        self.port = self.socket.getsockname()[1]

    def setting(self, name):
        return re.search(rf"^{name}=(.*)$", self.unit, re.MULTILINE)[1]

    def start(self):
        """From descriptor 3 on, for this process: sd_listen_fds(3)."""
        user = self.setting("User")
        rights = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs"]
        program = " ".join(map(shlex.quote, [*rights, *shlex.split(self.setting("ExecStart"))]))
        script = f"exec 3<&0 < /dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec {program}"
        state = f"STATE_DIRECTORY=/var/lib/{self.setting('StateDirectory')}"
        command = ["chroot", self.root, "/usr/bin/env", "-i", state, "sh", "-c", script]
        with (self.root.parent / "behind_socket.log").open("ab") as log:
            self.service = subprocess.Popen(command, stdin=self.socket, stdout=log, stderr=log)

    def stop(self):
        self.service.send_signal(signal.SIGTERM)
        code = self.service.wait(PATIENCE)
        assert code == 0, f"the service stopped with {code}"

    def program(self):
        return os.readlink(f"/proc/{self.service.pid}/exe")

    def obey(self):
        """Does once what the package's scripts ask for."""
        asked = (self.root / "run/asked").read_text()
        assert "try-restart" in asked, asked
        self.replaced = self.program()
        self.stop()
        self.start()
        (self.root / "run/done").write_text("done\n")


class Client:
    """Alice in one browser, who asks again and again who she is, each time on a new connection."""

    def __init__(self, port):
        self.port, self.answers, self.is_over, self.problem = port, 0, threading.Event(), None
        form = urlencode({"username": "alice", "password": PASSWORD})
        status, answer = self.ask("POST", "/login", form, {"Content-Type": "application/x-www-form-urlencoded"})
        assert status == 303, status
        self.cookie = next(line for line in answer.get_all("Set-Cookie") if line.startswith("exeunt=")).split(";")[0]
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def ask(self, method, path, body=None, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request(method, path, body, {"Host": "localhost", "Connection": "close", **dict(headers)})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status, answer.headers

    def run(self):
        while not self.is_over.is_set():
            try:
                status, _ = self.ask("GET", "/.exeunt/session", headers={"Cookie": self.cookie})
                self.problem = None if status == 200 else f"{status} after {self.answers} answers"
            except (OSError, http.client.HTTPException) as error:
                self.problem = f"{error!r} after {self.answers} answers"
            with self.changed:
                self.answers += 1
                self.changed.notify_all()
            if self.problem:
                return

    def wait_for(self, more):
        """Until there is this number of further answers, or a wrong one."""
        with self.changed:
            until = self.answers + more
            assert self.changed.wait_for(lambda: self.problem or self.answers >= until, PATIENCE), "no answer"
        assert not self.problem, self.problem


def listen_on(root, port):
    """`listen` has to name the same place as the socket unit."""
    file = root / "etc/exeunt/config.toml"
    text, changed = re.subn(r"^listen = \[.*", f'listen = ["127.0.0.1:{port}"]', file.read_text(), count=1, flags=re.M)
    assert changed == 1
    file.write_text(text)


def upgrade(root, package, manager):
    """By dpkg and the package's scripts, which find a systemd that asks this program."""
    systemctl, running = root / "usr/bin/systemctl", root / "run/systemd/system"
    made = [systemctl, root / "run/asked", root / "run/done"]
    running.mkdir(parents=True)
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    for pipe in made[1:]:
        os.mkfifo(pipe)
    obeying = threading.Thread(target=manager.obey, daemon=True)
    obeying.start()
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    command = ["chroot", root, "dpkg", "--install", package]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, env=environment, timeout=PATIENCE)
    obeying.join(PATIENCE)
    for path in made:
        path.unlink()
    running.rmdir()
    assert done.returncode == 0, done.stdout + done.stderr


def main():
    root = Path(sys.argv[1])
    manager = Manager(root)
    listen_on(root, manager.port)
    try:
        manager.start()
        clients = [Client(manager.port) for _ in range(CLIENTS)]
        for client in clients:
            client.wait_for(ENOUGH)
        upgrade(root, sys.argv[2], manager)
        assert manager.replaced, "the package's scripts did not ask for a restart"
        # Not the earlier program, which is not there any more.
        assert manager.replaced.endswith("(deleted)") and not manager.program().endswith("(deleted)"), manager.replaced
        for client in clients:
            client.wait_for(ENOUGH)
            client.is_over.set()
        for client in clients:
            client.thread.join(PATIENCE)
            assert not client.problem, client.problem
        manager.stop()
    finally:
        if manager.service and manager.service.poll() is None:
            manager.service.kill()
    print(f"{sum(client.answers for client in clients)} connections, none refused, {CLIENTS} sessions kept")


main()
