"""After the gateway's logout the sessions of real applications are over, too: their old cookies, straight at them, are dead."""

import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import applications
from parts import EXEUNT, PASSWORD, Visitor, start_gateway
from test_shop import Running

DJANGO = '\npreset = "django-admin"\n'


class Django(Running):
    """Django as its manual shows it, with sessions that remember the user by themselves."""

    identity = "OnceIsEnough"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        configuration = cls.folder / "config.toml"
        first, rest = configuration.read_text().split('\n[[route]]\npath = "/public"')
        configuration.write_text(f'{first}{DJANGO}\n[[route]]\npath = "/public"{rest}')
        subprocess.run([EXEUNT, "reload"], cwd=cls.folder, check=True)

    def straight(self, cookie):
        """Who Django takes the owner of this cookie for, without the gateway, and the cart."""
        command = ["curl", "--silent", "--fail", "--cookie", f"sessionid={cookie}",
                   f"http://localhost:{self.shop.port}/cart"]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        return answer.stdout.replace(" ", "")

    def shopping(self, user="alice"):
        """Signs in and fills the cart; the cookie that Django set and the gateway kept."""
        self.visitor.sign_in(user)
        self.visitor.get("/cart")
        self.visitor.post("/cart", "--header", f"X-CSRFToken: {self.visitor.cookie('csrftoken')}", item="lamp")
        cookie = self.visitor.get("/whoami").json()["cookies"]["sessionid"]
        self.assertEqual(self.straight(cookie), f'{{"user":"{user}","items":["lamp"]}}')
        return cookie

    def test_a_logout_ends_djangos_session(self):
        cookie = self.shopping()
        receipt = self.visitor.sign_out().json()
        self.assertEqual(receipt["applications"], [{"application": "/", "result": "ended by call"}])
        self.assertEqual(self.straight(cookie), '{"user":"","items":[]}')

    def test_a_revoke_ends_it_without_the_browsers_token(self):
        cookie = self.shopping()
        subprocess.run([EXEUNT, "session", "revoke", "--user", "alice"], cwd=self.folder, check=True, capture_output=True)
        self.gateway.wait_until(r'event=application_logout user=alice .*result="ended by call"')
        self.assertEqual(self.straight(cookie), '{"user":"","items":[]}')

    def test_another_user_of_the_browser_ends_it(self):
        cookie = self.shopping("alice")
        self.visitor.sign_in("bob")
        self.gateway.wait_until(r'(?s)signed_in_again.*event=application_logout user=alice')
        self.assertEqual(self.straight(cookie), '{"user":"","items":[]}')
        self.assertEqual(self.visitor.get("/cart").json(), {"user": "bob", "items": []})


class Application(unittest.TestCase):
    """An application and a gateway with its preset for all tests of a class."""

    preset = ""

    @staticmethod
    def start(folder):
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="exeunt-e2e-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.application = cls.start(cls.folder)
        cls.addClassCleanup(cls.application.stop)
        cls.gateway = start_gateway(cls.folder, cls.application.port)
        cls.addClassCleanup(cls.gateway.stop)
        configuration = cls.folder / "config.toml"
        configuration.write_text(configuration.read_text().replace("[[route]]", f'[[route]]\npreset = "{cls.preset}"'))
        subprocess.run([EXEUNT, "reload"], cwd=cls.folder, check=True, capture_output=True)

    def setUp(self):
        self.visitor = Visitor(self.gateway)
        self.visitor.sign_in()


class DokuWiki(Application):
    preset = "dokuwiki"
    start = staticmethod(applications.dokuwiki)

    def test_nobody_has_the_cookies_that_its_own_logout_leaves_valid(self):
        self.visitor.get("/doku.php?do=login")
        self.visitor.post("/doku.php?do=login", u="alice", p=PASSWORD, do="login", id="start")
        self.assertIn("do=logout", self.visitor.get("/doku.php").body.decode())
        cookies = self.application.seen()
        self.assertRegex(cookies, "(^|; )DW[0-9a-f]+=")
        in_browser = [line.split("\t")[5] for line in self.visitor.jar.read_text().splitlines() if line.count("\t") == 6]
        self.assertFalse([name for name in in_browser if name.startswith(("DW", "DokuWiki"))])
        receipt = self.visitor.sign_out().json()
        self.assertEqual(receipt["applications"][0]["result"], "cookies dropped")
        self.visitor.sign_in("bob")
        self.assertIn("do=login", self.visitor.get("/doku.php").body.decode(), "the next user is nobody there")
        self.assertIn("do=logout", self.application.straight("/doku.php", cookies),
                      "if this is not so any more, the preset should make the call")


class MediaWiki(Application):
    preset = "mediawiki"
    start = staticmethod(applications.mediawiki)

    def test_a_logout_ends_its_session(self):
        page = self.visitor.get("/index.php?title=Special:UserLogin").body.decode()
        token = re.search(r'name="wpLoginToken"[^>]*value="([^"]+)"|value="([^"]+)"[^>]*name="wpLoginToken"', page)
        token = token[1] or token[2]
        self.visitor.post("/index.php?title=Special:UserLogin", wpName="Alice", wpPassword=PASSWORD,
                          wpLoginToken=token, wploginattempt="Log in", authAction="login")
        who = "/api.php?action=query&meta=userinfo&format=json"
        self.assertIn('"name":"Alice"', self.visitor.get(who).body.decode())
        cookies = self.application.seen()
        self.assertIn('"name":"Alice"', self.application.straight(who, cookies))
        receipt = self.visitor.sign_out().json()
        self.assertEqual(receipt["applications"][0]["result"], "ended by call")
        self.assertNotIn('"name":"Alice"', self.application.straight(who, cookies))
