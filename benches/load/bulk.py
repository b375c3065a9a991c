"""Three gibibytes each way: what a large download and a large upload cost, and how fast they are."""

import re
import socket
import subprocess
import threading
import time

from machine import OTHERS

GIB = 2**30
SIZE = 3 * GIB
PIECE = 2**20


class Store:
    """An application that sends so much to who asks, and takes what it is sent."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=[connection], daemon=True).start()

    def answer(self, connection):
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(PIECE)
                if not piece:
                    return
                head += piece
            head, _, body = head.partition(b"\r\n\r\n")
            if head.startswith(b"GET"):
                connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\nConnection: close\r\n\r\n".encode())
                piece = bytes(PIECE)
                for _ in range(SIZE // PIECE):
                    connection.sendall(piece)
                return
            left, buffer = int(re.search(rb"(?i)content-length: (\d+)", head)[1]) - len(body), bytearray(PIECE)
            while left > 0:
                left -= connection.recv_into(buffer) or left
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    def close(self):
        self.listener.close()


def measure(place, contestant):
    """Both ways, once."""
    file = place / "three-gibibytes"
    with open(file, "wb") as sparse:
        sparse.truncate(SIZE)
    cookie = ["--cookie", contestant.cookie] if contestant.cookie else []
    result = {}
    for way, options in [("down", ["--output", "/dev/null"]), ("up", ["--request", "POST", "--upload-file", file])]:
        command = ["taskset", "--cpu-list", ",".join(map(str, OTHERS)), "curl", "--silent", "--show-error", "--fail",
                   "--header", "Host: localhost", "--header", "Expect:", *cookie, *options,
                   f"http://127.0.0.1:{contestant.port}/"]
        before, begun = contestant.cpu_seconds(), time.monotonic()
        subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL, timeout=300)
        result[f"{way}_gib_s"] = SIZE / GIB / (time.monotonic() - begun)
        result[f"{way}_cpu_ms"] = 1000 * (contestant.cpu_seconds() - before) / (SIZE / GIB)
    file.unlink()
    return result
