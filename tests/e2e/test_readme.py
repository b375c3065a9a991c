"""The curl lines of README.md and the handbook: each is run as it stands, and answered as the page shows."""

import os
import re
import subprocess
from pathlib import Path

import evidence
from parts import PASSWORD
from test_shop import Running

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs" / "handbook.md"]
EXAMPLE = re.compile(r"^```sh curl\n(?P<lines>.*?)^```\n```http\n(?P<shown>.*?)^```$", re.DOTALL | re.MULTILINE)


class Readme(Running):
    def test_every_line_of_curl(self):
        text = "\n".join(page.read_text() for page in PAGES)
        examples = list(EXAMPLE.finditer(text))
        self.assertGreaterEqual(len(examples), 7)
        self.assertEqual(len(examples), text.count("```sh curl"), "every example shows its answer")
        for example in examples:
            with self.subTest(lines=example["lines"]):
                self.assert_shows(self.run_lines(example["lines"]), example["shown"])

    def run_lines(self, lines):
        # The gateway of the test listens on a port of its own; the Host stays what people type.
        elsewhere = f'curl() {{ command curl -sS --connect-to localhost:8080:127.0.0.1:{self.gateway.port} "$@"; }}\n'
        done = subprocess.run(["bash", "-euc", elsewhere + lines], capture_output=True, text=True, check=True,
                              cwd=self.folder, env={**os.environ, "PASSWORD": PASSWORD})
        evidence.cookies(done.stdout)
        return done.stdout

    def assert_shows(self, answer, shown):
        """Every line that the page shows is a line of the answer; `…` stands for anything within it."""
        for line in filter(None, shown.splitlines()):
            pattern = ".*".join(re.escape(piece) for piece in line.split("…"))
            self.assertRegex(answer, re.compile(rf"^{pattern}\r?$", re.MULTILINE))
