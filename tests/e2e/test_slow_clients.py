"""Ten thousand slow clients (slowloris) delay no other client, cost little, and are closed (RFC 9110 15.5.9)."""

import http.client
import json
import resource
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from parts import HERE, Visitor, add_user, serve
from slow_clients import KINDS

HEAD_TIMEOUT = 10
"""The gateway's own, which it is left at."""
SLACK = 8
"""For a machine that is busy with all of this: seconds."""
MEMORY = 400 * 1000**2
FILES = 16384
"""Enough for one end of all connections."""

CONFIGURATION = """
listen = ["127.0.0.1:0"]
public_url = "http://localhost:8080"

[[route]]
path = "/"
upstream = "demo"

[[route]]
path = "/silent"
access = "public"
upstream = "http://127.0.0.1:{silent}"

[login]
users = "users.toml"

[limits]
body_timeout = "4s"
min_rate = 100
"""


def raise_limit():
    """Lets this process, and those that it starts, have more files open; gives the limits from before."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, max(before[1], FILES)))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    return before


class SlowClients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="exeunt-e2e-")
        cls.addClassCleanup(folder.cleanup)
        folder = Path(folder.name)
        cls.addClassCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, raise_limit())
        add_user(folder, "alice")
        # It takes connections, and that is all.
        silent = socket.create_server(("127.0.0.1", 0), backlog=1024)
        cls.addClassCleanup(silent.close)
        cls.gateway = serve(folder, CONFIGURATION.format(silent=silent.getsockname()[1]))
        cls.addClassCleanup(cls.gateway.stop)
        visitor = Visitor(cls.gateway)
        visitor.sign_in()
        cls.cookie = f"exeunt={visitor.cookie('exeunt')}"

    def ask(self):
        """One honest request, on a connection of its own: new connections have to be accepted, too."""
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=60)
        connection.request("GET", "/", headers={"Host": "localhost", "Cookie": self.cookie})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def test_slow_clients_are_cut_and_do_not_delay_others(self):
        command = [sys.executable, "-B", HERE / "slow_clients.py", str(self.gateway.port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as slow:
            self.addCleanup(slow.kill)
            honest = []
            while slow.poll() is None:
                honest.append(self.ask())
            said = json.load(slow.stdout)
        held = self.gateway.memory("VmHWM")
        print(f"\n{len(honest)} honest requests; {held >> 20} MiB at most; slow ones that say", flush=True)
        for name, became in said["kinds"].items():
            print(f"  {name}: {became}", flush=True)
        self.assertEqual(set(honest), {200})
        self.assertLess(held, MEMORY)
        self.assertEqual(said["refusal"], None, "this machine does not let one process open so many connections")
        for name, (count, *_) in KINDS.items():
            with self.subTest(says=name):
                self.assert_ended(said["kinds"][name], count)
        self.assertEqual(self.ask(), 200)

    def assert_ended(self, became, count):
        self.assertEqual(became["opened"], count)
        ended = sum(became["ends"].get(end, 0) for end in ["408", "closed"])
        self.assertEqual(ended, count, f"ended otherwise, or never: {became['ends']}")
        self.assertLess(became["longest"], HEAD_TIMEOUT + SLACK)
