"""See tests/e2e/programs.sh."""

import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from urllib.parse import quote

from parts import PASSWORD, WRONG_PASSWORD, add_user, serve
from server import Server

CONFIGURATION = """
listen = ["127.0.0.1:0"]
public_url = "http://localhost:8080"
[[route]]
path = "/"
upstream = "http://127.0.0.1:{port}"
[[route]]
path = "/git"
basic = true
upstream = "http://127.0.0.1:{port}"
[[route]]
path = "/svn"
basic = true
groups = ["staff"]
upstream = "http://127.0.0.1:{port}"
[[route]]
path = "/dav"
basic = true
upstream = "http://127.0.0.1:{port}"
[login]
users = "users.toml"
"""


class Stage:
    """The gateway in front of Apache, and people with their programs."""

    def __init__(self, folder):
        self.folder = folder
        self.server = Server(folder)
        add_user(folder, "alice", "--group", "staff")
        for user in ["bob", "carol", "dave", "j\u00fcrgen"]:
            add_user(folder, user)
        self.gateway = serve(folder, CONFIGURATION.format(port=self.server.part.port))
        self.base = f"127.0.0.1:{self.gateway.port}"

    def stop(self):
        self.gateway.stop()
        self.server.part.stop()

    def run(self, *command, typed="", fails=False):
        """What a command printed; it has to fail where that is said."""
        told = {"HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(command, cwd=self.folder, input=typed, capture_output=True, text=True, timeout=60,
                              env={**os.environ, **told}, check=False)
        said = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, f"{command}: {done.returncode}\n{said}\n{self.gateway.log.read_text()}"
        return said

    def curl(self, path, *arguments):
        """The status that curl got."""
        said = self.run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", *arguments, f"http://{self.base}{path}")
        return int(said)

    def lines(self, *words):
        """Lines of the gateway's log with all of these words."""
        return [line for line in self.gateway.log.read_text().splitlines() if all(word in line for word in words)]


def git(stage):
    """Clones, pushes a little and then three megabytes, and is refused with another password."""
    def remote(password, user="bob"):
        return f"http://{user}:{quote(password)}@{stage.base}/git/shop.git"

    refused = stage.run("git", "clone", remote(WRONG_PASSWORD, "carol"), "refused", fails=True)
    assert "Authentication failed" in refused, refused
    stage.run("git", "clone", "--quiet", remote(PASSWORD), "work")
    work = stage.folder / "work"
    for name, content in [("small", b"small"), ("large", os.urandom(3 << 20))]:
        (work / name).write_bytes(content)
        stage.run("git", "-C", work, "add", name)
        stage.run("git", "-C", work, "-c", "user.name=B", "-c", "user.email=b@x", "commit", "--quiet", "-m", name)
        stage.run("git", "-C", work, "push", "--quiet", "origin", "HEAD:main")
    stage.run("git", "clone", "--quiet", remote(PASSWORD), "again")
    assert (stage.folder / "again/large").read_bytes() == (work / "large").read_bytes()
    log = (stage.server.git / "logs/refs/heads/main").read_text()
    assert log.count("bob <bob@") == 2, f"git does not know who pushed:\n{log}"
    checks = stage.lines("event=signed_in", "user=bob", "method=basic")
    assert 1 <= len(checks) <= 2, f"a password is checked once a minute: {checks}"


def subversion(stage):
    """Imports, checks out, commits, copies and moves; a user without the group is refused."""
    def svn(*arguments, user="alice", password=PASSWORD, fails=False):
        return stage.run("svn", "--non-interactive", "--no-auth-cache", "--config-dir", stage.folder / "subversion",
                         "--username", user, "--password-from-stdin", *arguments, typed=password, fails=fails)

    url = f"http://{stage.base}/svn"
    refused = svn("list", url, user="carol", password=WRONG_PASSWORD, fails=True)
    assert "Authentication failed" in refused or "Authorization failed" in refused, refused
    assert "forbidden" in svn("list", url, user="bob", fails=True).lower()
    svn("mkdir", "-m", "Begin", f"{url}/trunk", f"{url}/branches")
    checked_out = stage.folder / "trunk"
    svn("checkout", f"{url}/trunk", checked_out)
    (checked_out / "50% of #1?.txt").write_text("odd name")
    svn("add", checked_out / "50% of #1?.txt")
    svn("commit", "-m", "Add", checked_out)
    svn("copy", "-m", "Branch", f"{url}/trunk", f"{url}/branches/one")
    svn("move", "-m", "Rename", f"{url}/branches/one", f"{url}/branches/two")
    assert svn("list", f"{url}/branches/two").strip() == "50% of #1?.txt"
    assert svn("log", "--quiet", url).count("r") >= 4


def webdav(stage):
    """curl makes a folder, stores a file, moves and reads it; without a password it is asked for one."""
    alice = ["--user", f"alice:{PASSWORD}"]
    (stage.folder / "file").write_text("content")
    store = ["--upload-file", str(stage.folder / "file")]
    move = ["--request", "MOVE", "--header", f"Destination: http://{stage.base}/dav/f/b"]
    for status, path, arguments in [
        (401, "/dav/", []),
        (201, "/dav/f/", [*alice, "--request", "MKCOL"]),
        (201, "/dav/f/a", [*alice, *store]),
        (201, "/dav/f/a", [*alice, *move]),
        (200, "/dav/f/b", alice),
        (200, "/dav/f/b", ["--anyauth", *alice]),
        (204, "/dav/f/b", ["--anyauth", *alice, *store]),
        (207, "/dav/", [*alice, "--request", "PROPFIND", "--header", "Depth: 1"]),
        (200, "/dav/f/b", ["--user", f"j\u00fcrgen:{PASSWORD}"]),
        (401, "/dav/f/b", ["--user", f"alice:{WRONG_PASSWORD}"]),
        (403, "/dav/f/c", [*alice, *store, "--header", "Origin: http://evil.test"]),
        (401, "/", alice),
        (303, "/dav/f/b", ["--header", "Accept: text/html"]),
    ]:
        got = stage.curl(path, *arguments)
        assert got == status, f"{path} {arguments}: {got}, not {status}"
    assert (stage.folder / "dav/f/b").read_text() == "content"
    head = stage.run("curl", "-sSi", f"http://{stage.base}/dav/")
    assert 'www-authenticate: basic realm="localhost", charset="utf-8"' in head.lower(), head
    assert "set-cookie" not in stage.run("curl", "-sSi", *alice, f"http://{stage.base}/dav/f/b").lower()


def guessing(stage):
    """Wrong passwords lead to a ban, at the form as well; sessions that exist go on."""
    wrong, right = ["--user", f"dave:{WRONG_PASSWORD}"], ["--user", f"dave:{PASSWORD}"]
    assert stage.curl("/dav/f/b", *right) == 200
    answers = [stage.curl("/dav/", *wrong) for _ in range(9)]
    assert 401 in answers and answers[-1] == 429, answers
    form = ["--data-urlencode", "username=dave", "--data-urlencode", f"password={PASSWORD}"]
    assert stage.curl("/login", *form) == 429
    assert stage.curl("/dav/f/b", *right) == 200, "it was right a moment ago"
    assert stage.lines("event=sign_in_refused", "reason=credentials_wrong", "user=dave")


def nothing_told(stage):
    """The application gets the names of users, and no password."""
    reached = stage.server.reached()
    assert {row["user"] for row in reached} == {"alice", "bob", "dave", "j%C3%BCrgen"}, reached
    assert {row["password"] for row in reached} == {"-"}, reached
    assert PASSWORD not in stage.gateway.log.read_text()


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="exeunt-programs-") as folder:
        stage = Stage(Path(folder))
        try:
            for trial in [git, subversion, webdav, guessing, nothing_told]:
                try:
                    trial(stage)
                    print(f"ok    {trial.__name__}", flush=True)
                except Exception:
                    failed += 1
                    print(f"FAIL  {trial.__name__}: {traceback.format_exc()}", flush=True)
        finally:
            stage.stop()
    return 1 if failed else 0


sys.exit(main())
