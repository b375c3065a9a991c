"""Two GiB up and two GiB down, in the memory that the gateway needs anyway."""

import os

from parts import GUNICORN
from test_shop import Running

SIZE = 2 * 1024**3
GROWTH = 64 * 1024**2
"""How much more memory than before the gateway may hold at its worst moment."""


class LargeBodies(Running):
    server = GUNICORN

    def setUp(self):
        super().setUp()
        self.visitor.sign_in()
        self.held = self.gateway.memory("VmRSS")

    def assert_memory_is_bounded(self):
        most = self.gateway.memory("VmHWM")
        self.assertLess(most, self.held + GROWTH, f"{self.held >> 20} MiB before, {most >> 20} MiB at most")

    def test_upload(self):
        zeros = self.folder / "zeros"
        with zeros.open("wb") as file:
            os.truncate(file.fileno(), SIZE)
        answer = self.visitor.get("/upload", "--request", "POST", "--upload-file", zeros)
        self.assertEqual(answer.json(), {"user": "alice", "bytes": SIZE})
        self.assert_memory_is_bounded()

    def test_download(self):
        counted = self.visitor.get(f"/download/{SIZE}", "--no-include", "--dump-header", "-", "--output", "/dev/null",
                                   "--write-out", "%{size_download}")
        self.assertEqual((counted.status, counted.body), (200, str(SIZE).encode()))
        self.assert_memory_is_bounded()
