"""Figures of the pages: ``docs/figures.json`` keeps them, this script writes them in.

    python benchmarks/figures.py            # write all figures into the pages
    python benchmarks/figures.py NAME ...   # first copy these from benchmarks/results

A measurement has a name, the command that makes it, machine, date, figures (value and unit)
and, for each page, quotes: words of the page, found once in it, with {name} for a figure
and {date} for the date. Pages decide on the number of decimals. A measurement with
``results`` is copied from ``benchmarks/results/RESULTS.json``: ``from`` of a figure says
"COLUMN where KEY=VALUE and KEY=VALUE", which fits one row. Others are edited by hand.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures.json"
RESULTS = Path(__file__).with_name("results")
NUMBER = r"[-+]?\d(?:[\d,]*\d)?(?:\.\d+)?(?:e-?\d+)?"
_DATE = r"\d{4}-\d\d-\d\d"

Measurement = dict[str, Any]


def load() -> dict[str, Measurement]:
    """All measurements by name."""
    found: dict[str, Measurement] = json.loads(FIGURES.read_text(encoding="utf-8"))
    return found


def copied(measurement: Measurement, found: dict[str, Any]) -> Measurement:
    """The measurement with the values, the machine and the date of a results file."""
    here = found["machine"]
    figures = {}
    for name, figure in measurement["figures"].items():
        column, _, where = figure["from"].partition(" where ")
        wanted = dict(pair.split("=", 1) for pair in where.split(" and "))
        rows = [r for r in found["rows"] if all(str(r[k]) == v for k, v in wanted.items())]
        if len(rows) != 1:
            raise ValueError(f"{len(rows)} rows where {where}; name one")
        figures[name] = figure | {"value": float(rows[0][column])}
    machine = here["gpu"] or f"{here['cores']} cores of {here['processor']}"
    return measurement | {"machine": machine, "date": here["date"][:10], "figures": figures}


def replaced(text: str, quote: str, new: Callable[[str, str], str]) -> str:
    """The page with ``new(name, written)`` for each name of the quote."""
    words = re.split(r"\{(\w+)\}", quote)
    pattern = ""
    for place, part in enumerate(words):
        kind = _DATE if part == "date" else NUMBER
        literal = r"\s+".join(map(re.escape, part.split(" ")))
        pattern += f"(?P<{part}>{kind})" if place % 2 else literal
    matches = list(re.finditer(pattern, text))
    if len(matches) != 1:
        raise ValueError(f"{len(matches)} places in the page fit {quote!r}; one is needed")
    for name in reversed(words[1::2]):
        start, end = matches[0].span(name)
        text = text[:start] + new(name, text[start:end]) + text[end:]
    return text


def rounded(value: float, written: str) -> str:
    """The value with as many decimals, and in the same notation, as what is written."""
    mantissa, power, _ = written.partition("e")
    decimals = len(mantissa.partition(".")[2])
    sign = "+" if written.startswith("+") else ""
    if power:
        return re.sub(r"e\+?(-?)0*", r"e\1", f"{value:{sign}.{decimals}e}")
    return f"{value:{sign},.{decimals}f}"


def pages(measurements: dict[str, Measurement]) -> dict[str, str]:
    """All pages that a measurement names, with its figures."""
    texts: dict[str, str] = {}
    for measurement in measurements.values():
        values = {n: figure["value"] for n, figure in measurement["figures"].items()}

        def new(name: str, written: str, m: Any = measurement, v: Any = values) -> str:
            return m["date"] if name == "date" else rounded(v[name], written)

        for page, quotes in measurement["pages"].items():
            for quote in quotes:
                text = texts.get(page) or (ROOT / page).read_text(encoding="utf-8")
                texts[page] = replaced(text, quote, new)
    return texts


def main() -> None:
    """Copy the named measurements, then write the figures into the pages."""
    measurements = load()
    for name in sys.argv[1:]:
        file = RESULTS / f"{measurements[name]['results']}.json"
        measurements[name] = copied(measurements[name], json.loads(file.read_text()))
        print(f"{name}: {measurements[name]['machine']}; correct what pages say of it")
    for page, text in pages(measurements).items():
        (ROOT / page).write_text(text, encoding="utf-8")
    lines = json.dumps(measurements, indent=1, ensure_ascii=False)
    lines = re.sub(r'\{\s+"value"[^{}]*\}', lambda m: " ".join(m[0].split()), lines)
    FIGURES.write_text(lines + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
