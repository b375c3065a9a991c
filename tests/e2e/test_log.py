"""However much is asked for, no secret is logged; and what is promised to be JSON is nothing else."""

import json
import socket
from urllib.parse import quote

from parts import PASSWORD, WRONG_PASSWORD
from test_shop import Running


class EverythingIsLogged(Running):
    environment = {"RUST_LOG": "trace"}

    def test_no_head_and_no_form_is_shown(self):
        self.visitor.sign_in(password=WRONG_PASSWORD)
        self.visitor.sign_in()
        cookie = self.visitor.cookie("exeunt")
        self.assertEqual(self.visitor.whoami(path="/whoami"), "alice")
        # The engine itself answers heads that it cannot read.
        for broken in ["X-A\0: a", "no colon", " folded: a"]:
            self.say(f"GET /whoami HTTP/1.1\r\nHost: localhost\r\nCookie: exeunt={cookie}\r\n{broken}\r\n\r\n")
        self.visitor.sign_out()
        self.assertEqual(self.gateway.stop(), 0)
        log = self.gateway.log.read_text(errors="replace")
        for secret in [PASSWORD, WRONG_PASSWORD, quote(PASSWORD), cookie]:
            self.assertNotIn(secret, log)

    def say(self, head):
        with socket.create_connection(("127.0.0.1", self.gateway.port), timeout=10) as connection:
            connection.sendall(head.encode("latin-1"))
            self.assertIn(b" 400 ", connection.recv(4096))


class ACollectorReads(Running):
    configuration = '[log]\nformat = "json"\n'

    def test_every_line_is_json(self):
        self.visitor.sign_in(password=WRONG_PASSWORD)
        self.visitor.sign_in()
        self.shop.stop()
        self.assertEqual(self.visitor.get("/whoami").status, 502)
        self.assertEqual(self.gateway.stop(), 0)
        lines = [json.loads(line) for line in self.gateway.log.read_text().splitlines()]
        said = {line.get("message") or line["event"] for line in lines}
        self.assertLessEqual({"listening", "an exchange failed", "access", "signed_in", "sign_in_refused"}, said)
