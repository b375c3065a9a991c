"""deploy/smoke finds what it is there to find: it passes at a sound gateway, and behind every fault below it fails with
the line that names that fault.

    EXEUNT=target/debug/exeunt python3 tests/e2e/smoke.py         about 20 seconds; needs curl

Between the script and a real gateway stands a relay that spoils one thing at a time.
"""

import http.client
import http.server
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import evidence

SMOKE = Path(__file__).parents[2] / "deploy" / "smoke"
EXEUNT = os.environ["EXEUNT"]
PASSWORD = "correct horse battery"
FORGED = re.compile(r"smoke-forged-\d+")


class Exchange:
    """A request on its way to the gateway, then the answer on its way back. A fault changes either."""

    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.status = None
        self.answer_headers, self.answer_body = [], b""

    def given(self, name):
        return next((value for key, value in self.headers if key.lower() == name), None)

    def drop(self, *names):
        self.headers = [(key, value) for key, value in self.headers if key.lower() not in names]

    def spoil_cookie(self, old, new):
        self.answer_headers = [
            (key, value.replace(old, new) if key.lower() == "set-cookie" else value)
            for key, value in self.answer_headers]

    def answer(self, status, body=b"{}"):
        self.status, self.answer_headers, self.answer_body = status, [("Content-Type", "text/plain")], body


def nothing(_):
    pass


def when(condition, act):
    """The fault that does something to some exchanges."""
    return lambda exchange: act(exchange) if condition(exchange) else None


def both(one, other):
    return lambda exchange: one(exchange) and other(exchange)


def but(condition):
    return lambda exchange: not condition(exchange)


def answering(status):
    return lambda exchange: exchange.answer(status)


def at(target):
    return lambda exchange: exchange.target == target


def has_cookie(exchange):
    return exchange.given("cookie") is not None


def is_anonymous(exchange):
    return not has_cookie(exchange) and exchange.target == "/shop"


def is_browser(exchange):
    return "text/html" in (exchange.given("accept") or "")


def is_forging(exchange):
    return exchange.given("remote-user") is not None


def is_sign_in(exchange):
    return exchange.method == "POST" and exchange.target == "/login"


def is_wrong(exchange):
    return is_sign_in(exchange) and FORGED.search(exchange.body.decode())


def has_ended(exchange):
    return exchange.status == 401 and has_cookie(exchange)


def is_logout(exchange):
    return exchange.target == "/logout"


def works(exchange):
    return exchange.status == 200


def with_forged_name(exchange):
    exchange.answer_body = exchange.answer_body.replace(b"alice", exchange.given("remote-user").encode())


def without_name(exchange):
    exchange.answer_body = exchange.answer_body.replace(b"alice", b"nobody")


# What is spoilt, before or after the gateway; the beginning of the line that must say so.
FAULTS = [
    ("anybody may see it", nothing, when(both(is_anonymous, but(is_browser)), answering(200)),
     "program without a session"),
    ("browsers get no redirect", nothing, when(both(is_anonymous, is_browser), answering(401)),
     "browser without a session"),
    ("a header signs in", nothing, when(both(is_anonymous, is_forging), answering(200)),
     "identity headers without a session"),
    ("any password", nothing, when(is_wrong, answering(303)), "wrong password"),
    ("nobody signs in", nothing, when(is_sign_in, answering(401)), "sign-in"),
    ("scripts see the cookie", nothing, lambda e: e.spoil_cookie(" HttpOnly;", ""), "cookie"),
    ("a cookie for siblings", nothing, lambda e: e.spoil_cookie("; Path=/", "; Path=/; Domain=localhost"), "cookie"),
    ("somebody else", nothing, when(at("/.exeunt/session"), without_name), "who am I"),
    ("no application", nothing, when(both(at("/shop"), works), answering(502)), "/shop with a session"),
    ("a header changes who", nothing, when(both(at("/.exeunt/session"), is_forging), with_forged_name),
     "who am I, with forged"),
    ("a header arrives", nothing, when(both(at("/headers"), is_forging), with_forged_name),
     "what the application receives"),
    ("nobody arrives", nothing, when(at("/headers"), without_name), "what the application receives"),
    ("two slashes pass", nothing, when(at("//smoke"), answering(200)), "target //smoke"),
    ("an encoded slash passes", nothing, when(at("/..%2fsmoke"), answering(200)), "target /..%2fsmoke"),
    ("a foreign host passes", nothing, when(at("http://smoke.invalid/"), answering(200)), "target of another host"),
    ("any site signs out", lambda e: e.drop("sec-fetch-site", "origin"), nothing, "logout from another site"),
    ("no receipt", nothing, when(both(is_logout, works), answering(200)), "logout: expected"),
    ("the dead cookie lives", nothing, when(both(at("/.exeunt/session"), has_ended), answering(200)), "the old cookie"),
    ("the application lives on", nothing, when(both(at("/shop"), has_ended), answering(200)),
     "/shop with the old cookie"),
    ("only for members", nothing, when(both(is_logout, but(has_cookie)), answering(401)), "logout without a session"),
]


class Relay(http.server.BaseHTTPRequestHandler):
    """Passes everything on to the gateway, spoilt by the fault of the moment."""

    gateway = None
    before = after = staticmethod(nothing)

    def _relay(self):
        # The library would show //x as /x.
        target = self.requestline.split(" ")[1]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        exchange = Exchange(self.command, target, list(self.headers.items()), body)
        Relay.before(exchange)
        self._ask(exchange)
        Relay.after(exchange)
        self.send_response_only(exchange.status)
        for name, value in exchange.answer_headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(exchange.answer_body)))
        self.end_headers()
        self.wfile.write(exchange.answer_body)

    do_GET = do_POST = _relay

    @staticmethod
    def _ask(exchange):
        connection = http.client.HTTPConnection("127.0.0.1", Relay.gateway)
        connection.putrequest(exchange.method, exchange.target, skip_host=True, skip_accept_encoding=True)
        for name, value in exchange.headers:
            connection.putheader(name, value)
        connection.endheaders(exchange.body)
        response = connection.getresponse()
        exchange.status, exchange.answer_headers = response.status, response.getheaders()
        exchange.answer_body = response.read()
        evidence.cookies(str(response.headers))
        connection.close()

    def log_message(self, *_):
        pass


class Application(http.server.BaseHTTPRequestHandler):
    """Shows the headers it received."""

    def do_GET(self):
        body = str(self.headers).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def start_gateway(folder, application):
    evidence.secret(PASSWORD)
    (folder / "config.toml").write_text(f"""
listen = ["127.0.0.1:0"]
public_url = "http://localhost"
[[route]]
upstream = "http://127.0.0.1:{application}"
[login]
users = "users.toml"
""")
    command = [EXEUNT, "user", "set", "alice"]
    subprocess.run(command, cwd=folder, input=PASSWORD, text=True, check=True, capture_output=True)
    log = folder / "log"
    process = subprocess.Popen([EXEUNT, "serve"], cwd=folder, stderr=log.open("w"))
    deadline = time.monotonic() + 60
    while not (found := re.search(r"listening.*127\.0\.0\.1:(\d+)", log.read_text())):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            sys.exit(f"FAIL  the gateway does not start: {log.read_text()}")
        time.sleep(0.02)
    return process, int(found[1])


def smoke(port):
    command = [SMOKE, f"http://127.0.0.1:{port}", "alice", "--host", "localhost", "--path", "/shop",
               "--echo", "/headers"]
    return subprocess.run(command, input=PASSWORD, text=True, capture_output=True, check=False)


def problem_with(said, line):
    """What is wrong with an answer of the script, or None: `line` must begin a failed check, or nothing may fail."""
    failed = [text.removeprefix("FAIL").strip() for text in said.stdout.splitlines() if text.startswith("FAIL")]
    if PASSWORD in said.stdout + said.stderr or "exeunt=" in said.stdout:
        return "it shows a secret"
    if line is None:
        return None if said.returncode == 0 and not failed else f"a sound gateway fails: {said.stdout}"
    if said.returncode != 1:
        return f"exit status {said.returncode}: {said.stdout}{said.stderr}"
    found = any(text.startswith(line) for text in failed)
    return None if found else f"no failed line begins with {line!r}: {said.stdout}"


def main():
    with tempfile.TemporaryDirectory() as folder:
        gateway, Relay.gateway = start_gateway(Path(folder), serve(Application))
        try:
            port = serve(Relay)
            failures = 0
            for name, before, after, line in [("none", nothing, nothing, None), *FAULTS]:
                Relay.before, Relay.after = staticmethod(before), staticmethod(after)
                problem = problem_with(smoke(port), line)
                failures += problem is not None
                print(f"FAIL  {name}: {problem}" if problem else f"ok    fault: {name}", flush=True)
        finally:
            gateway.terminate()
            gateway.wait()
            evidence.log(Path(folder) / "log")
    sys.exit(1 if failures else 0)


main()
