"""One measurement: a load of wrk on one contestant, and what it cost."""

import json
import os
import socket
import subprocess
from pathlib import Path

from machine import OTHERS

SCRIPT = Path(__file__).with_name("wrk.lua")
CONNECTIONS = 64

BROWSER = """\
Host: localhost
Connection: keep-alive
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8
Sec-Fetch-Site: same-origin
Sec-Fetch-Mode: navigate
Sec-Fetch-Dest: document
Referer: http://localhost/shop/cart/
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-US,en;q=0.9,de;q=0.8
"""
SHORT = "Host: localhost\n"
APPLICATION_COOKIE = "sessionid=q3fz0w5yk2m1r8x7b6n4v9c0t5h2j1d8"
LOGOUT = "Origin: http://localhost\nContent-Type: application/x-www-form-urlencoded\nContent-Length: 11\n"


def page(path, lines=BROWSER, cookie=None, more=""):
    """The head of a request for a page, with a cookie of the gateway or without one."""
    cookies = "; ".join(filter(None, [APPLICATION_COOKIE if lines is BROWSER else None, cookie]))
    cookie_line = f"Cookie: {cookies}\n" if cookies else ""
    return f"GET {path} HTTP/1.1\n{lines}{cookie_line}{more}\n".replace("\n", "\r\n")


def logout():
    """The request that ends a session, each time another one."""
    head = f"POST /logout HTTP/1.1\n{BROWSER}{LOGOUT}Cookie: {APPLICATION_COOKIE}; exeunt=COOKIE\n\n"
    return head.replace("\n", "\r\n") + "next=%2Fbye"


def check(port, head, status, cookies=None):
    """Insists that the request is answered as it should be: wrk takes a redirect for a success, too."""
    if cookies:
        with open(cookies) as lines:
            head = head.replace("COOKIE", lines.readline().strip())
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(head.encode())
        first = connection.makefile("rb").readline().decode()
    if first.split()[1:2] != [str(status)]:
        raise RuntimeError(f"{first.strip()!r} in place of {status}")


def run(place, port, head, seconds, cookies=None, rate=None):
    """Loads a port for so long: what wrk counted. `cookies` is a file of them, `rate` requests a second in all."""
    (place / "head").write_text(head, newline="")
    environment = {**os.environ, "LOAD_HEAD": str(place / "head")}
    if cookies:
        environment["LOAD_COOKIES"] = str(cookies)
    if rate:
        environment["LOAD_PAUSE_MS"] = str(max(1, round(CONNECTIONS * 1000 / rate)))
    pinned = ["taskset", "--cpu-list", ",".join(map(str, OTHERS))]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT)]
    done = subprocess.run(
        [*pinned, *command, f"http://127.0.0.1:{port}"],
        env=environment, capture_output=True, text=True, timeout=seconds + 60,
    )
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            result = json.loads(line.removeprefix("RESULT "))
            if result["requests"] == 0 or result["bad"] > result["requests"] / 1000:
                raise RuntimeError(f"not answered as they should be: {result}")
            return result
    raise RuntimeError(f"wrk: {done.stdout} {done.stderr}")


def measure(place, contestant, head, seconds, **options):
    """A load, with the CPU time of everything that belongs to the contestant, a request."""
    before = contestant.cpu_seconds()
    result = run(place, contestant.port, head, seconds, **options)
    spent = contestant.cpu_seconds() - before
    return {
        "cpu_us": 1e6 * spent / result["requests"],
        "per_second": 1e6 * result["requests"] / result["microseconds"],
        "p50_us": result["p50"],
        "p99_us": result["p99"],
    }
