"""The curl lines of README.md and the handbook: each is run as it stands, and answered as the page shows."""

import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import evidence
from parts import EXEUNT, PASSWORD, Part
from test_shop import Running

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs" / "handbook.md"]
EXAMPLE = re.compile(r"^```sh curl\n(?P<lines>.*?)^```\n```http\n(?P<shown>.*?)^```$", re.DOTALL | re.MULTILINE)
DEMO = re.compile(r"^```sh demo\n(?P<lines>.*?)^```\n```text\n(?P<shown>.*?)^```$", re.DOTALL | re.MULTILINE)
ANSWER_SECONDS = 60


def elsewhere(port):
    """The gateway of a test listens on a port of its own; the Host stays what people type."""
    return f'curl() {{ command curl -sS --connect-to localhost:8080:127.0.0.1:{port} "$@"; }}\n'


def as_shown(shown):
    """What a page shows, as a pattern; `…` stands for anything within a line."""
    return ".*".join(re.escape(piece) for piece in shown.split("…"))


class Demo(unittest.TestCase):
    """The walk through the demo's shop, in one shell: what one block starts, another waits for."""

    def test_one_logout(self):
        blocks = list(DEMO.finditer((ROOT / "README.md").read_text()))
        self.assertEqual(len(blocks), 3)
        with tempfile.TemporaryDirectory(prefix="exeunt-demo-") as folder:
            demo = Part(Path(folder), "demo", [EXEUNT, "demo", "--listen", "127.0.0.1:0"],
                        r"http://localhost:(\d+)\n")
            try:
                script = elsewhere(demo.port) + "\necho ---\n".join(block["lines"] for block in blocks)
                done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True, cwd=folder,
                                      timeout=ANSWER_SECONDS)
            finally:
                demo.stop()
        for block, answer in zip(blocks, done.stdout.split("---\n"), strict=True):
            with self.subTest(lines=block["lines"]):
                self.assertRegex(answer.strip(), re.compile(rf"^{as_shown(block['shown'].strip())}$"))


class Readme(Running):
    def test_five_of_six_layers_end(self):
        rows = re.findall(r"^\| \d \|.*?\| (\S+)", (ROOT / "README.md").read_text(), re.MULTILINE)
        self.assertEqual((len(rows), sum(row.startswith("**yes") for row in rows)), (6, 5))

    def test_every_line_of_curl(self):
        text = "\n".join(page.read_text() for page in PAGES)
        examples = list(EXAMPLE.finditer(text))
        self.assertGreaterEqual(len(examples), 7)
        self.assertEqual(len(examples), text.count("```sh curl"), "every example shows its answer")
        for example in examples:
            with self.subTest(lines=example["lines"]):
                self.assert_shows(self.run_lines(example["lines"]), example["shown"])

    def run_lines(self, lines):
        done = subprocess.run(["bash", "-euc", elsewhere(self.gateway.port) + lines], capture_output=True, text=True,
                              check=True,
                              cwd=self.folder, env={**os.environ, "PASSWORD": PASSWORD})
        evidence.cookies(done.stdout)
        return done.stdout

    def assert_shows(self, answer, shown):
        """Every line that the page shows is a line of the answer; `…` stands for anything within it."""
        for line in filter(None, shown.splitlines()):
            self.assertRegex(answer, re.compile(rf"^{as_shown(line)}\r?$", re.MULTILINE))
