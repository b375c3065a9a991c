"""Memory: of a program at rest, and of connections that are kept and say nothing."""

import http.client
import socket
import time

IDLE = 2000


def memory(contestant):
    """Resident memory after the load, and what each kept connection adds."""
    before = contestant.resident_bytes()
    head = contestant.head("/page").encode()
    connections = [idle_client(contestant.port, head) for _ in range(IDLE)]
    time.sleep(0.5)
    after = contestant.resident_bytes()
    for connection in connections:
        connection.close()
    return {"resident_mib": before / 2**20, "idle_kib": (after - before) / IDLE / 1024}


def idle_client(port, head):
    """A client that asked once, read the answer, and stays."""
    connection = socket.create_connection(("127.0.0.1", port), 10)
    connection.sendall(head)
    answer = b""
    while b"\r\n\r\n" not in answer or len(answer.partition(b"\r\n\r\n")[2]) < 1024:
        piece = connection.recv(65536)
        assert piece, answer
        answer += piece
    return connection


def sign_out(port, cookie):
    """Ends a session as a form of the application does."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    client.request("POST", "/logout", headers={"Host": "localhost", "Cookie": cookie, "Origin": "http://localhost"})
    answer = client.getresponse()
    assert answer.status in (200, 303), answer.status
    answer.read()
