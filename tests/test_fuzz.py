"""A few of the damaged files that benchmarks/fuzz.py reads by the thousand."""

import importlib.util
import logging
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

FUZZ = Path(__file__).resolve().parents[1] / "benchmarks" / "fuzz.py"


@pytest.fixture(scope="module")
def fuzz():
    spec = importlib.util.spec_from_file_location("fuzz", FUZZ)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["fuzz"]


@pytest.fixture(autouse=True)
def as_it_was():
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("tiff", 200),
        ("tiff-set", 60),
        ("zarr", 40),
        ("image", 200),
        ("czi", 40),
        ("nd2", 60),
        ("lif", 60),
        ("yaml", 100),
        ("model", 60),
        ("state", 12),
        ("package", 40),
        ("checkpoint", 60),
    ],
)
def test_damaged_files_are_read_or_refused_in_one_sentence(fuzz, name, number, seed):
    with warnings.catch_warnings():
        found = fuzz.fuzz(fuzz.FORMATS[name], number, seed)
    # How long it took is left to the long run: here others are at work, too.
    wrong = {k: v for k, v in found.defects.items() if not k.startswith("took")}
    assert not wrong, f"seed {seed}"
    assert sum(found.counts.values()) == number
    # Sound ones were read first; of some damaged formats hardly any can be.
    assert found.counts["read"] < number


def test_what_is_no_sentence_is_found(fuzz):
    """The check itself: a reader that fails is reported, once per place."""

    def make(folder):
        (folder / "a").write_text("sound")
        return [folder / "a"]

    def read(folder):
        if (folder / "a").read_bytes() != b"sound":
            raise IndexError("list index out of range")

    found = fuzz.fuzz(fuzz.Format(make, read), 30, 0)
    assert len(found.defects) == 1
    assert "IndexError" in next(iter(found.defects))


def test_the_same_seed_damages_alike(fuzz):
    content = bytes(range(256)) * 8
    one, two = (
        [fuzz.damaged(content, np.random.default_rng(seed), fuzz.FORMATS["tiff"])]
        for seed in (5, 5)
    )
    assert one == two
