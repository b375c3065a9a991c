"""Django's LogoutView and LoginView are the measure: the cases that its own tests of them make, put to the gateway.

Where DESIGN leaves something open, the gateway does what Django does. Left out, since there is nothing here that they
could be about: the context of templates, `sites`, custom forms and views per address, names of URL patterns instead
of addresses, Django's CSRF tokens (the gateway judges where a request comes from), session keys from before Django 4,
and `redirect_authenticated_user` (the sign-in address never redirects, so it cannot loop).

Answered differently, on purpose:
  `//testserver/` and `view/?param=…` as targets: Django takes them; a target here is a path or a whole address.
  GET of a logout address by a program: Django 4 signed out, Django 5 answers 405, and so does the gateway.
  an unsafe target of a logout: Django redirects to its own logout address; here it is the goodbye page.
  another port of our host as a target: Django compares it; here it is part of the origin as well.
"""

from urllib.parse import quote

from parts import WRONG_PASSWORD, Visitor
from test_shop import Running

OWN = "http://localhost:8080"
"""What the configuration calls itself; targets there are ours."""

SAFE = ["/view/?param=http://example.com", "/view/?param=https://example.com", "/view?param=ftp://example.com",
        "/url%20with%20spaces/"]
UNSAFE = ["http://example.com", "http:///example.com", "https://example.com", "ftp://example.com", "///example.com",
          "//example.com", 'javascript:alert("XSS")', "", " ", "/\\example.com", "\t//example.com"]


class TheMeasure(Running):
    def signed_in(self):
        self.visitor.sign_in()
        self.assertTrue(self.visitor.is_signed_in())
        return self.visitor


class Login(TheMeasure):
    def test_the_form_is_there(self):
        answer = self.visitor.get("/login", "--header", "Accept: text/html")
        self.assertEqual(answer.status, 200)
        for name in [b'name="username"', b'name="password"', b'name="next"']:
            self.assertIn(name, answer.body)

    def test_signed_in_user_stays_on_the_form(self):
        answer = self.signed_in().get("/login?next=/custom", "--header", "Accept: text/html")
        self.assertEqual(answer.status, 200)
        self.assertIn(b"alice", answer.body)

    def test_the_target_without_next(self):
        self.assertEqual(self.visitor.sign_in().header("location"), "/")

    def test_safe_targets(self):
        for target in [*SAFE, f"{OWN}/", "HTTP://localhost:8080/"]:
            with self.subTest(target=target):
                answer = self.visitor.sign_in(next=target)
                self.assertEqual((answer.status, answer.header("location").lower()), (303, target.lower()))

    def test_unsafe_targets(self):
        for target in UNSAFE:
            for where in ["form", "query"]:
                with self.subTest(target=target, where=where):
                    answer = (self.visitor.sign_in(next=target) if where == "form"
                              else self.visitor.sign_in(path=f"/login?next={quote(target)}"))
                    self.assertEqual((answer.status, answer.header("location")), (303, "/"))

    def test_targets_on_other_hosts(self):
        for target, leads in [("http://other.example/home", "/"), (f"{OWN}/home", None)]:
            with self.subTest(target=target):
                answer = self.visitor.sign_in(next=target)
                self.assertEqual(answer.header("location"), leads or target)
                self.assertTrue(self.visitor.is_signed_in(), "signed in wherever it leads")

    def test_sign_in_leads_back_to_the_page(self):
        answer = self.visitor.get("/login_required/?a=b", "--header", "Accept: text/html")
        self.assertEqual((answer.status, answer.header("location")), (303, "/login?next=%2Flogin_required%2F%3Fa%3Db"))

    def test_a_target_that_is_not_ascii(self):
        answer = self.visitor.get("/else/where/%E0%A4%9D/", "--header", "Accept: text/html")
        self.assertEqual(answer.header("location"), "/login?next=%2Felse%2Fwhere%2F%25E0%25A4%259D%2F")

    def test_a_session_is_new_at_every_sign_in(self):
        """Django keeps the key if the same user signs in again; a new one is safer, and the user does not notice."""
        first = self.signed_in().cookie("exeunt")
        for user in ["bob", "bob", "alice"]:
            with self.subTest(user=user):
                before = self.visitor.cookie("exeunt")
                self.visitor.sign_in(user)
                self.assertNotIn(self.visitor.cookie("exeunt"), [first, before])

    def test_a_failed_sign_in_changes_nothing(self):
        before = self.signed_in().cookie("exeunt")
        self.assertEqual(self.visitor.sign_in("bob", WRONG_PASSWORD).status, 401)
        self.assertEqual(self.visitor.cookie("exeunt"), before)
        self.assertEqual(self.visitor.get("/.exeunt/session").json()["user"], "alice")


class Logout(TheMeasure):
    def is_out(self, answer, status, location):
        self.assertEqual((answer.status, answer.header("location")), (status, location))
        self.assertFalse(self.visitor.is_signed_in())

    def test_without_a_target_there_is_a_goodbye(self):
        answer = self.signed_in().sign_out("/logout", "--header", "Accept: text/html")
        self.is_out(answer, 200, None)
        self.assertIn(b"signed out", answer.body)

    def test_get_by_a_program_does_not_sign_out(self):
        self.assertEqual(self.signed_in().get("/logout").status, 405)
        self.assertTrue(self.visitor.is_signed_in())

    def test_nothing_of_it_is_cached(self):
        for answer in [self.visitor.get("/logout"), self.visitor.sign_out(), self.visitor.sign_out("/logout?next=/x")]:
            self.assertEqual(answer.header("cache-control"), "no-store")

    def test_every_way_to_name_a_target(self):
        for name in ["next", "rd"]:
            for answer in [self.signed_in().sign_out(f"/logout?{name}=/somewhere/"),
                           self.signed_in().sign_out(**{name: "/somewhere/"})]:
                with self.subTest(name=name):
                    self.is_out(answer, 303, "/somewhere/")

    def test_a_form_goes_before_the_query(self):
        self.is_out(self.signed_in().sign_out("/logout?next=/query/", next="/form/"), 303, "/form/")

    def test_safe_targets(self):
        for target in [*SAFE, f"{OWN}/"]:
            with self.subTest(target=target):
                self.is_out(self.signed_in().sign_out(next=target), 303, target)

    def test_unsafe_targets(self):
        for target in [*UNSAFE, "https://evil/"]:
            with self.subTest(target=target):
                self.is_out(self.signed_in().sign_out(f"/logout?next={quote(target)}"), 200, None)

    def test_a_target_that_would_sign_out_again(self):
        for target in ["/logout", "/Logout/", "/a/../logout", "/%6cogout", f"{OWN}/logout"]:
            with self.subTest(target=target):
                self.is_out(self.signed_in().sign_out(next=target), 200, None)

    def test_cookies_of_the_application_go_with_the_session(self):
        """Django keeps the language that was chosen: here `keep_cookies` names what is to stay."""
        self.signed_in().get("/cart")
        self.assertIsNotNone(self.visitor.cookie("csrftoken"))
        self.visitor.sign_out()
        self.assertIsNone(self.visitor.cookie("csrftoken"))


class ConfiguredTargets(TheMeasure):
    """LOGIN_REDIRECT_URL, LOGOUT_REDIRECT_URL and success_url_allowed_hosts, as keys of the configuration."""

    configuration = """
next = "/custom/"

[logout]
next = "/public/bye"
allowed_origins = ["https://otherserver"]
"""

    def test_the_configured_target_of_a_sign_in(self):
        self.assertEqual(self.visitor.sign_in().header("location"), "/custom/")
        self.assertEqual(self.visitor.sign_in(next="//evil").header("location"), "/custom/")

    def test_the_configured_target_of_a_logout(self):
        self.assertEqual(self.signed_in().sign_out().header("location"), "/public/bye")
        self.assertEqual(self.signed_in().sign_out(next="/somewhere/").header("location"), "/somewhere/")
        self.assertEqual(self.signed_in().sign_out(next="https://evil/").header("location"), "/public/bye")

    def test_an_allowed_origin(self):
        target = "https://otherserver/home"
        self.assertEqual(self.signed_in().sign_out(next=target).header("location"), target)
        refused = Visitor(self.gateway).sign_out(next="http://otherserver/home")
        self.assertEqual(refused.header("location"), "/public/bye")
        self.assertEqual(self.visitor.sign_in(next=target).header("location"), "/custom/", "that is for logouts alone")
