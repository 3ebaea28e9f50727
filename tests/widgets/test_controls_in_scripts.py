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


def test_every_control_exists(hand):
    assert {"train", "loss_plot"} <= USED
    for name in USED:
        if not name.startswith("export_"):  # in a dialog
            hand.find(name)
