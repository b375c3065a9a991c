"""`deploy/deb --pgo` without a matching llvm-profdata says what to install, before it builds anything."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

DEB = Path(__file__).parents[2] / "deploy" / "deb"
RUSTC = 'if [ "$1" = --print ]; then echo /nonexistent; else echo "LLVM version: 99.1.2"; fi'
CARGO = 'echo "cargo $*" >&2; exit 3'


def ended(**commands: str):
    """What becomes of it where these commands are found first."""
    with tempfile.TemporaryDirectory() as folder:
        for name, script in commands.items():
            path = Path(folder) / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "CARGO_TARGET_DIR": f"{folder}/target"}
        return subprocess.run([DEB, "--pgo"], env=environment, capture_output=True, text=True, timeout=60)


class Pgo(unittest.TestCase):
    def test_a_missing_tool_is_named_with_what_to_install(self):
        other = 'echo "LLVM version 14.0.6"'
        answer = ended(rustc=RUSTC, llvm_profdata=other, rustup="exit 1", cargo=CARGO, cargo_deb=CARGO)
        self.assertEqual(answer.returncode, 1, answer)
        for words in ("version 99", "rustup component add llvm-tools", "apt-get install llvm-99"):
            self.assertIn(words, answer.stderr)
        self.assertNotIn("cargo ", answer.stderr, "something was built or installed")

    def test_a_tool_of_the_same_version_is_taken(self):
        same = 'echo "LLVM version 99.1.0"'
        answer = ended(rustc=RUSTC, llvm_profdata_99=same, cargo=CARGO, cargo_deb=CARGO, dpkg_shlibdeps="exit 0")
        self.assertEqual(answer.returncode, 3, answer)
        self.assertIn("cargo build", answer.stderr)


if __name__ == "__main__":
    unittest.main()
