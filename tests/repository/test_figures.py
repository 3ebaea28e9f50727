"""Pages show the figures of docs/figures.json, and no others."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Of users; docs/cli.md is written from the help texts, which have defaults and bounds.
PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
PAGES += (ROOT / "docs/tutorials").glob("*.md")
PAGES = sorted(str(page.relative_to(ROOT)) for page in PAGES if page.name != "cli.md")

# Not read: code, links, and estimates, which are arithmetic on figures.
SILENT = r"^```.*?^```$|`[^`]+`|\]\([^)]*\)|^### Estimate.*?(?=^##? |\Z)"
# Looks measured: a quantity, or a cell of a table that starts with a number.
UNIT = r"dB|patches/s|Mpx/s|(?:patches|megapixels) per second|[KMGT]B(?:/s)?|m?s|seconds"
UNIT += r"|minutes?|min|hours?|times|x(?!\s*\d)|%"
MEASURED = rf"(?<![\w.,-])[-+]?\d[\d,.]*\s*(?:{UNIT})(?!\w)"
MEASURED += r"|(?<=\|) *[-+]?\d[\d,.]* *(?=[|,;(])"
# And is not.
ALLOWED = {
    "masked pixels": r"\b(?:0\.2|1\.5|5) %(?:,| \|| of\s+the\s+pixels| for structN2V)",
    "validation patches": r"\b10 %(?: in 0\.1|, at most 256)",
    "length of presets": r"about 15 s\b|\b[15] min\b",
    "limits": r"(?:larger than [14] GB|less than 80 %|about 32 MB)",
    "input of measurements": r"(?:1|4|\| 2|\| 4) GB (?:of 16-bit|\(2,001|\|)|of 1 % salt",
    "counts": r"\| (?:[12] \| (?:16|32) |1 \(torchrun's own\) |-9 |1 (?=\|\n))",
    "definition of decibel": r"3 dB are half of the squared error",
    "figures of a paper": r"28\.3 dB with the last, 27\.6 dB with the best",
    "versions of CAREamics": r"\| 0\.[123]\b",
    "acquisition of an image": r"one frame in 0\.05 s|63x water objective",
    "examples": r"a share of 12 %|\| 0\.65; ",
}


@pytest.fixture(scope="module")
def figures():
    spec = importlib.util.spec_from_file_location("f", ROOT / "benchmarks/figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def without_figures(figures, page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for measurement in figures.load().values():
        for quote in measurement["pages"].get(page, ()):
            text = figures.replaced(text, quote, lambda name, written: "#")
    return re.sub(SILENT, "", text, flags=re.DOTALL | re.MULTILINE)


def test_pages_show_the_figures_of_the_file(figures):
    for page, text in figures.pages(figures.load()).items():
        assert text == (ROOT / page).read_text("utf-8"), "python benchmarks/figures.py"


def test_each_figure_is_on_a_page_and_says_where_it_comes_from(figures):
    for name, measurement in figures.load().items():
        quotes = [quote for page in measurement["pages"].values() for quote in page]
        shown = set(re.findall(r"\{(\w+)\}", " ".join(quotes))) - {"date"}
        assert shown == set(measurement["figures"]), name
        assert measurement["command"], name
        assert measurement["machine"], name
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", measurement["date"]), name
        from_results = ["from" in figure for figure in measurement["figures"].values()]
        assert set(from_results) == {"results" in measurement}, name


@pytest.mark.parametrize("page", PAGES)
def test_no_other_figure_is_on_a_page_for_users(figures, page):
    text = re.sub("|".join(ALLOWED.values()), "|", without_figures(figures, page))
    found = [text[max(0, m.start() - 30) : m.end()] for m in re.finditer(MEASURED, text)]
    assert found == [], "add them to docs/figures.json"


def test_no_exception_is_out_of_date(figures):
    text = "\n".join(without_figures(figures, page) for page in PAGES)
    assert [why for why, pattern in ALLOWED.items() if not re.search(pattern, text)] == []


@pytest.mark.parametrize(
    ("value", "written", "expected"),
    [
        (8849.6, "9,000", "8,850"),
        (0.427, "0.50", "0.43"),
        (-1.01, "-0.9", "-1.0"),
        (0.876, "+1.00", "+0.88"),
        (8.46e-4, "9.0e-4", "8.5e-4"),
        (3.38e9, "3.0e9", "3.4e9"),
    ],
)
def test_pages_decide_on_decimals_and_notation(figures, value, written, expected):
    assert figures.rounded(value, written) == expected


def test_a_quote_has_to_fit_once_and_may_be_wrapped(figures):
    page = "It took 3 s\nalone, 2.5 s with two."
    changed = figures.replaced(page, "took {one} s alone", lambda name, written: "4")
    assert changed == "It took 4 s\nalone, 2.5 s with two."
    for quote in ("{n} s", "took {n} minutes"):
        with pytest.raises(ValueError, match="places in the page"):
            figures.replaced(page, quote, lambda name, written: written)


def test_results_of_a_benchmark_replace_value_machine_and_date(figures):
    where = "dB where set=a and steps=5"
    figure = {"value": 1.0, "unit": "dB", "from": where}
    old = {"machine": "old", "date": "2020-01-01", "figures": {"n": figure}, "pages": {}}
    machine = {"gpu": None, "cores": 2, "processor": "CPU", "date": "2026-11-30T10:00:00"}
    rows = [{"set": "a", "steps": 5, "dB": "+2.50"}, {"set": "a", "steps": 6, "dB": "3"}]
    new = figures.copied(old, {"machine": machine, "rows": rows})
    assert new["figures"] == {"n": {"value": 2.5, "unit": "dB", "from": where}}
    assert (new["machine"], new["date"]) == ("2 cores of CPU", "2026-11-30")
    figure["from"] = "dB where set=a"
    with pytest.raises(ValueError, match="2 rows"):
        figures.copied(old, {"machine": machine, "rows": rows})
