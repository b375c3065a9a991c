"""What is sent: both corpora, byte for byte, and every spelling of a path as a GET."""

import json
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parents[2] / "corpus"
HOST = "app.test"

SPELLINGS = {
    # Ours, in every spelling that has one reading.
    "P1": ["/logout", "/logout?x", "/%6cogout", "/%6Cogout", "/./logout", "/a/../logout", "/a/%2e%2e/logout",
           "/.//logout"],
    "P2": ["/logout/"],
    "P3": ["//logout", "///logout", "/\\logout", "/logout\\", "/logout%2f", "/logout%5c", "/logout%00", "/logout%20",
           "/logout%09", "/logout%3b", "/logout;x=1", "/logout%3fx", "/logout%23", "/log%6fut%", "/logout%zz",
           "/%u006cogout", "/%c0%aflogout"],
    "P4": ["/LOGOUT", "/Logout"],
    "P5": [f"http://{HOST}/logout", f"ftp://{HOST}/logout", "http://evil.test/logout", f"http://u@{HOST}/logout"],
    "P6": ["logout", "admin/x", "../admin", "?x", ";/admin", "@evil/", f"{HOST}:80", "", "\\admin"],
    "P7": ["/public/../admin", "/public/%2e%2e/admin", "/public/.%2e/admin", "/static/x.css/../../admin", "/%2e/admin"],
    "P8": ["/public/..%2fadmin", "/public/..%5cadmin", "/public/..;/admin", "/public/%252e%252e/admin",
           "/public%2fadmin", "/public/%c0%ae%c0%ae/admin", "/public/%u002e/admin", "/public/%", "/public/%zz"],
    "P9": ["/publicadmin", "/admin/.css", "/admin?/public/", "/admin#/public/", "/admin/public/"],
    "P10": ["/../admin", "/public/../../admin"],
    "P11": ["/admin%0d%0aX:y", "/admin\rX", "/admin\nX", "/admin\0", "/ad min", "/admin\xff"],
    "P12": ["*"],
    "P15": ["/.exeunt/session", "/.EXEUNT/session", "/%2eexeunt/session", "/.exeunt", "/.exeunt%2fsession",
            "/.exeunt;x/session", "//.exeunt/session", "/a/../.exeunt/nothing", "/login/", "/%6cogin", "/LOGIN"],
}
METHODS = ["OPTIONS *", "CONNECT a:443", "TRACE /", "PRI *", "FOO /", "get /", "HEAD /logout", "PUT /logout"]
PREFLIGHT = "Origin: http://evil.test\r\nAccess-Control-Request-Method: PUT\r\n"
HOSTS = ["APP.TEST", f"{HOST}.", f"{HOST}:443", f"{HOST}:80", f"{HOST}, x", "[::1]", "", f"{HOST}\r\nHost: {HOST}"]


@dataclass
class Row:
    """One request as it goes over the wire, and what becomes of it."""

    id: str
    category: str
    name: str
    raw: bytes
    expect: str

    def must_be_refused(self):
        return self.expect.startswith(("reject", "400", "414", "431"))

    def has_a_fine_head(self):
        """It is refused for its body alone: an application may have been told of it by then, and gets no end of it."""
        return self.name.startswith(("chunk", "last chunk", "trailer"))

    def is_to_head(self):
        return self.raw.lstrip(b"\r\n").startswith(b"HEAD ")

    def with_line(self, line):
        """With one more header line, the last of the head; None where the head has no end."""
        before = len(self.raw) - len(self.raw.lstrip(b"\r\n"))
        for end in (b"\r\n\r\n", b"\n\n"):
            if (at := self.raw.find(end, before)) >= 0:
                line_end = end[:len(end) // 2]
                return self.changed(self.raw[:at] + line_end + line + self.raw[at:])
        return None

    def on_public_path(self):
        return self.changed(self.raw.replace(b" / ", b" /public/ ", 1))

    def changed(self, raw):
        return Row(self.id, self.category, self.name, raw, self.expect)

    def header_lines(self):
        """Names and values of the client's header lines, trailers too."""
        lines = (line.partition(b":") for line in self.raw.splitlines())
        return [(name.decode("latin-1"), value.strip().decode("latin-1")) for name, colon, value in lines if colon]

    def bodies(self):
        """The readings that a body of this row can have: part of it as it stands, or put together of chunks."""
        _, _, rest = self.raw.partition(b"\r\n\r\n")
        return rest, b"".join(rest.split(b"\r\n")[1::2])


def read(name):
    for entry in json.loads((CORPUS / name).read_text()):
        if repeated := entry.get("raw_repeat"):
            units = "".join(repeated["unit"].replace("{i}", str(at)) for at in range(repeated["count"]))
            text = repeated["prefix"] + units + repeated["suffix"]
        else:
            text = entry["raw"]
        yield Row(entry["id"], entry["category"], entry["name"], text.encode("latin-1"), entry["expect"])


def spellings():
    def row(group, at, start, host=HOST, lines=""):
        raw = f"{start} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n".encode("latin-1")
        return Row(f"{group}.{at}", "path", start, raw, "")

    for group, targets in SPELLINGS.items():
        yield from (row(group, at, f"GET {target}") for at, target in enumerate(targets))
    yield from (row("P12", f"m{at}", start) for at, start in enumerate(METHODS))
    yield row("P13", 0, "OPTIONS /admin", lines=PREFLIGHT)
    yield row("P14", 0, "POST /logout", lines="Content-Length: 0\r\n")
    yield from (row("P16", at, "GET /admin", host=host) for at, host in enumerate(HOSTS))


ROWS = [*read("raw_requests.json"), *read("raw_requests_more.json"), *spellings()]
