"""Tables and a chart of what `index_scale.py --json` wrote: `python benchmarks/index_chart.py OUT.svg NAME=FILE...`.

The table goes to the standard output. In the chart each question has a bar for each index, from the median to the 99th
percentile, in milliseconds on a logarithmic scale.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

_COLOURS = ("#2f6f9f", "#c8793a", "#5a8f4e")
_LEFT, _WIDTH, _BAR, _GAP = 400, 560, 9, 8
_LEAST, _MOST = 0.1, 10_000.0

Figures = dict[str, dict[str, Any]]


def across(milliseconds: float) -> float:
    """Where a time is on the scale."""
    share = math.log(max(milliseconds, _LEAST) / _LEAST) / math.log(_MOST / _LEAST)
    return _LEFT + min(share, 1.0) * _WIDTH


def bar(top: float, figures: dict[str, float], colour: str) -> str:
    """One question to one index: a mark at the median, a bar to the 95th and a line to the 99th percentile."""
    p50, p95, p99 = (across(figures[name]) for name in ("p50", "p95", "p99"))
    middle = top + _BAR / 2
    return (
        f'<line x1="{p50:.1f}" x2="{p99:.1f}" y1="{middle}" y2="{middle}" stroke="{colour}"/>'
        f'<rect x="{p50:.1f}" width="{max(p95 - p50, 1):.1f}" y="{top}" height="{_BAR - 2}" fill="{colour}" '
        f'fill-opacity="0.5"/><rect x="{p50 - 1.5:.1f}" width="3" y="{top}" height="{_BAR - 2}" fill="{colour}"/>'
    )


def chart(found: dict[str, Figures]) -> str:
    """The chart as SVG."""
    names = list(next(iter(found.values())))
    row = _BAR * len(found) + _GAP
    height = 60 + row * len(names)
    parts = []
    for power in range(-1, 5):
        x = across(10.0**power)
        parts.append(f'<line x1="{x}" x2="{x}" y1="40" y2="{height}" stroke="#ddd"/>')
        parts.append(f'<text x="{x}" y="34" text-anchor="middle">{10.0**power:g} ms</text>')
    for place, (index, colour) in enumerate(zip(found, _COLOURS, strict=False)):
        parts.append(
            f'<rect x="{20 + 300 * place}" y="6" width="12" height="9" fill="{colour}"/>'
            f'<text x="{38 + 300 * place}" y="15">{index}</text>'
        )
    for number, name in enumerate(names):
        top = 48 + row * number
        parts.append(f'<text x="{_LEFT - 10}" y="{top + row / 2:.0f}" text-anchor="end">{name}</text>')
        for place, (figures, colour) in enumerate(zip(found.values(), _COLOURS, strict=False)):
            if name in figures:
                parts.append(bar(top + _BAR * place, figures[name], colour))
    style = 'font-family="sans-serif" font-size="11"'
    size = f'width="{_LEFT + _WIDTH + 40}" height="{height}"'
    inside = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{inside}\n</svg>\n'
    )


def table(found: dict[str, Figures]) -> str:
    """The table as Markdown: p50, p95, p99 and processor time of each."""
    lines = [
        "| question | " + " | ".join(f"{index} | | | " for index in found) + "|",
        "| --- |" + " ---: | ---: | ---: | ---: |" * len(found),
        "| |" + " p50 | p95 | p99 | CPU |" * len(found),
    ]
    for name in next(iter(found.values())):
        cells = [
            f" {figures[name][each]:.1f} |" if name in figures else " |"
            for figures in found.values()
            for each in ("p50", "p95", "p99", "cpu")
        ]
        lines.append(f"| {name} |" + "".join(cells))
    return "\n".join(lines)


def main() -> None:
    """Read, draw, and print."""
    out, *given = sys.argv[1:]
    pairs = [text.rpartition("=") for text in given]
    found: dict[str, Figures] = {
        name: json.loads(Path(path).read_text())["questions"] for name, _, path in pairs
    }
    Path(out).write_text(chart(found))
    sys.stdout.write(table(found) + "\n")


if __name__ == "__main__":
    main()
