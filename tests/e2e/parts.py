"""The real parts: a Django shop under a real server, the gateway as people start it, and curl.

Every part listens on a port that the system chose and says so in its first lines; it is waited for by reading them.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import evidence

HERE = Path(__file__).parent
EXEUNT = Path(os.environ["EXEUNT"])
"""The program under test."""

READY_SECONDS = 60
"""The longest that a part may take until it listens; they take about a second."""
CURL_SECONDS = 120
"""The longest that any exchange may take, those of 2 GiB included."""
PASSWORD = "correct horse battery"
WRONG_PASSWORD = "wrong horse battery"


class Part:
    """A program that runs beside the test, and ends with it."""

    def __init__(self, folder, name, command, listening, port=None, **environment):
        """It listens when `listening` is in what it says, on `port` or where it says."""
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            # In a process group of its own, which ends with it.
            self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **environment}, start_new_session=True)
        try:
            found = self.wait_until(listening)
            self.port = port or int(found[1])
        except BaseException:
            self.stop()
            raise

    def wait_until(self, pattern):
        """Waits until this is in what it says, and gives the match."""
        pattern = re.compile(pattern)
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := pattern.search(self.log.read_text()):
                return found
            time.sleep(0.02)
        raise AssertionError(f"{self.process.args} did not say {pattern.pattern}; it said:\n{self.log.read_text()}")

    def stop(self):
        """Asks it to stop, insists after a while, ends what it has left running, and gives the exit code."""
        if self.process.returncode is not None:
            return self.process.returncode
        self.process.terminate()
        try:
            self.process.wait(READY_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.process.args[0] == EXEUNT:
            for printed in [self.log, *self.log.parent.glob("*.jsonl*")]:
                evidence.log(printed)
        return self.process.returncode

    def memory(self, key):
        """A line of /proc/PID/status in bytes: `VmRSS` is what it holds, `VmHWM` the most it ever held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{key}:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024


WAITRESS = ["waitress", "--listen=127.0.0.1:0", "--call", "django.core.wsgi:get_wsgi_application"]
GUNICORN = ["gunicorn", "--bind=127.0.0.1:0", "--timeout=600", "--worker-tmp-dir=/dev/shm", "--no-control-socket",
            "django.core.wsgi:get_wsgi_application()"]


def start_shop(folder, server=WAITRESS, identity="EveryRequest"):
    """The Django shop, with an empty database."""
    settings = {
        "DJANGO_SETTINGS_MODULE": "django_shop.settings", "PYTHONPATH": str(HERE), "SHOP_FOLDER": str(folder),
        "SHOP_IDENTITY": f"django_shop.identity.{identity}", "PYTHONDONTWRITEBYTECODE": "1",
    }
    migrate = [sys.executable, "-m", "django", "migrate", "--verbosity=0"]
    subprocess.run(migrate, check=True, cwd=folder, env={**os.environ, **settings})
    command = [sys.executable, "-m", *server]
    return Part(folder, "shop", command, r"(?:Serving on|Listening at:) http://127\.0\.0\.1:(\d+)", **settings)


CONFIGURATION = """
listen = ["127.0.0.1:0"]
public_url = "http://localhost:8080"

[[route]]
path = "/"
upstream = "http://127.0.0.1:{port}"

[[route]]
path = "/public"
access = "public"
upstream = "http://127.0.0.1:{port}"

[[route]]
path = "/staff"
groups = ["staff"]
upstream = "http://127.0.0.1:{port}"

[audit]
file = "audit.jsonl"
{audit}

[login]
users = "users.toml"
"""


def add_user(folder, name, *arguments):
    evidence.secret(PASSWORD)
    command = [EXEUNT, "user", "set", name, "--file", folder / "users.toml", *arguments]
    subprocess.run(command, check=True, input=PASSWORD + "\n", text=True, capture_output=True)


def serve(folder, configuration, **environment):
    """The gateway with this configuration, in this folder."""
    (folder / "config.toml").write_text(configuration)
    command = [EXEUNT, "serve", "--config", folder / "config.toml"]
    return Part(folder, "gateway", command, r"listening.*127\.0\.0\.1:(\d+)", **environment)


def start_gateway(folder, shop_port, more="", audit="", **environment):
    """The gateway in front of the shop: alice is of the staff, bob is not."""
    add_user(folder, "alice", "--group", "staff", "--email", "alice@example.com", "--name", "Alice Liddell")
    add_user(folder, "bob")
    return serve(folder, CONFIGURATION.format(port=shop_port, audit=audit) + more, **environment)


class Answer:
    """What curl printed: status, headers (names in lower case, every value), body."""

    def __init__(self, printed):
        head, _, self.body = printed.partition(b"\r\n\r\n")
        while re.match(rb"HTTP/1\.1 1\d\d", head):
            head, _, self.body = self.body.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status.split()[1])
        self.headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.headers.setdefault(name.lower(), []).append(value.strip())

    def header(self, name):
        """The value of a header that must not be there twice; None where it is not there."""
        values = self.headers.get(name, [])
        assert len(values) <= 1, f"{name} is there {len(values)} times: {values}"
        return values[0] if values else None

    def json(self):
        assert self.header("content-type").startswith("application/json"), (self.status, self.headers, self.body[:500])
        return json.loads(self.body)


class Visitor:
    """A user with curl and a cookie jar."""

    def __init__(self, gateway, jar=None):
        self.base = f"http://localhost:{gateway.port}"
        self.jar = jar or Path(tempfile.mkstemp(dir=gateway.log.parent, suffix=".jar")[1])

    def run(self, *arguments):
        command = ["curl", "--silent", "--show-error", "--include", "--path-as-is", "--max-time", str(CURL_SECONDS),
                   "--cookie", self.jar, "--cookie-jar", self.jar, *arguments]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
        evidence.cookies(done.stdout)
        answer = Answer(done.stdout)
        self.forget(answer)
        return answer

    def forget(self, answer):
        """Deletes what the answer deletes: of several such cookies curl 7.88, which Debian 12 has, deletes the last."""
        lines = answer.headers.get("set-cookie", [])
        names = {line.partition("=")[0] for line in lines if "max-age=0" in line.lower()}
        if names:
            kept = [line for line in self.jar.read_text().splitlines()
                    if line.count("\t") != 6 or line.split("\t")[5] not in names]
            self.jar.write_text("\n".join(kept) + "\n")

    def get(self, path, *arguments):
        return self.run(*arguments, self.base + path)

    def post(self, path, *arguments, **form):
        evidence.secret(form.get("password", ""))
        fields = [part for name, value in form.items() for part in ("--data-urlencode", f"{name}={value}")]
        return self.run("--request", "POST", *fields, *arguments, self.base + path)

    def sign_in(self, user="alice", password=PASSWORD, path="/login", **form):
        return self.post(path, username=user, password=password, **form)

    def sign_out(self, path="/logout", *arguments, **form):
        return self.post(path, *arguments, **form)

    def whoami(self, *arguments, path="/public/whoami"):
        """Who Django takes this visitor for."""
        return self.get(path, *arguments).json()["user"]

    def is_signed_in(self):
        return self.get("/.exeunt/session").status == 200

    def cookie(self, name):
        """The value of a cookie in the jar."""
        lines = (line.removeprefix("#HttpOnly_").split("\t") for line in self.jar.read_text().splitlines())
        return next((line[6] for line in lines if len(line) == 7 and line[5] == name), None)
