"""After the gateway's logout the sessions of real applications are over, too: their old cookies, straight at them, are dead."""

import subprocess

from parts import EXEUNT
from test_shop import Running

DJANGO = """
[route.logout]
call = "POST /admin/logout/"
csrf = { cookie = "csrftoken", header = "X-CSRFToken", field = "csrfmiddlewaretoken" }
"""


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
