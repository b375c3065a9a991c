"""One gateway in front of one application: every row is sent, and what both of them wrote down is compared."""

import re
import time
from urllib.parse import quote, unquote_to_bytes

from corpus import HOST, ROWS
from parts import PASSWORD, add_user, serve
from speaking import problems_with
from upstreams import COMPLAINTS, Record
from wire import PATIENCE, converse

CONFIGURATION = """
listen = ["127.0.0.1:0"]
public_url = "http://{host}"

[[route]]
path = "/"
upstream = "http://127.0.0.1:{port}"

[[route]]
path = "/public"
access = "public"
upstream = "http://127.0.0.1:{port}"

[login]
users = "users.toml"

[limits]
head_timeout = "1s"
silent_timeout = "1s"
body_timeout = "1s"

[log]
format = "json"
"""

BEFORE_FORWARDING = {"sign_in_required", "group_missing", "cross_site", "socket_origin", "service_worker",
                     "socket_version", "destination_refused", "destination_foreign"}
"""Why a request that a route covers does not reach its application."""

LONGEST_PATH = 1024
"""What the gateway writes of a path."""

BEHIND = "/public/behind"
"""An honest request on the same connection."""
AFTER = "/after"
"""One of alice's, on another."""


class Trial:
    """Every row twice: without a session and as alice. Those about identity also without one on a public page."""

    def __init__(self, folder, start):
        self.problems = []
        self.sent = self.forwarded = self.reached = 0
        record = folder / "record"
        self.record = Record(record)
        self.upstream = start(folder, record)
        add_user(folder, "alice", "--group", "staff", "--email", "alice@example.com", "--name", "Alice Liddell")
        self.gateway = serve(folder, CONFIGURATION.format(host=HOST, port=self.upstream.port))
        self.lines = Record(self.gateway.log)
        self.judged, self.cookie = [], None

    def run(self):
        try:
            for row in ROWS:
                self.put("nobody", row)
            for row in filter(lambda row: row.category == "identity", ROWS):
                self.put("nobody, public page", row.on_public_path())
            self.sign_in()
            for row in ROWS:
                if signed_in := row.with_line(self.cookie):
                    self.put("alice", signed_in)
        finally:
            self.stop()

    def put(self, who, row):
        """Sends a row, then an honest request of a connection of its own, and looks at what came of both."""
        self.sent += 1
        answer = converse(self.gateway.port, row.raw, row.is_to_head(), get(BEHIND))
        if who != "alice" and b"SECRET" in answer.received:
            self.problem(who, row, "the client got the secret")
        if who == "alice" and row.expect == "accept" and answer.status != 200:
            self.problem(who, row, f"it is answered {answer.status}")
        marker = f"/public/after/{self.sent}"
        self.prove_alive(who, row, marker)
        for entry in self.settle(marker):
            self.judge(who, row, entry, marker)

    def prove_alive(self, who, row, marker):
        """The gateway answers an honest request; alice signs in again where a row has signed her out."""
        cookie = self.cookie if who == "alice" else None
        if cookie and self.ask(AFTER, cookie).status == 401:
            self.sign_in()
        if self.ask(marker).status != 200:
            self.problem(who, row, "the gateway does not answer any more")

    def settle(self, marker):
        """What reached the application until both it and the gateway have written down the request `marker`."""
        entries, deadline = [], time.monotonic() + PATIENCE
        self.forget_all_but_the_last()
        while True:
            entries += self.record.take()
            self.read_lines()
            written = any(entry.get("path") == marker for entry in entries)
            if written and any(path == marker for _, path, _ in self.judged):
                return entries
            assert time.monotonic() < deadline, f"nobody wrote down {marker}"
            time.sleep(0.002)

    def read_lines(self):
        """Notes the access lines of requests that were passed on: method, path as it is decoded, and when."""
        for line in self.lines.take():
            if line.get("event") == "access" and line["route"] and line["note"] not in BEFORE_FORWARDING:
                path = unquote_to_bytes(line["path"]).decode("latin-1")
                self.judged.append((line["method"], path, self.sent))
                self.forwarded += 1

    def forget_all_but_the_last(self):
        """A request that the application reads late belongs to this row or the one before."""
        self.judged = [line for line in self.judged if line[2] >= self.sent - 1]

    def judge(self, who, row, entry, marker):
        if "body" in entry:
            self.judge_body(who, row, entry["body"].encode("latin-1"))
            return
        if "broken" in entry:
            self.problem(who, row, f"the application could not read it: {entry['broken']}")
            return
        self.reached += 1
        method, path = entry["method"], entry["path"]
        if not self.was_judged(method, path):
            self.problem(who, row, f"{method} {path[:80]!r} reached the application, and was not judged as that")
        if who != "alice" and not (path == "/public" or path.startswith("/public/")):
            self.problem(who, row, f"{method} {path[:80]!r} reached the application without a session")
        if "smuggled" in path:
            self.problem(who, row, f"{method} {path!r} was smuggled")
        honest = path in (BEHIND, marker, AFTER)
        if row.must_be_refused() and not row.has_a_fine_head() and not honest:
            self.problem(who, row, f"{method} {path[:80]!r} reached the application; wanted: {row.expect}")
        for told in problems_with(entry, row, with_session=who == "alice" and path not in (BEHIND, marker)):
            self.problem(who, row, told)

    def judge_body(self, who, row, body):
        if row.must_be_refused() or not any(body in reading for reading in row.bodies()):
            self.problem(who, row, f"the application was given a body: {body[:80]!r}")

    def was_judged(self, method, path):
        """Whether the gateway passed this on; each of its lines allows one request, and slashes may be merged."""
        deadline = time.monotonic() + PATIENCE / 10
        while True:
            for line in self.judged:
                readings = (line[1], re.sub("/+", "/", line[1]))
                if line[0] == method and any(r == path[:max(LONGEST_PATH, len(r))][:len(path)] for r in readings):
                    self.judged.remove(line)
                    return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
            self.read_lines()

    def ask(self, path, cookie=None):
        return converse(self.gateway.port, get(path, cookie), False, b"")

    def sign_in(self):
        form = f"username=alice&password={quote(PASSWORD)}".encode()
        head = (f"POST /login HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n"
                f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n")
        answer = converse(self.gateway.port, head.encode() + form, False, b"")
        assert answer.status == 303, answer.received
        pair = re.search(rb"(?i)set-cookie: (exeunt=[^;]+)", answer.received)[1]
        self.cookie = b"Cookie: " + pair

    def problem(self, who, row, text):
        self.problems.append(f"{row.id} {row.name} ({who}): {text}")

    def stop(self):
        """Ends both; what they logged in the meantime is looked through."""
        if status := self.gateway.stop():
            self.problems.append(f"the gateway ended with {status}")
        self.upstream.stop()
        if "panicked" in self.gateway.log.read_text(errors="replace"):
            self.problems.append("the gateway panicked")
        complaints = COMPLAINTS.findall(self.upstream.log.read_text(errors="replace"))
        if complaints:
            self.problems.append(f"the application could not read {len(complaints)} requests")


def get(path, line=None):
    lines = b"" if line is None else line + b"\r\n"
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n".encode() + lines + b"\r\n"
