"""A client that says exactly the bytes it is told."""

import socket

import evidence

PATIENCE = 30
"""The longest that anything here may take; what hangs is a failure."""


class Answer:
    """The first final answer of a connection, and everything else that came."""

    def __init__(self):
        self.status = None
        self.stays_open = False
        self.received = b""


def converse(port, raw, to_head, then):
    """Sends `raw`; once that is answered and the connection goes on, `then`, which has to close it. Reads all."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        answer = Answer()
        file = Heard(connection.makefile("rb", buffering=0), answer)
        try:
            send(connection, raw)
            read_final(file, to_head, answer)
            if answer.stays_open:
                send(connection, then)
            while file.read(65536):
                pass
        except ConnectionError:
            pass  # A refused request is not always taken to its last byte.
        evidence.cookies(answer.received)
        return answer


def send(connection, raw):
    try:
        connection.sendall(raw)
    except ConnectionError:
        pass  # It may have been answered before its end; what was answered is read.


class Heard:
    """Reads bytes, and keeps them."""

    def __init__(self, file, answer):
        self.file, self.answer = file, answer

    def read(self, count):
        piece = self.file.read(count)
        self.answer.received += piece
        return piece

    def exactly(self, count):
        wanted = len(self.answer.received) + count
        while (missing := wanted - len(self.answer.received)) and self.read(missing):
            pass

    def line(self):
        start = len(self.answer.received)
        while not self.answer.received[start:].endswith(b"\n") and self.read(1):
            pass
        return self.answer.received[start:].rstrip(b"\r\n").decode("latin-1")


def read_final(file, to_head, answer):
    """Reads interim answers, then the head and the body of the final one; nothing where none comes."""
    while start := file.line():
        answer.status = int(start.split(" ")[1])
        headers = {}
        while line := file.line():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip().lower()
        if answer.status >= 200:
            break
    else:
        return
    framed = to_head or answer.status in (204, 304) or {"transfer-encoding", "content-length"} & headers.keys()
    answer.stays_open = bool(framed) and headers.get("connection") != "close"
    if framed and not to_head and answer.status not in (204, 304):
        read_body(file, headers)


def read_body(file, headers):
    if headers.get("transfer-encoding") == "chunked":
        while size := int(file.line(), 16):
            file.exactly(size + 2)
        file.line()
    else:
        file.exactly(int(headers["content-length"]))
