"""What the part `secrets` of tests/run looks through afterwards: everything that the gateways of the tests printed, and
every password and cookie that must not be in it. Nothing is kept where no folder is given for it.
"""

import os
import re
from pathlib import Path

FOLDER = os.environ.get("EXEUNT_TEST_EVIDENCE")
COOKIE = re.compile(r"\b(?:__Host-)?exeunt(?:-known)?=([\w-]+)")
SHORTEST = 8
"""What is shorter is in some line by chance."""


def keep(kind, text):
    """In one write: threads run side by side, and so do processes under names of their own."""
    if FOLDER and text:
        with (Path(FOLDER) / f"python-{os.getpid()}.{kind}").open("a", encoding="utf-8") as file:
            file.write(text)


def log(path):
    """Keeps what a gateway printed into this file."""
    keep("log", path.read_text(errors="replace"))


def secret(text):
    if len(text) >= SHORTEST:
        keep("secrets", text + "\n")


def cookies(text):
    """Keeps the values of the gateway's cookies, wherever they stand in a text or in bytes."""
    text = text.decode("latin-1") if isinstance(text, bytes) else text
    for value in COOKIE.findall(text):
        secret(value)
