"""What the gateway's own addresses answer to programs, asked by curl."""

from parts import WRONG_PASSWORD, Visitor
from test_shop import Running

HTML = ("--header", "Accept: text/html")
JSON = ("--header", "Accept: application/json")


class Answers(Running):
    def refused(self, answer, status, reason):
        self.assertEqual((answer.status, answer.json()["error"]), (status, reason))
        self.assertNotIn("set-cookie", answer.headers)

    def test_the_sign_in_address_tells_how_to_use_it(self):
        answer = self.visitor.get("/login?next=/whoami")
        form = answer.json()
        self.assertEqual((form["method"], form["action"], form["next"]), ("POST", "/login", "/whoami"))
        self.assertEqual(form["fields"], ["username", "password", "next"])
        self.assertEqual(answer.header("cache-control"), "no-store")

    def test_signing_in(self):
        answer = self.visitor.sign_in(next="/whoami")
        self.assertEqual((answer.status, answer.header("location")), (303, "/whoami"))
        [cookie] = [line for line in answer.headers["set-cookie"] if line.startswith("exeunt=")]
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"]:
            self.assertIn(attribute, cookie)
        self.assertNotIn("Max-Age", cookie)
        self.assertNotIn("Domain", cookie)
        answer = self.visitor.post("/login", *JSON, username="bob", password="correct horse battery", next="/cart")
        self.assertEqual((answer.status, answer.json()), (200, {"user": "bob", "next": "/cart"}))

    def test_wrong_passwords_and_unknown_users_are_answered_alike(self):
        wrong, unknown = self.visitor.sign_in(password=WRONG_PASSWORD), self.visitor.sign_in("nobody")
        self.refused(wrong, 401, "credentials_wrong")
        self.refused(unknown, 401, "credentials_wrong")
        self.assertEqual(wrong.body, unknown.body)

    def test_another_site_cannot_sign_in_or_out(self):
        self.visitor.sign_in()
        for header in ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"]:
            with self.subTest(header=header):
                self.refused(self.visitor.sign_out("/logout", "--header", header), 403, "cross_site")
                self.refused(self.visitor.post("/login", "--header", header, username="bob"), 403, "cross_site")
        self.assertTrue(self.visitor.is_signed_in())

    def test_a_program_signs_out_by_post_alone(self):
        self.visitor.sign_in()
        answer = self.visitor.get("/logout")
        self.assertEqual((answer.status, answer.header("allow")), (405, "POST"))
        self.assertIn("curl -X POST", answer.json()["message"])
        self.assertEqual(self.visitor.get("/logout", "--head").status, 405)
        for method in ["PUT", "DELETE", "PATCH"]:
            with self.subTest(method=method):
                answer = self.visitor.get("/logout", "--request", method)
                self.assertEqual((answer.status, "POST" in answer.header("allow")), (405, True))
                self.assertEqual(self.visitor.get("/login", "--request", method).status, 405)
        self.assertTrue(self.visitor.is_signed_in(), "none of these ends anything")

    def test_a_link_from_elsewhere_asks_first(self):
        self.visitor.sign_in()
        answer = self.visitor.get("/logout", *HTML)
        self.assertEqual(answer.status, 200)
        self.assertIn(b'<form method="post"', answer.body)
        image = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"]
        headers = [part for line in image for part in ("--header", line)]
        self.assertEqual(self.visitor.get("/logout", *headers).status, 403)
        self.assertTrue(self.visitor.is_signed_in())

    def test_a_link_on_a_page_of_ours_signs_out(self):
        self.visitor.sign_in()
        click = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"]
        headers = [part for line in click for part in ("--header", line)]
        answer = self.visitor.get("/logout", *headers)
        self.assertEqual(answer.status, 303)
        self.assertTrue(answer.header("location").startswith("/.exeunt/goodbye?"), answer.header("location"))
        self.assertFalse(self.visitor.is_signed_in())

    def test_signing_out_needs_nothing(self):
        answer = self.visitor.sign_out()
        self.assertEqual((answer.status, answer.json()["user"]), (200, None))
        self.assertIn("Max-Age=0", answer.header("set-cookie"))
        answer = self.visitor.sign_out("/logout?next=/public/whoami")
        self.assertEqual((answer.status, answer.header("location")), (303, "/public/whoami"))
        answer = self.visitor.sign_out("/logout", *JSON, next="/public/whoami")
        self.assertEqual((answer.status, answer.json()["target"]), (200, "/public/whoami"))

    def test_a_second_sign_in_replaces_the_first(self):
        self.visitor.sign_in()
        captured = f"exeunt={self.visitor.cookie('exeunt')}"
        self.visitor.sign_in("bob")
        self.assertEqual(self.visitor.get("/.exeunt/session").json()["user"], "bob")
        self.assertEqual(Visitor(self.gateway).get("/.exeunt/session", "--cookie", captured).status, 401)

    def test_two_session_cookies_are_none(self):
        cookies = []
        for user in ["alice", "bob"]:
            somebody = Visitor(self.gateway)
            somebody.sign_in(user)
            cookies.append(f"exeunt={somebody.cookie('exeunt')}")
        answer = self.visitor.get("/whoami", "--header", f"Cookie: {'; '.join(cookies)}")
        self.assertEqual(answer.status, 401)
        self.assertIn("Max-Age=0", answer.header("set-cookie"))


class HostNotServed(Running):
    """With a gateway of its own: it is stopped so that its log is whole."""

    def test_a_name_that_is_not_served_is_refused(self):
        answer = self.visitor.get("/public/whoami", "--header", "Host: other.example")
        self.assertEqual(answer.status, 421)
        self.assertIn("exeunt check", answer.json()["message"])
        self.assertNotIn(b"localhost", answer.body)
        self.assertEqual(self.gateway.stop(), 0)
        line = next(line for line in self.gateway.log.read_text().splitlines() if "note=host_not_served" in line)
        self.assertIn(" client=127.0.0.1 ", line)
        self.assertIn(" host=other.example ", line)
        self.assertIn(' served="localhost, 127.0.0.1, [::1]"', line)
