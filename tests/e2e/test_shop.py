"""Sign in at the gateway, be that user for Django, sign out, be out."""

import signal
import subprocess
import tempfile
import unittest
from pathlib import Path
from urllib.parse import quote

from parts import EXEUNT, GUNICORN, PASSWORD, WAITRESS, Visitor, start_gateway, start_shop

SPELLINGS = [
    "Remote-User", "remote-user", "REMOTE-USER", "Remote_User", "remote_user", "REMOTE_USER", "Remote-user",
    "HTTP_REMOTE_USER", "Http-Remote-User", "Remote.User",
]
"""Names that some server folds into the HTTP_REMOTE_USER that Django reads."""


class Running(unittest.TestCase):
    """A shop and a gateway for all tests of a class."""

    server = WAITRESS
    identity = "EveryRequest"
    configuration = ""
    audit = ""
    environment = {}

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="exeunt-e2e-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.shop = start_shop(cls.folder, cls.server, cls.identity)
        cls.addClassCleanup(cls.shop.stop)
        cls.prepare(cls.folder)
        cls.gateway = start_gateway(cls.folder, cls.shop.port, cls.configuration, cls.audit, **cls.environment)
        cls.addClassCleanup(cls.gateway.stop)

    @classmethod
    def prepare(cls, folder):
        """What the gateway needs in its folder."""

    def setUp(self):
        self.visitor = Visitor(self.gateway)


class Shopping:
    """The same under every server."""

    def test_a_stranger_does_not_reach_django(self):
        answer = self.visitor.get("/whoami?a=b")
        self.assertEqual(answer.status, 401)
        self.assertEqual(answer.header("link"), '</login?next=%2Fwhoami%3Fa%3Db>; rel="login"')
        self.assertIsNone(answer.header("www-authenticate"))
        self.assertEqual(answer.json()["login"], "/login?next=%2Fwhoami%3Fa%3Db")
        self.assertEqual(self.visitor.whoami(), "", "a public page is open to strangers, who are nobody")

    def test_django_sees_the_signed_in_user(self):
        self.assertEqual(self.visitor.sign_in().status, 303)
        seen = self.visitor.get("/whoami").json()
        self.assertEqual(seen["user"], "alice")
        told = {name: seen["headers"][f"HTTP_{name}"] for name in
                ["REMOTE_USER", "REMOTE_EMAIL", "REMOTE_GROUPS", "REMOTE_NAME", "X_FORWARDED_USER"]}
        self.assertEqual(told, {"REMOTE_USER": "alice", "REMOTE_EMAIL": "alice@example.com", "REMOTE_GROUPS": "staff",
                                "REMOTE_NAME": "Alice Liddell", "X_FORWARDED_USER": "alice"})
        self.assertNotIn("exeunt", seen["cookies"], "the gateway's own cookie goes no further")
        self.assertEqual(self.visitor.whoami(), "alice", "known on public pages too")

    def test_identity_header_of_a_client_is_ignored(self):
        spoofed = [part for name in SPELLINGS for part in ("--header", f"{name}: root")]
        for name in SPELLINGS:
            with self.subTest(name=name):
                self.assertEqual(self.visitor.whoami("--header", f"{name}: root"), "")
        self.assertEqual(self.visitor.whoami(*spoofed), "")
        self.assertEqual(self.visitor.get("/whoami", *spoofed).status, 401)
        self.visitor.sign_in("bob")
        for path in ["/whoami", "/public/whoami"]:
            with self.subTest(path=path):
                self.assertEqual(self.visitor.whoami(*spoofed, path=path), "bob")
                nominated = ("--header", "Connection: close, Remote-User")
                self.assertEqual(self.visitor.whoami(*nominated, path=path), "bob")
        groups = self.visitor.get("/whoami", "--header", "Remote-Groups: staff").json()["headers"]
        self.assertNotIn("HTTP_REMOTE_GROUPS", groups, "bob is in no group, whatever he says")

    def test_groups_open_doors(self):
        self.visitor.sign_in("bob")
        answer = self.visitor.get("/staff/whoami", "--header", "Remote-Groups: staff")
        self.assertEqual((answer.status, answer.json()["error"]), (403, "group_missing"))
        self.visitor.sign_in("alice")
        self.assertEqual(self.visitor.whoami(path="/staff/whoami"), "alice")

    def test_a_cart_in_a_session_of_django(self):
        self.visitor.sign_in()
        self.assertEqual(self.visitor.get("/cart").json(), {"user": "alice", "items": []})
        token = ("--header", f"X-CSRFToken: {self.visitor.cookie('csrftoken')}")
        # Django compares a browser's Origin with the Host that it sees: it must be the one that the browser asked for.
        origin = ("--header", f"Origin: {self.visitor.base}")
        self.visitor.post("/cart", *token, *origin, item="lamp")
        self.assertEqual(self.visitor.post("/cart", *token, item="rug").json()["items"], ["lamp", "rug"])
        self.assertEqual(self.visitor.get("/cart").json(), {"user": "alice", "items": ["lamp", "rug"]})
        foreign = self.visitor.post("/cart", *token, "--header", "Origin: http://evil.example", item="x")
        self.assertEqual(foreign.status, 403, "Django's own protection works as without a gateway")

    def test_next_user_of_the_browser_has_an_empty_cart(self):
        self.visitor.sign_in()
        self.visitor.get("/cart")
        self.visitor.post("/cart", "--header", f"X-CSRFToken: {self.visitor.cookie('csrftoken')}", item="lamp")
        self.assertIsNone(self.visitor.cookie("sessionid"), "Django's session stays in the gateway")
        self.assertEqual(self.visitor.get("/.exeunt/session").json()["cookies"], ["sessionid"])
        hers = self.visitor.get("/whoami").json()["cookies"]["sessionid"]
        answer = self.visitor.sign_out()
        receipt = answer.json()
        cookies = next(step for step in receipt["steps"] if step["step"] == "cookies")
        self.assertEqual((cookies["result"], cookies["count"]), ("done", 2), "sessionid and csrftoken")
        [token, own] = answer.headers["set-cookie"]
        self.assertTrue(token.startswith("csrftoken=;") and "Max-Age=0" in token, token)
        self.assertTrue(own.startswith("exeunt=;"), "the last one: some clients delete no other")
        self.visitor.sign_in("bob")
        self.assertEqual(self.visitor.get("/cart").json(), {"user": "bob", "items": []})
        self.assertNotEqual(self.visitor.get("/whoami").json()["cookies"].get("sessionid"), hers, "nothing of hers")

    def test_sign_out_ends_the_session(self):
        self.visitor.sign_in()
        self.assertEqual(self.visitor.whoami(path="/whoami"), "alice")
        captured = f"exeunt={self.visitor.cookie('exeunt')}"
        other, thief = Visitor(self.gateway), Visitor(self.gateway)
        other.sign_in()
        self.assertEqual(thief.whoami("--cookie", captured), "alice", "the cookie is all it takes, until the logout")

        receipt = self.visitor.sign_out()
        self.assertEqual((receipt.status, receipt.json()["user"]), (200, "alice"))
        self.assertEqual(receipt.json()["steps"][0]["result"], "done")
        self.assertIsNone(self.visitor.cookie("exeunt"), "the browser has forgotten it")

        for path, status in [("/whoami", 401), ("/cart", 401), ("/.exeunt/session", 401)]:
            self.assertEqual(thief.get(path, "--cookie", captured).status, status, f"{path} with the captured cookie")
        self.assertEqual(thief.whoami("--cookie", captured), "")
        self.assertEqual(self.visitor.whoami(), "", "Django sees nobody")
        self.assertEqual(self.visitor.get("/whoami").status, 401)
        self.assertTrue(other.is_signed_in(), "another device is signed in as before")

    def test_targets_arrive_as_they_were_judged(self):
        self.visitor.sign_in()
        self.assertEqual(self.visitor.get("/a/../whoami?x=%2Fy").json()["path"], "/whoami?x=%2Fy")
        for odd in ["/a%2f..%2fwhoami", "//whoami", "/whoami%00", "/a\\b"]:
            with self.subTest(target=odd):
                self.assertEqual(self.visitor.get(odd).status, 400)


class UnderWaitress(Shopping, Running):
    pass


class UnderGunicorn(Shopping, Running):
    server = GUNICORN

    def test_where_a_request_comes_from_is_told_by_the_gateway_alone(self):
        """Waitress removes these lines unless it is told to trust them."""
        names = ["For", "Proto", "Host", "Port", "Prefix"]
        lies = [part for name in names for part in ("--header", f"X-Forwarded-{name}: 192.0.2.7")]
        seen = self.visitor.get("/public/whoami", *lies, "--header", "Forwarded: for=192.0.2.7").json()["headers"]
        told = {name: value for name, value in seen.items() if "FORWARDED" in name}
        self.assertEqual(told.pop("HTTP_X_FORWARDED_PORT"), str(self.gateway.port))
        self.assertEqual(told, {"HTTP_X_FORWARDED_FOR": "127.0.0.1", "HTTP_X_FORWARDED_PROTO": "http",
                                "HTTP_X_FORWARDED_HOST": f"localhost:{self.gateway.port}"})


class OnceIsEnough(Running):
    """Django's persistent variant: it remembers by its own session, whose cookie stays in the gateway."""

    identity = "OnceIsEnough"

    def test_protected_pages_are_closed_after_the_logout(self):
        self.visitor.sign_in()
        self.assertEqual(self.visitor.whoami(path="/whoami"), "alice")
        self.assertIsNone(self.visitor.cookie("sessionid"))
        self.visitor.sign_out()
        for path in ["/whoami", "/cart"]:
            self.assertEqual(self.visitor.get(path).status, 401, "Django is not asked, so it cannot remember")
        self.assertEqual(self.visitor.whoami(), "", "on a public page it is asked, and remembers nobody")

    def test_next_user_is_not_the_previous_one(self):
        self.visitor.sign_in()
        self.assertEqual(self.visitor.whoami(path="/whoami"), "alice")
        self.visitor.sign_in("bob")
        self.assertEqual(self.visitor.whoami(path="/whoami"), "bob")


class Tracked(Running):
    """The same with all cookies in the browser."""

    identity = "OnceIsEnough"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        configuration = cls.folder / "config.toml"
        configuration.write_text(configuration.read_text().replace("[[route]]", '[[route]]\napp_cookies = "track"'))
        subprocess.run([EXEUNT, "reload"], cwd=cls.folder, check=True)

    def test_what_django_gave_the_browser_is_gone_after_the_logout(self):
        self.visitor.sign_in()
        self.assertEqual(self.visitor.whoami(path="/whoami"), "alice")
        self.assertIsNotNone(self.visitor.cookie("sessionid"))
        self.visitor.sign_out()
        self.assertIsNone(self.visitor.cookie("sessionid"))
        self.assertEqual(self.visitor.whoami(), "", "Django remembers nobody")

    def test_another_user_of_the_browser_does_not_carry_it(self):
        self.visitor.sign_in()
        self.visitor.get("/whoami")
        self.visitor.sign_in("bob")
        self.assertIsNone(self.visitor.cookie("sessionid"))
        self.assertEqual(self.visitor.whoami(path="/whoami"), "bob")


class LifeOfTheProgram(Running):
    def test_a_hangup_does_not_end_it_and_a_stop_does(self):
        self.visitor.sign_in()
        captured = self.visitor.cookie("exeunt")
        self.gateway.process.send_signal(signal.SIGHUP)
        self.gateway.wait_until(r"event=reloaded")
        self.assertTrue(self.visitor.is_signed_in())
        self.visitor.sign_out()
        self.assertEqual(self.gateway.stop(), 0)
        log = self.gateway.log.read_text()
        self.assertIn("user=alice", log)
        for secret in [PASSWORD, quote(PASSWORD), captured]:
            self.assertNotIn(secret, log)


class Reloading(Running):
    def exeunt(self, *arguments):
        return subprocess.run([EXEUNT, *arguments], cwd=self.folder, capture_output=True, text=True, check=False)

    def test_a_reload_changes_all_of_it_or_nothing(self):
        configuration = self.folder / "config.toml"
        valid = configuration.read_text()
        self.visitor.sign_in("bob")
        configuration.write_text(valid + "[nonsense]\n")
        refused = self.exeunt("reload")
        self.assertEqual((refused.returncode, "nonsense" in refused.stderr), (1, True), refused)
        self.assertTrue(self.visitor.is_signed_in())
        configuration.write_text(valid)
        self.assertEqual(self.exeunt("reload").returncode, 0)
        self.assertTrue(self.visitor.is_signed_in())
        removed = self.exeunt("user", "remove", "bob")
        self.assertEqual(removed.returncode, 0, removed)
        self.assertFalse(self.visitor.is_signed_in(), removed)
        self.assertEqual(self.visitor.sign_in("bob").status, 401)
        self.assertEqual(self.visitor.sign_in("alice").status, 303)
