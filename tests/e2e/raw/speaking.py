"""What an application is told about who is there: by the gateway alone, under whatever name it looks."""

import re

ALICE = {"user": "alice", "preferred-username": "alice", "email": "alice@example.com", "groups": "staff",
         "name": "Alice Liddell"}
X_FORWARDED = ["user", "email", "groups", "preferred-username"]
REMOTE = ["user", "email", "groups", "name"]
TOLD = {f"x-forwarded-{of}": re.escape(ALICE[of]) for of in X_FORWARDED} | {
    f"remote-{of}": re.escape(ALICE[of]) for of in REMOTE}
"""What the gateway says about alice, by folded name."""

PLACE = {"x-forwarded-for": r"127\.0\.0\.1", "x-forwarded-proto": "http",
         "x-forwarded-host": r"(?i:app\.test)\.?(:\d+)?",
         "x-forwarded-port": r"\d+", "remote-addr": r"127\.0\.0\.1", "remote-host": r"127\.0\.0\.1",
         "remote-port": r"\d+", "x-exeunt-instance": "[a-z0-9]{16}"}
"""What it, or the server itself, adds to every request."""

SPEAKING = ("x-forwarded-", "remote-", "auth-", "ssl-", "x-ssl-", "client-cert", "forwarded", "x-remote-", "x-real-ip",
            "x-original-", "x-rewrite-", "x-exeunt-", "proxy")
"""Names that some application takes for the word of a gateway."""

ITS_OWN = {"host", "connection", "cookie", "content-length", "transfer-encoding", "user-agent", "origin", "x-a",
           "upgrade"}
"""What a client may say of itself."""


def fold(name):
    """A name as the most forgiving of all servers could read it."""
    folded = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
    while folded.startswith("http-"):
        folded = folded.removeprefix("http-")
    return folded


def problems_with(entry, row, with_session):
    """What an application was told, in a request, that is not the gateway's own word."""
    true = PLACE | (TOLD if with_session else {})
    said = {fold(name) for name, _ in row.header_lines()} - ITS_OWN if row.category == "identity" else set()
    for name, value in entry["headers"]:
        folded = fold(name)
        if value in ("", "-") or not (folded.startswith(SPEAKING) or folded in said):
            continue
        if not re.fullmatch(true.get(folded, r"(?!)"), value):
            yield f"{name} says {value[:80]!r}"
    if with_session:
        told = {fold(name) for name, value in entry["headers"] if value not in ("", "-")}
        if not told >= {"x-forwarded-user", "remote-user"}:
            yield "the application was not told who is there"
