"""The audit targets of the program: a receiver in another language verifies what it is told, and a disk that takes no
more prevents no sign-out."""

import base64
import hashlib
import hmac
import json
import queue
import shlex
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import evidence
from parts import EXEUNT, READY_SECONDS, WRONG_PASSWORD, Part, Visitor
from test_shop import Running

SECRET = bytes(range(32))


class Receiver(BaseHTTPRequestHandler):
    """Verifies requests as the Standard Webhooks specification says. The first one it refuses."""

    protocol_version = "HTTP/1.1"
    told, refuses = queue.Queue(), True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        stamp = self.headers["webhook-timestamp"]
        message = b".".join([self.headers["webhook-id"].encode(), stamp.encode(), body])
        code = base64.b64encode(hmac.digest(SECRET, message, hashlib.sha256)).decode()
        genuine = hmac.compare_digest(f"v1,{code}", self.headers["webhook-signature"])
        fresh = abs(time.time() - int(stamp)) < 300
        Receiver.refuses, refused = False, Receiver.refuses
        self.send_response(503 if refused else 204 if genuine and fresh else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()
        if not refused:
            Receiver.told.put(json.loads(body) if genuine and fresh else self.headers["webhook-signature"])

    def log_message(self, *_):
        pass


class Told(Running):
    @classmethod
    def setUpClass(cls):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cls.addClassCleanup(server.server_close)
        cls.addClassCleanup(server.shutdown)
        cls.audit = f"""
            webhook = "http://127.0.0.1:{server.server_port}/hook"
            webhook_secret_file = "webhook.secret"
        """
        super().setUpClass()

    @classmethod
    def prepare(cls, folder):
        secret = "whsec_" + base64.b64encode(SECRET).decode()
        evidence.secret(secret)
        (folder / "webhook.secret").write_text(secret + "\n")

    def test_a_receiver_is_told_of_a_sign_in_and_of_the_logout_with_its_receipt(self):
        self.visitor.sign_in(password=WRONG_PASSWORD)
        self.visitor.sign_in()
        receipt = self.visitor.sign_out("/logout", "--header", "Accept: application/json").json()
        want = ["started", "sign_in_refused", "signed_in", "session_ended"]
        told = [Receiver.told.get(timeout=READY_SECONDS) for _ in want]
        self.assertEqual(sorted(event["event"] for event in told), sorted(want))
        ended = next(event for event in told if event["event"] == "session_ended")
        self.assertEqual((ended["user"], ended["cause"]), ("alice", "logout"))
        self.assertEqual(ended["receipt"]["logout_id"], receipt["logout_id"])
        self.assertEqual(self.gateway.stop(), 0)
        events = [json.loads(line) for line in (self.folder / "audit.jsonl").read_text().splitlines()]
        self.assertEqual([event["event"] for event in events], [*want, "stopped"])
        self.assertEqual({event["id"] for event in told} - {event["id"] for event in events}, set())


class FullDisk(Running):
    """No file may be longer than 4 KiB: writing fails as on a full disk."""

    def test_sign_out_succeeds_and_the_log_reports_the_failure(self):
        self.gateway.stop()
        text = (self.folder / "config.toml").read_text().replace("audit.jsonl", "full.jsonl")
        (self.folder / "full.toml").write_text(text + '[session]\nstore = "memory"\n')
        (self.folder / "full.jsonl").write_text("{}\n" * 1300)
        # The log is behind a pipe: as a file it would be full as well.
        serve = f"exec {shlex.quote(str(EXEUNT))} serve --config full.toml"
        command = f"exec > >(cat) 2>&1; trap '' XFSZ; ulimit -f 4; {serve}"
        full = Part(self.folder, "full", ["bash", "-c", command], r"listening.*127\.0\.0\.1:(\d+)")
        self.addCleanup(full.stop)
        visitor = Visitor(full)
        for _ in range(3):
            self.assertEqual(visitor.sign_in().status, 303)
            self.assertEqual(visitor.sign_out("/logout", "--header", "Accept: application/json").status, 200)
            self.assertFalse(visitor.is_signed_in())
        full.wait_until("the audit file cannot be written.*File too large")


del Running  # It is a base here.

if __name__ == "__main__":
    unittest.main()
