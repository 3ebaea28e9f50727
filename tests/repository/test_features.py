"""The tests and pictures that docs/dev/features.md names as evidence exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "dev" / "features.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d+ ", line)
]


def test_no_row_is_left_out():
    assert [int(number) for number, *_ in ROWS] == list(range(1, len(ROWS) + 1))
    assert {there for _, _, there, _ in ROWS} <= {"Y", "N"}


@pytest.mark.parametrize(
    ("what", "proofs"), [(what, proofs) for _, what, there, proofs in ROWS if there == "Y"]
)
def test_evidence_of_each_feature_exists(what, proofs):
    named = re.findall(r"`([^`]+)`", proofs)
    assert named, what
    for name in named:
        path, _, test = name.partition("::")
        file = (
            ROOT / path
            if path.startswith(("docs", "benchmarks"))
            else ROOT / "tests" / path
        )
        assert file.is_file(), name
        if test:
            assert f"def {test}(" in file.read_text(encoding="utf-8"), name
