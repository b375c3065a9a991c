"""Ten thousand clients that take their time, in one process; how each of them was ended, as JSON.

    python3 slow_clients.py PORT
"""

import json
import selectors
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

PATIENCE = 30
"""Seconds after which clients that are still connected are reported, and the test ends."""
AT_ONCE = 500
"""Connections that are opened before those that are there are looked at."""

HEAD = b"GET /shop HTTP/1.1\r\nHost: localhost\r\nUser-Agent: slow\r\nAccept: */*\r\n"
FORM = b"POST /%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
BODY = b"x" * 1000
KINDS = {
    "a head, byte by byte": (10_000, b"", HEAD, 5),
    "nothing": (200, b"", b"", 5),
    "half a head": (200, HEAD[:40], b"", 5),
    "a body with long pauses": (200, FORM % b"silent", BODY, 5),
    "a body, drop by drop": (200, FORM % b"silent", BODY, 1),
    "a form of ours with long pauses": (200, FORM % b"login", BODY, 5),
    "a form of ours, drop by drop": (200, FORM % b"login", BODY, 1),
}
"""What they say: how many of them, what at once, what byte by byte, and how many seconds are between two bytes."""


@dataclass
class Tally:
    """What became of the clients of one kind."""

    opened: int = 0
    longest: float = 0
    ends: Counter = field(default_factory=Counter)


class Client:
    def __init__(self, port, tally, at_once, slowly, pause):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setblocking(False)
        self.tally, self.slowly, self.pause = tally, slowly, pause
        self.begun = self.said = time.monotonic()
        self.heard = b""
        tally.opened += 1
        self.say(at_once + self.slowly[:1])

    def say(self, text):
        self.slowly = self.slowly[1:]
        try:
            self.socket.send(text)
        except OSError:
            pass  # What came of it is read.

    def go_on(self, now):
        if self.slowly and now - self.said >= self.pause:
            self.said = now
            self.say(self.slowly[:1])

    def listen(self):
        """Whether it is over."""
        try:
            piece = self.socket.recv(65536)
        except BlockingIOError:
            return False
        except ConnectionError:
            piece = b""
        self.heard += piece
        if piece:
            return False
        self.count()
        return True

    def count(self):
        self.tally.longest = max(self.tally.longest, time.monotonic() - self.begun)
        self.tally.ends[self.heard[9:12].decode("latin-1") or "closed"] += 1


def waiting(tallies):
    """What is still to be opened: of every kind its tally and what it says, as often as it is wanted."""
    for name, (count, *says) in KINDS.items():
        for _ in range(count):
            yield tallies[name], *says


def main(port):
    tallies = {name: Tally() for name in KINDS}
    to_open, selector = waiting(tallies), selectors.DefaultSelector()
    deadline, more, refusal = time.monotonic() + PATIENCE, True, None
    while (more or selector.get_map()) and time.monotonic() < deadline:
        try:
            for _ in range(AT_ONCE if more else 0):
                if (what := next(to_open, None)) is None:
                    more = False
                    break
                client = Client(port, *what)
                selector.register(client.socket, selectors.EVENT_READ, client)
        except OSError as error:
            more, refusal = False, str(error)
        for key, _ in selector.select(0 if more else 0.2):
            if key.data.listen():
                selector.unregister(key.fileobj)
                key.fileobj.close()
        now = time.monotonic()
        for key in selector.get_map().values():
            key.data.go_on(now)
    print(json.dumps({"kinds": {name: vars(tally) for name, tally in tallies.items()}, "refusal": refusal}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
