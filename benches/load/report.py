"""The report, made of the data alone: tables in Markdown and a chart. `python3 benches/load/report.py FOLDER` makes it
again of FOLDER/data.json."""

import json
import statistics
import sys
from pathlib import Path
from xml.sax.saxutils import escape

README = Path(__file__).resolve().parents[2] / "README.md"
OWN_FOLDER = README.parent / "benches" / "report"

UNITS = {
    "cpu_us": ("CPU a request", "µs", 1),
    "per_second": ("requests a second", "", 0),
    "p50_us": ("p50", "ms", 2),
    "p99_us": ("p99", "ms", 2),
    "resident_mib": ("resident memory", "MiB", 1),
    "idle_kib": ("an idle connection", "KiB", 1),
    "down_gib_s": ("download", "GiB/s", 2),
    "down_cpu_ms": ("its CPU", "ms/GiB", 0),
    "up_gib_s": ("upload", "GiB/s", 2),
    "up_cpu_ms": ("its CPU", "ms/GiB", 0),
}
PARTS = {
    "page": ("A signed-in page of 1 KiB, a browser's head", ["cpu_us", "per_second"]),
    "short": ("The same with a program's short head", ["cpu_us", "per_second"]),
    "large": ("An answer of 64 KiB", ["cpu_us", "per_second"]),
    "rate": ("Latency at {rate:,} requests a second, 64 connections", ["p50_us", "p99_us", "cpu_us"]),
    "sessions": ("A signed-in page, by the number of sessions", ["cpu_us"]),
    "strangers": ("An anonymous request is sent to the sign-in form (303)", ["cpu_us", "per_second"]),
    "logout": ("A sign-out", ["cpu_us", "per_second"]),
    "bulk": ("Three GiB each way, once", ["down_gib_s", "down_cpu_ms", "up_gib_s", "up_cpu_ms"]),
    "memory": ("Memory after the load, and of a kept idle connection", ["resident_mib", "idle_kib"]),
}
# Numerator, denominator, the goal of Exeunt.
RATIOS = [
    ("page", "Exeunt", "page", "nginx + auth_request", 0.60),
    ("page", "Exeunt", "page", "nginx, no sign-in", 1.05),
    ("page", "Exeunt + access line", "page", "Exeunt", None),
    ("short", "Exeunt", "short", "nginx + auth_request", None),
    ("large", "Exeunt", "large", "nginx, no sign-in", 0.80),
    ("sessions", "1,000,000 sessions", "sessions", "1,000 sessions", 1.02),
]


def scaled(key, value):
    return value / 1000 if UNITS[key][1] == "ms" else value


def shown(result):
    """One result, for the terminal."""
    words = []
    for key, value in result.items():
        name, unit, digits = UNITS[key]
        words.append(f"{name} {scaled(key, value):,.{digits}f} {unit}".rstrip())
    return ", ".join(words)


def cell(key, values):
    """Median, and least and most of the rounds."""
    digits = UNITS[key][2]
    low, middle, high = (scaled(key, value) for value in (min(values), statistics.median(values), max(values)))
    spread = f" ({low:,.{digits}f} to {high:,.{digits}f})" if len(values) > 1 else ""
    return f"{middle:,.{digits}f}{spread}"


def table(part, figures, data):
    title, keys = PARTS[part]
    head = [" ".join(filter(None, [UNITS[key][0] + ("," if UNITS[key][1] else ""), UNITS[key][1]])) for key in keys]
    lines = [f"## {title.format(**data)}", "", "| | " + " | ".join(head) + " |", "|---" + "|---:" * len(keys) + "|"]
    for name, measured in figures.items():
        # There is no proxy in between, and so no time of one.
        cells = ["-" if key == "cpu_us" and name == "direct" else cell(key, measured[key]) for key in keys]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ratio_lines(figures):
    for part, name, other_part, other, limit in RATIOS:
        one, two = figures.get(part, {}).get(name), figures.get(other_part, {}).get(other)
        if one and two:
            ratio = statistics.median(one["cpu_us"]) / statistics.median(two["cpu_us"])
            goal = f" (goal: at most {limit:.2f})" if limit else ""
            yield f"- {PARTS[part][0]}: {name} / {other} = **{ratio:.2f}**{goal}"


def markdown(data):
    machine, figures = data["machine"], data["figures"]
    measured = (values for part in figures.values() for one in part.values() for values in one.values())
    rounds = max(map(len, measured), default=0)
    tables = [table(part, figures[part], data) for part in PARTS if part in figures]
    ratios = "\n".join(ratio_lines(figures))
    seconds = data["seconds"]
    return f"""# What a request costs

Made by `benches/run` on {machine["date"]}: {machine["processor"]}, {machine["processors"]} processors,
{machine["system"]}, load {machine["load"]:.1f} at the end. Medians of {rounds} rounds of {seconds} s, interleaved,
the least and the most in parentheses. The proxy has one processor, the load (wrk, 64 connections) and the application
(nginx) another. CPU is the time on the processor of all processes that take part in an answer, without the load and the
application. No access log but where the name says so. Absolute figures are this machine's: compare within a table.

![CPU time of a request](chart.svg)

CPU time, one by the other:

{ratios}

{chr(10).join(one + chr(10) for one in tables)}"""


BAR, LEFT, WIDTH = 26, 200, 720


def chart(data):
    """CPU time of a signed-in page, as bars with their spread."""
    figures = data["figures"].get("page", {})
    bars = [(name, [value for value in one["cpu_us"]]) for name, one in figures.items() if name != "direct"]
    most = max((max(values) for _, values in bars), default=1)
    scale = (WIDTH - LEFT - 70) / most
    height = 60 + BAR * len(bars)
    rows = []
    for index, (name, values) in enumerate(bars):
        top, middle = 44 + BAR * index, statistics.median(values)
        colour = "#17694e" if name.startswith("Exeunt") else "#8a94a0"
        line = top + BAR / 2 - 3
        least, most = (LEFT + value * scale for value in (min(values), max(values)))
        rows.append(f"""\
<text x="{LEFT - 8}" y="{top + 14}" text-anchor="end">{escape(name)}</text>
<rect x="{LEFT}" y="{top}" width="{middle * scale:.1f}" height="{BAR - 6}" fill="{colour}"/>
<path d="M{least:.1f} {line:.1f}H{most:.1f}" stroke="#222" stroke-width="1.5"/>
<text x="{most + 6:.1f}" y="{top + 14}">{middle:.1f}</text>""")
    body = "\n".join(rows)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img"
     aria-label="CPU time of a signed-in request, in microseconds, by proxy" \
font-family="sans-serif" font-size="13" fill="#222">
<rect width="{WIDTH}" height="{height}" fill="#fff"/>
<text x="12" y="24" font-size="15">CPU time of a signed-in page of 1 KiB, µs; bar: median, line: least to most</text>
{body}
</svg>
"""


BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def summary(data):
    """What the README shows: the chart, and the ratios as they are."""
    machine, ratios = data["machine"], "\n".join(ratio_lines(data["figures"]))
    return f"""{BEGIN}
![CPU time of a signed-in request, by proxy](benches/report/chart.svg)

{ratios}

Measured on {machine["date"]} ({machine["processor"]}, {machine["processors"]} processors); all tables, with throughput,
latency, memory and the spread of every figure: [`benches/report/report.md`](benches/report/report.md).
{END}"""


def tell_readme(data, readme):
    """Puts the summary between its two marks."""
    text = readme.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, behind = rest.partition(END)
    if begin and end:
        readme.write_text(before + summary(data) + behind)


def compared(figures, one, other):
    """What the second of two programs costs, by the first."""
    for part in PARTS:
        first, second = figures.get(part, {}).get(one), figures.get(part, {}).get(other)
        if first and second and "cpu_us" in first:
            ratio = statistics.median(second["cpu_us"]) / statistics.median(first["cpu_us"])
            yield f"- {PARTS[part][0].format(rate=0)}: {other} / {one} = {ratio:.3f}"


def write(data, folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.json").write_text(json.dumps(data, indent=1) + "\n")
    (folder / "report.md").write_text(markdown(data))
    (folder / "chart.svg").write_text(chart(data))
    if folder.resolve() == OWN_FOLDER:
        tell_readme(data, README)
    print(f"{folder}: data.json, report.md, chart.svg")
    print("\n".join(ratio_lines(data["figures"])))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    write(json.loads((folder / "data.json").read_text()), folder)
