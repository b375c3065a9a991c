"""The report about what a request costs says what was measured, and the README what the report says."""

import json
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benches" / "load"))

import report  # noqa: E402

FOLDER = ROOT / "benches" / "report"
SAMPLE = {
    "machine": {"processor": "P", "processors": 2, "system": "S", "date": "2026-01-01", "load": 0.5},
    "seconds": 2, "rate": 1000,
    "figures": {
        "page": {
            "direct": {"cpu_us": [0.0], "per_second": [9.0]},
            "nginx, no sign-in": {"cpu_us": [20.0, 22.0, 90.0], "per_second": [5.0, 6.0, 7.0]},
            "Exeunt": {"cpu_us": [11.0, 10.0, 12.0], "per_second": [8.0, 8.0, 8.0]},
        },
        "memory": {"Exeunt": {"resident_mib": [10.0], "idle_kib": [1.5]}},
    },
}


class Report(unittest.TestCase):
    def test_medians_with_their_spread(self):
        text = report.markdown(SAMPLE)
        self.assertIn("| nginx, no sign-in | 22.0 (20.0 to 90.0) | 6 (5 to 7) |", text)
        self.assertIn("| direct | - | 9 |", text)
        self.assertIn("Exeunt / nginx, no sign-in = **0.50** (goal: at most 1.05)", text)
        self.assertIn("| Exeunt | 10.0 | 1.5 |", text)

    def test_chart_has_a_bar_for_every_contestant(self):
        chart = report.chart(SAMPLE)
        self.assertEqual(chart.count("<path"), 2)
        self.assertNotIn("direct", chart)

    def test_the_readme_is_told_between_its_marks(self):
        with tempfile.TemporaryDirectory() as folder:
            readme = Path(folder) / "README.md"
            readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nbehind\n")
            report.tell_readme(SAMPLE, readme)
            self.assertTrue(readme.read_text().startswith("before\n" + report.BEGIN))
            self.assertTrue(readme.read_text().endswith(report.END + "\nbehind\n"))
            self.assertIn("**0.50**", readme.read_text())
            self.assertNotIn("old", readme.read_text())

    def test_what_is_kept_is_made_of_its_data_alone(self):
        if not (FOLDER / "data.json").exists():
            self.assertNotIn("chart.svg", (ROOT / "README.md").read_text())
            return
        data = json.loads((FOLDER / "data.json").read_text())
        with tempfile.TemporaryDirectory() as made:
            report.write(data, Path(made))
            for name in ["report.md", "chart.svg"]:
                self.assertEqual((Path(made) / name).read_text(), (FOLDER / name).read_text(), name)
        self.assertIn(report.summary(data), (ROOT / "README.md").read_text())
        for part, contestants in data["figures"].items():
            for name, measured in contestants.items():
                if "cpu_us" in measured:
                    self.assertGreaterEqual(len(measured["cpu_us"]), 5, (part, name))


if __name__ == "__main__":
    unittest.main()
