"""Counts in sentences."""

from __future__ import annotations

import pytest

from napari_hush.errors import counted


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (1, "epoch", "1 epoch"),
        (0, "epoch", "0 epochs"),
        (2, "patch", "2 patches"),
        (1, "patch", "1 patch"),
        (3, "process", "3 processes"),
        (2000, "step", "2,000 steps"),
    ],
)
def test_counts_of_one_are_singular(number, noun, said):
    assert counted(number, noun) == said
