"""The last part of tests/run: no password and no cookie that the other parts used is in anything that was printed.

    EXEUNT_TEST_EVIDENCE=FOLDER python3 tests/e2e/no_secrets.py [LOG]...

FOLDER holds what the gateways of the tests printed (*.log) and the secrets, one a line (*.secrets); LOG is the output
of a part of tests/run. It is tried first on secrets that are there.
"""

import base64
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote, quote_plus

SHOWN = 20
CANARY = "Kanarienvögel & 100% Geheimnis"
COOKIE = "zrfA4fG0IwwG-KPJ_xLXxLm3yB9WpIzV2GNJWDcBqig"


def spellings(secret):
    """A secret in the encodings in which it could have been written by mistake."""
    raw = secret.encode()
    forms = {secret, quote(secret, safe=""), quote_plus(secret), raw.hex(), base64.b64encode(raw).decode().rstrip("=")}
    forms |= {form.lower() for form in forms if "%" in form}
    try:
        bits = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    except ValueError:
        return forms
    if base64.urlsafe_b64encode(bits).decode().rstrip("=") == secret:
        listed = str(list(bits))  # As `{:?}` shows bytes.
        forms |= {bits.hex(), bits.hex().upper(), base64.b64encode(bits).decode().rstrip("="), listed}
    return forms


def found(secrets, logs):
    """The lines of these files that have a secret in them. `grep` looks for thousands of words at once."""
    with tempfile.NamedTemporaryFile("w", suffix=".patterns") as patterns:
        patterns.write("".join(f"{form}\n" for secret in secrets for form in spellings(secret)))
        patterns.flush()
        command = ["grep", "--fixed-strings", "--text", "--with-filename", "--line-number", "--file", patterns.name]
        done = subprocess.run([*command, *logs], capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"})
    assert done.returncode in (0, 1), done.stderr.decode()
    return done.stdout.decode(errors="replace").splitlines()


def can_fail():
    """Whether every spelling of a planted secret is found, one at a time, and nothing where there is none."""
    with tempfile.TemporaryDirectory(prefix="exeunt-secrets-") as folder:
        log = Path(folder) / "planted.log"
        for secret in [CANARY, COOKIE]:
            for form in spellings(secret):
                log.write_text(f"event=access\nevent=access path=/x{form}y\n")
                if not found([COOKIE, CANARY], [log]):
                    return False
        log.write_text(f"event=access path=/{COOKIE[:-1]}\n")
        return not found([COOKIE, CANARY], [log])


def main(parts):
    folder = Path(os.environ["EXEUNT_TEST_EVIDENCE"])
    secrets = sorted({line for file in folder.glob("*.secrets") for line in file.read_text().splitlines()})
    logs = sorted(folder.glob("*.log"))
    problems = [] if can_fail() else ["a planted secret is not found: this test could not fail"]
    problems += [f"there are no {what}" for what, there in [("secrets", secrets), ("logs", logs)] if not there]
    lines = found(secrets, [*logs, *parts]) if secrets and logs else []
    problems += lines[:SHOWN]
    for problem in problems:
        print(f"FAIL  {problem}")
    printed = sum(path.stat().st_size for path in [*logs, *map(Path, parts)])
    counts = f"{len(secrets)} secrets, {len(logs)} logs of gateways and {len(parts)} of parts, {printed >> 10} KiB"
    print(f"{counts}: {len(lines)} lines with a secret" if problems else f"ok    no secret is printed: {counts}")
    return 1 if problems else 0


sys.exit(main(sys.argv[1:]))
