"""Which patches hold something."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_hush.config import BackgroundConfig
from napari_hush.dataset.background import (
    MEASURES,
    entropy,
    foreground,
    marked,
    touches,
)


def test_entropy_is_the_logarithm_of_how_many_values_are_equally_frequent():
    assert entropy(np.full((8, 8), 5)) == 0
    for bits in range(1, 9):
        values = np.arange(256).reshape(16, 16) // (256 >> bits)
        assert entropy(values) == pytest.approx(bits)


def test_entropy_of_unequal_shares():
    patch = np.array([0] * 12 + [9] * 4)
    assert entropy(patch) == pytest.approx(-(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)))


def test_measures_are_those_of_numpy():
    patch = np.random.default_rng(0).normal(5, 2, (9, 7)).astype(np.float32)
    assert MEASURES["mean"](patch) == pytest.approx(patch.mean(dtype=float))
    assert MEASURES["std"](patch) == pytest.approx(patch.std(dtype=float))


@pytest.fixture
def steps():
    """Four patches of 4 x 4 in a row, with 0, 1, 2, 3; and another channel of noise."""
    row = np.repeat(np.arange(4.0), 4)[None].repeat(4, 0)
    noise = np.random.default_rng(0).normal(0, 99, row.shape)
    windows = np.array([[0, 0, 4 * n] for n in range(4)])
    return [np.stack([row, noise])], windows


@pytest.mark.parametrize(("threshold", "wanted"), [(0, 4), (1, 3), (1.5, 2), (4, 0)])
def test_patches_at_or_above_the_threshold_of_the_first_channel(steps, threshold, wanted):
    config = BackgroundConfig(measure="mean", threshold=threshold, kept=0)
    kept = foreground(*steps, (4, 4), config, np.random.default_rng(0))
    assert kept.tolist() == [False] * (4 - wanted) + [True] * wanted


def test_all_or_a_share_of_the_background_is_kept():
    units = [np.zeros((1, 4, 4000))]
    windows = np.array([[0, 0, 4 * n] for n in range(1000)])
    shares = []
    for share in (0.0, 0.25, 1.0):
        config = BackgroundConfig(measure="mean", threshold=1, kept=share)
        kept = foreground(units, windows, (4, 4), config, np.random.default_rng(0))
        shares.append(kept.mean())
        masked = marked(units, windows, (4, 4), share, np.random.default_rng(0))
        assert masked.mean() == kept.mean()
    assert shares[0] == 0
    assert shares[1] == pytest.approx(0.25, abs=0.05)
    assert shares[2] == 1


@given(st.integers(0, 3), st.integers(0, 15), st.integers(0, 3))
def test_one_marked_pixel_is_enough(y, x, channel):
    mask = np.zeros((4, 4, 16), np.uint8)
    mask[channel, y, x] = 1
    windows = np.array([[0, 0, 4 * n] for n in range(4)])
    kept = marked([mask], windows, (4, 4), 0, np.random.default_rng(0))
    assert kept.tolist() == [x // 4 == n for n in range(4)]


@pytest.mark.parametrize("factor", [1e-12, 1, 1e12])
@pytest.mark.parametrize("offset", [0, 1e3, 1e6, 1e12])
def test_entropy_does_not_depend_on_the_unit(factor, offset):
    values = np.random.default_rng(0).normal(0, 1, (64, 64))
    found = entropy((values + offset) * factor)
    assert found == pytest.approx(entropy(values), abs=0.01)


def test_entropy_of_values_that_differ_by_rounding():
    patch = np.full((8, 8), 1e12)
    patch[0, 0] = np.nextafter(1e12, 2e12)
    assert entropy(patch) == pytest.approx(entropy(patch > 1e12))


def test_entropy_has_256_bins():
    """Of 257 values side by side the last two share one."""
    shares = np.array([1] * 255 + [2]) / 257
    assert entropy(np.arange(257)) == pytest.approx(-(shares * np.log2(shares)).sum())


def test_the_brightest_pixel_counts_where_asked():
    assert MEASURES["max"](np.array([[3, 7], [5, 1]], np.uint8)) == 7


def test_masked_pixels_are_neither_foreground_nor_marked(steps):
    units, windows = steps
    valid = np.ones(units[0].shape, bool)
    valid[:, :, 4:8] = False
    valid[0, :, 9:12] = False
    units[0][0, :, 9:12] = 99  # masked in the first channel
    config = BackgroundConfig(measure="max", threshold=-1, kept=0)
    rng = np.random.default_rng(0)
    kept = foreground(units, windows, (4, 4), config, rng, [valid])
    assert kept.tolist() == [True, False, True, True]
    config = BackgroundConfig(measure="max", threshold=2.5, kept=0)
    kept = foreground(units, windows, (4, 4), config, rng, [valid])
    assert kept.tolist() == [False, False, False, True]


def test_a_mark_counts_where_a_pixel_of_any_channel_is_valid():
    windows = np.array([[0, 0, 4 * n] for n in range(4)])
    mask, valid = np.zeros((1, 4, 16)), np.zeros((2, 4, 16), bool)
    mask[0, 1, [1, 5, 9]] = 1
    valid[1, 1, 1] = True  # the marked pixel
    valid[:, 2, 5] = True  # another one, of its column
    valid[:, :, 12:] = True  # of a window without a mark
    kept = marked([mask], windows, (4, 4), 0, np.random.default_rng(0), [valid])
    assert kept.tolist() == [True, False, False, False]
    assert touches([valid], windows, (4, 4)).tolist() == [True, True, False, True]
