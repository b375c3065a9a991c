"""tests/contained: what the parts of tests/run start ends with them, and listens on loopback only."""

import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

from parts import HERE, READY_SECONDS

CONTAINED = HERE.parent / "contained"
DAEMON = "setsid sleep 600 > /dev/null & echo $!"
"""Leaves a process behind, in a session of its own, and prints its id."""


def run(*command, before=()):
    done = subprocess.run([*before, CONTAINED, *command], capture_output=True, text=True, timeout=READY_SECONDS)
    return done.returncode, done.stdout


def listen(address, family):
    return f"import socket, time; held = socket.create_server(('{address}', 0), family=socket.{family}); time.sleep(1)"


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Contained(unittest.TestCase):
    def assert_ends(self, pid):
        deadline = time.monotonic() + READY_SECONDS
        while is_running(pid):
            self.assertLess(time.monotonic(), deadline, f"{pid} is still running")
            time.sleep(0.02)

    def test_gives_the_exit_code_of_the_command(self):
        for code in [0, 3]:
            self.assertEqual(run("sh", "-c", f"exit {code}"), (code, ""))
        self.assertEqual(run("sh", "-c", "kill -9 $$"), (128 + 9, ""))

    def test_reports_and_ends_a_process_that_is_left_running(self):
        code, printed = run("sh", "-c", DAEMON)
        pid, complaint = printed.splitlines()
        self.assertEqual((code, complaint), (1, "FAIL  left running: sleep 600"))
        self.assertFalse(is_running(pid))

    def test_allows_listeners_on_loopback(self):
        for address, family in [("127.0.0.1", "AF_INET"), ("127.0.0.9", "AF_INET"), ("::1", "AF_INET6")]:
            self.assertEqual(run(sys.executable, "-c", listen(address, family)), (0, ""), address)

    def test_reports_a_listener_beyond_loopback(self):
        # In a network namespace of its own: nobody can connect, and the container of all tests does not see it.
        apart = ["unshare", "--map-root-user", "--net"]
        for address, family in [("0.0.0.0", "AF_INET"), ("::", "AF_INET6")]:
            code, printed = run(sys.executable, "-c", listen(address, family), before=apart)
            self.assertEqual(code, 1, address)
            self.assertRegex(printed, r"^FAIL  listens on port \d+ beyond loopback: ")

    def test_ends_everything_when_it_is_told_to_stop(self):
        for number in [signal.SIGTERM, signal.SIGINT]:
            command = [CONTAINED, "sh", "-c", f"{DAEMON}; wait"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as contained:
                pid = contained.stdout.readline().strip()
                contained.send_signal(number)
                self.assertEqual(contained.wait(READY_SECONDS), -number)
            self.assertFalse(is_running(pid))

    def test_ends_everything_when_its_parent_is_killed(self):
        # Not the last command of that shell, which would become it.
        command = ["sh", "-c", '"$@"; true', "sh", CONTAINED, "sh", "-c", f"{DAEMON}; wait"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
            pid = parent.stdout.readline().strip()
            parent.kill()
        self.assert_ends(pid)


if __name__ == "__main__":
    unittest.main()
