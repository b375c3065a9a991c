"""After the gateway's logout the sessions of real applications are over, too: their old cookies, sent straight to
them, are dead."""

import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import applications
from parts import EXEUNT, PASSWORD, Visitor, start_gateway
from test_shop import Running

DJANGO = '\npreset = "django-admin"\n'


CLICK = ["--header", "Accept: text/html", "--header", "Sec-Fetch-Site: same-origin",
         "--header", "Sec-Fetch-Mode: navigate", "--header", "Sec-Fetch-Dest: document"]
"""A person follows a link of a page."""


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

    def test_its_own_form_signs_out_of_both(self):
        cookie = self.shopping()
        foreign = self.visitor.post("/admin/logout/", "--header", "Origin: https://evil.example")
        self.assertEqual((foreign.status, self.visitor.is_signed_in()), (403, True))
        receipt = self.visitor.post("/admin/logout/").json()
        self.assertEqual(receipt["applications"], [{"application": "/", "result": "ended by call"}])
        self.assertFalse(self.visitor.is_signed_in())
        self.assertEqual(self.straight(cookie), '{"user":"","items":[]}')

    def test_a_revoke_ends_it_without_the_browsers_token(self):
        cookie = self.shopping()
        revoke = [EXEUNT, "session", "revoke", "--user", "alice"]
        subprocess.run(revoke, cwd=self.folder, check=True, capture_output=True)
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
    configuration = ""
    login = "/login"

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
        cls.gateway = start_gateway(cls.folder, cls.application.port, cls.configuration)
        cls.addClassCleanup(cls.gateway.stop)
        cls.configure(lambda text: text.replace("[[route]]", f'[[route]]\npreset = "{cls.preset}"'))

    @classmethod
    def configure(cls, change):
        configuration = cls.folder / "config.toml"
        before = configuration.read_text()
        configuration.write_text(change(before))
        subprocess.run([EXEUNT, "reload"], cwd=cls.folder, check=True, capture_output=True)
        return lambda: cls.configure(lambda _: before)

    def setUp(self):
        self.visitor = Visitor(self.gateway)
        self.visitor.sign_in(path=self.login)

    def in_browser(self):
        """The names of the cookies in the visitor's jar."""
        return [line.split("\t")[5] for line in self.visitor.jar.read_text().splitlines() if line.count("\t") == 6]


class AtTheSameAddresses(Application):
    """An application that has a /login and a /logout of its own."""

    configuration = 'path = "/.exeunt/login"\n[logout]\npaths = ["/.exeunt/logout"]\n'
    login = "/.exeunt/login"


class DokuWiki(Application):
    preset = "dokuwiki"
    start = staticmethod(applications.dokuwiki)

    def test_cookies_that_its_logout_leaves_valid_are_dropped(self):
        self.visitor.get("/doku.php?do=login")
        self.visitor.post("/doku.php?do=login", u="alice", p=PASSWORD, do="login", id="start")
        self.assertIn("do=logout", self.visitor.get("/doku.php").body.decode())
        cookies = self.application.seen()
        self.assertRegex(cookies, "(^|; )DW[0-9a-f]+=")
        self.assertFalse([name for name in self.in_browser() if name.startswith(("DW", "DokuWiki"))])
        receipt = self.visitor.sign_out().json()
        self.assertEqual(receipt["applications"][0]["result"], "cookies dropped")
        self.visitor.sign_in("bob")
        self.assertIn("do=login", self.visitor.get("/doku.php").body.decode(), "the next user is nobody there")
        self.assertIn("do=logout", self.application.straight("/doku.php", cookies),
                      "if this is not so any more, the preset should make the call")

    def test_its_own_link_signs_out_of_the_gateway(self):
        self.assertEqual(self.visitor.get("/doku.php?id=start&do=logout&sectok=5eaf", *CLICK).status, 303)
        self.assertFalse(self.visitor.is_signed_in())


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

    def test_its_own_link_signs_out_of_the_gateway(self):
        self.assertEqual(self.visitor.get("/index.php?title=Special:UserLogout&returnto=Main+Page", *CLICK).status, 303)
        self.assertFalse(self.visitor.is_signed_in())


class WordPress(Application):
    preset = "wordpress"
    start = staticmethod(applications.wordpress)

    def sign_in_there(self):
        """The cookies that WordPress gives alice; they are for the host that her browser sees."""
        self.visitor.get("/wp-login.php")
        fields = {"log": "alice", "pwd": PASSWORD, "wp-submit": "Log In", "testcookie": "1"}
        self.visitor.post("/wp-login.php", "--cookie", "wordpress_test_cookie=WP%20Cookie%20check", **fields)
        self.assertIn("alice@example.com", self.visitor.get("/wp-admin/profile.php").body.decode())
        return self.application.seen()

    def straight(self, cookies):
        command = ["--header", f"Host: localhost:{self.gateway.port}", "--no-location"]
        return self.application.straight("/wp-admin/profile.php", cookies, *command)

    def test_a_logout_ends_its_login_token(self):
        cookies = self.sign_in_there()
        self.assertRegex(cookies, "(^|; )wordpress_logged_in_[0-9a-f]+=")
        self.assertIn("alice@example.com", self.straight(cookies))
        receipt = self.visitor.sign_out().json()
        self.assertEqual(receipt["applications"][0]["result"], "ended by call")
        self.assertNotIn("alice@example.com", self.straight(cookies))
        self.visitor.sign_in("bob")
        answer = self.visitor.get("/wp-admin/profile.php")
        self.assertEqual(answer.status, 302, "the next user is nobody there")
        self.assertIn("/wp-login.php", answer.header("location"))

    def own_link(self):
        profile = self.visitor.get("/wp-admin/profile.php").body.decode()
        return re.search(r"/wp-login\.php\?action=logout[^'\"]*", profile)[0].replace("&amp;", "&").replace("#038;", "")

    def test_its_own_link_goes_on_where_that_is_wanted(self):
        second = '\n[[route]]\npreset = "wordpress"\npath = "/public"'
        also = '\n[route.logout]\nalso = "application"\n'
        self.addCleanup(self.configure(lambda text: text.replace(second, also + second)))
        cookies = self.sign_in_there()
        answer = self.visitor.get(self.own_link(), *CLICK)
        self.assertEqual(answer.status, 302)
        self.assertIn("/wp-login.php?loggedout=true", answer.header("location"), "WordPress's own answer")
        deleted = [line.partition("=")[0] for line in answer.headers["set-cookie"]]
        self.assertTrue({"exeunt"} < set(deleted) and any(name.startswith("wp-settings-") for name in deleted), deleted)
        self.assertFalse(self.visitor.is_signed_in())
        self.assertNotIn("alice@example.com", self.straight(cookies))
        self.gateway.wait_until(r'event=application_logout user=alice .*result="ended by call"')

    def test_its_own_link_signs_out_of_both(self):
        cookies, link = self.sign_in_there(), self.own_link()
        foreign = [line.replace("same-origin", "cross-site") for line in CLICK]
        foreign = self.visitor.get(link, *foreign)
        seen = (foreign.status, self.visitor.is_signed_in())
        self.assertEqual(seen, (200, True), "a page of another site cannot sign out")
        answer = self.visitor.get(link, *CLICK)
        self.assertEqual(answer.status, 303)
        self.assertRegex(answer.header("location"), "^/.exeunt/goodbye")
        self.assertFalse(self.visitor.is_signed_in())
        self.assertNotIn("alice@example.com", self.straight(cookies))


class PhpMyAdmin(Application):
    preset = "phpmyadmin"
    start = staticmethod(applications.phpmyadmin)

    databases = "/index.php?route=/server/databases"

    def token(self):
        page = self.visitor.get("/index.php?route=/").body.decode()
        return re.search(r'name="token" value="([^"]+)"', page)[1], page

    def sign_in_there(self):
        """The cookies that phpMyAdmin gives root."""
        token, page = self.token()
        session = re.search(r'name="set_session" value="([^"]+)"', page)[1]
        self.visitor.post("/index.php?route=/", pma_username="root", pma_password="", server="1", token=token,
                          set_session=session)
        self.assertIn("information_schema", self.visitor.get(self.databases).body.decode())
        cookies = self.application.seen()
        self.assertIn("information_schema", self.application.straight(self.databases, cookies))
        return cookies

    def test_its_own_form_signs_out_of_both(self):
        cookies = self.sign_in_there()
        answer = self.visitor.post("/index.php?route=/logout", "--header", "Sec-Fetch-Site: same-origin",
                                   token=self.token()[0])
        self.assertEqual(answer.json()["applications"][0]["result"], "ended by call")
        self.assertFalse(self.visitor.is_signed_in())
        self.assertNotIn("information_schema", self.application.straight(self.databases, cookies))

    def test_a_logout_ends_its_session_and_the_password_is_gone(self):
        cookies = self.sign_in_there()
        self.assertRegex(cookies, "(^|; )pmaAuth-1=")
        self.assertFalse([name for name in self.in_browser() if name.startswith(("pma", "phpMyAdmin"))])
        receipt = self.visitor.sign_out().json()
        self.assertEqual(receipt["applications"][0]["result"], "ended by call")
        self.assertNotIn("information_schema", self.application.straight(self.databases, cookies))
        self.visitor.sign_in("bob")
        self.assertNotIn("information_schema", self.visitor.get(self.databases).body.decode())


class Jupyter(AtTheSameAddresses):
    preset = "jupyter"
    start = staticmethod(applications.jupyter)

    def test_cookie_that_its_logout_leaves_valid_is_dropped(self):
        self.assertEqual(self.visitor.get("/api/me").status, 403)
        self.visitor.get("/login")
        self.assertEqual(self.visitor.post("/login", _xsrf=self.visitor.cookie("_xsrf"), password=PASSWORD).status, 302)
        name = self.visitor.get("/api/me").json()["identity"]["username"]
        cookies = self.application.seen()
        self.assertRegex(cookies, f"(^|; )username-localhost-{self.gateway.port}=")
        self.assertFalse([name for name in self.in_browser() if name.startswith("username-")])
        self.assertEqual(self.visitor.get("/logout", *CLICK).status, 303, "its own link is the gateway's business")
        self.assertFalse(self.visitor.is_signed_in())
        self.gateway.wait_until(r"event=session_ended.* cause=logout")
        self.visitor.sign_in("bob", path=self.login)
        self.assertEqual(self.visitor.get("/api/me").status, 403, "the next user is nobody there")
        host = ["--header", f"Host: localhost:{self.gateway.port}"]
        self.assertIn(name, self.application.straight("/api/me", cookies, *host),
                      "if this is not so any more, the preset should make the call")


class PgAdmin(AtTheSameAddresses):
    """It takes the identity from a header at its own sign-in, and never again."""

    preset = "pgadmin"
    start = staticmethod(applications.pgadmin)

    def who(self, answer):
        found = re.search(r"username: '(\w*)'", answer)
        return found and found[1]

    def who_am_i(self):
        self.visitor.get("/browser/", "--location")
        return self.who(self.visitor.get("/browser/js/utils.js").body.decode())

    def straight(self, cookies):
        return self.who(self.application.straight("/browser/js/utils.js", cookies))

    def test_a_logout_ends_its_session(self):
        self.assertEqual(self.who_am_i(), "alice")
        cookies = self.application.seen()
        self.assertRegex(cookies, "(^|; )pga4_session=")
        self.assertNotIn("pga4_session", self.in_browser())
        self.assertEqual(self.straight(cookies), "alice")
        receipt = self.visitor.sign_out("/.exeunt/logout").json()
        self.assertEqual(receipt["applications"][0]["result"], "ended by call")
        self.assertIsNone(self.straight(cookies))
        self.visitor.sign_in("bob", path=self.login)
        self.assertEqual(self.who_am_i(), "bob")

    def test_next_user_is_shown_as_that_user(self):
        self.assertEqual(self.who_am_i(), "alice")
        cookies = self.application.seen()
        self.visitor.sign_in("bob", path=self.login)
        self.assertEqual(self.who_am_i(), "bob")
        self.gateway.wait_until(r'event=application_logout user=alice .*result="ended by call"')
        self.assertIsNone(self.straight(cookies), "nobody is alice there any more")

    def test_its_own_link_signs_out_of_both(self):
        self.assertEqual(self.who_am_i(), "alice")
        cookies = self.application.seen()
        self.assertEqual(self.visitor.get("/logout", *CLICK).status, 303)
        self.assertFalse(self.visitor.is_signed_in())
        self.assertIsNone(self.straight(cookies))


class NodeRed(Application):
    """Its editor keeps a token, in the storage of the browser."""

    preset = "node-red"
    start = staticmethod(applications.node_red)

    def token(self):
        fields = {"client_id": "node-red-editor", "grant_type": "password", "scope": "*", "username": "alice",
                  "password": PASSWORD}
        return self.visitor.post("/auth/token", **fields).json()["access_token"]

    def straight(self, token):
        """What the editor's settings answer to this token, without the gateway."""
        arguments = ["--output", "/dev/null", "--write-out", "%{http_code}",
                     "--header", f"Authorization: Bearer {token}"]
        return applications.straight(self.application.port, "/settings", "none=", *arguments)

    def test_its_own_logout_revokes_the_token_and_signs_out_of_the_gateway(self):
        token = self.token()
        authorised = ["--header", f"Authorization: Bearer {token}"]
        self.assertEqual(self.visitor.get("/settings", *authorised).status, 200)
        self.assertEqual(self.straight(token), "200")
        script = ["--header", "X-Requested-With: XMLHttpRequest", "--header", "Sec-Fetch-Mode: cors", *authorised]
        foreign = self.visitor.post("/auth/revoke", "--header", "Sec-Fetch-Site: cross-site", *script, token=token)
        self.assertEqual((foreign.status, self.straight(token)), (403, "200"))
        answer = self.visitor.post("/auth/revoke", "--header", "Sec-Fetch-Site: same-origin", *script, token=token)
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.straight(token), "401")
        self.assertFalse(self.visitor.is_signed_in())

    def test_a_logout_of_the_gateway_does_not_reach_the_token(self):
        token = self.token()
        self.visitor.sign_out()
        self.assertEqual(self.straight(token), "200", "if this is not so any more, the preset should say so")
