"""What the program asks of the kernel: every sign-in and every sign-out is on disk before its answer is sent. A killed
process does not show that, since what it wrote stays in the kernel's memory; a power failure would."""

import http.client
import re
import tempfile
import time
import unittest
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import evidence
from parts import CONFIGURATION, EXEUNT, PASSWORD, READY_SECONDS, Part, add_user

VISITORS = 4
ROUNDS = 6
CALLS = "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,fsync,fdatasync"

LINE = re.compile(r"(?P<thread>\d+) +(?P<rest>.*)")
BEGINS = re.compile(r"(?P<call>\w+)\(\d+<(?P<file>.*?)>(?P<said>[,)\s].*)")
RESUMES = re.compile(r"<\.\.\. (?P<call>\w+) resumed>(?P<said>.*)")
REQUEST = re.compile(r'"POST (?P<path>/\w+) HTTP/1\.1')
DONE = re.compile(r"= (?P<result>-?\d+)")


class Call:
    """A system call of one thread: the numbers of the lines with which it began and returned, and what it said."""

    def __init__(self, name, file, begun, said):
        self.name, self.file, self.begun, self.said, self.ended = name, file, begun, said, None

    def has_returned(self, line, said):
        self.ended, self.said = line, self.said + said
        return self

    @property
    def is_done(self):
        found = DONE.search(self.said[self.said.rfind(")"):])
        return found is not None and int(found["result"]) >= 0


def calls(lines):
    """The calls in a log of `strace -f -yy`, in the order in which they returned."""
    waiting = {}
    for number, line in enumerate(lines):
        found = LINE.match(line)
        if not found:
            continue
        thread, rest = found["thread"], found["rest"]
        if resumed := RESUMES.match(rest):
            if call := waiting.pop(thread, None):
                yield call.has_returned(number, resumed["said"])
        elif begun := BEGINS.match(rest):
            said, unfinished, _ = begun["said"].partition("<unfinished ...>")
            call = Call(begun["call"], begun["file"], number, said)
            if unfinished:
                waiting[thread] = call
            else:
                yield call.has_returned(number, "")


def answered(lines):
    """Of each POST its path, and whether a synchronisation of the store began after it had been received and had
    returned before the first byte of its answer was sent."""
    synchronised, received = [], {}
    for call in sorted(calls(lines), key=lambda call: call.ended):
        if call.name in ("fsync", "fdatasync"):
            if "/sessions.db" in call.file and call.is_done:
                synchronised.append(call)
        elif request := REQUEST.search(call.said):
            received[call.file] = (request["path"], call.ended)
        elif '"HTTP/1.1 ' in call.said and call.file in received:
            path, since = received.pop(call.file)
            yield path, any(since < done.begun and done.ended < call.begun for done in synchronised)


class Durable(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="exeunt-e2e-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        add_user(self.folder, "alice")
        # No upstream is asked for anything.
        (self.folder / "config.toml").write_text(CONFIGURATION.format(port=9, audit=""))
        self.trace = self.folder / "trace"
        command = ["strace", "-D", "-f", "-yy", "-s", "64", "-e", CALLS, "-o", self.trace, EXEUNT, "serve"]
        self.gateway = Part(self.folder, "gateway", command, r"listening.*127\.0\.0\.1:(\d+)")
        self.addCleanup(self.gateway.stop)

    def visit(self, _):
        """Signs in and out, again and again, each time on another connection."""
        for _ in range(ROUNDS):
            cookie = self.post("/login", {"username": "alice", "password": PASSWORD}, "")
            self.post("/logout", {}, cookie.partition(";")[0])

    def post(self, path, form, cookie):
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=READY_SECONDS)
        connection.request("POST", path, urlencode(form), {
            "Host": "localhost", "Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie,
        })
        answer = connection.getresponse()
        evidence.cookies(str(answer.headers))
        self.assertIn(answer.status, (200, 303), answer.read())
        connection.close()
        return next((line for line in answer.headers.get_all("Set-Cookie", []) if line.startswith("exeunt=")), "")

    def traced(self):
        """All lines: strace writes the last ones after the program has gone."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            lines = self.trace.read_text(errors="replace").splitlines()
            if any(re.match(rf"{self.gateway.process.pid} +\+\+\+ exited with 0", line) for line in lines):
                return lines
            time.sleep(0.02)
        raise AssertionError("strace did not see the program end")

    def test_every_sign_in_and_sign_out_is_on_disk_before_its_answer(self):
        with ThreadPoolExecutor(VISITORS) as visitors:
            list(visitors.map(self.visit, range(VISITORS)))
        self.gateway.stop()
        evidence.log(self.gateway.log)
        every = VISITORS * ROUNDS
        self.assertEqual(Counter(answered(self.traced())), {("/login", True): every, ("/logout", True): every})


class Judged(unittest.TestCase):
    """What is read out of a log of strace."""

    RECEIVED = '7 recvfrom(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, "POST /logout HTTP/1.1\\r\\n"..., 99, 0, NULL, NULL) = 90'
    SENT = '7 sendto(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, "HTTP/1.1 303 See Other\\r\\n"..., 300, 0, NULL, 0) = 300'
    BEGINS = "8 fdatasync(5</tmp/sessions.db-wal> <unfinished ...>"
    RETURNS = "8 <... fdatasync resumed>)         = 0"

    def test_only_what_lies_between_counts(self):
        failed = self.RETURNS.replace("= 0", "= -1 EIO (Input/output error)")
        for lines, want in [
            ([self.RECEIVED, self.BEGINS, self.RETURNS, self.SENT], True),
            ([self.RECEIVED, "8 fsync(5</tmp/sessions.db-wal>) = 0", self.SENT], True),
            ([self.RECEIVED, self.SENT], False),
            ([self.BEGINS, self.RECEIVED, self.RETURNS, self.SENT], False),
            ([self.RECEIVED, self.BEGINS, self.SENT, self.RETURNS], False),
            ([self.RECEIVED, self.BEGINS, failed, self.SENT], False),
            ([self.RECEIVED, self.BEGINS.replace("sessions.db", "other"), self.RETURNS, self.SENT], False),
        ]:
            self.assertEqual(list(answered(lines)), [("/logout", want)], lines)
