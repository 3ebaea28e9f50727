"""Controls that scripts and benchmarks operate have the names used there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
USED = {
    name
    for folder in ("scripts", "benchmarks")
    for file in (ROOT / folder).glob("*.py")
    for name in re.findall(r"\bfind\(\"(\w+)\"", file.read_text(encoding="utf-8"))
}

WINDOWS = {"export_form", "export_author_0", "export_orcid_0", "help_window"}
"""Made when a dialog or window opens."""


def test_every_control_exists(hand):
    assert {"train", "loss_plot"} <= USED
    for name in USED - WINDOWS:
        hand.find(name)
