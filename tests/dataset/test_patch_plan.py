import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_hush.boxes import flush_starts
from napari_hush.dataset import patch_plan
from napari_hush.errors import DataError
from napari_hush.io import Image


def test_every_pixel_of_every_size_is_covered():
    for patch in (8, 64):
        for size in range(patch, 1101):
            starts = flush_starts(size, patch)
            assert starts[0] == 0
            assert starts[-1] + patch == size
            assert (np.diff(starts) <= patch).all()
            assert len(starts) == -(-size // patch)


def covered(windows, shapes, patch):
    counts = [np.zeros(shape[1:], int) for shape in shapes]
    for image, *corner in windows:
        region = tuple(slice(c, c + p) for c, p in zip(corner, patch, strict=True))
        counts[image][region] += 1
    return counts


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(8, 40), st.integers(8, 40)), min_size=1, max_size=3),
    st.floats(0, 1),
    st.integers(0, 3),
    st.integers(0, 99),
)
def test_training_and_validation_share_no_pixel_and_lose_none(sizes, share, least, seed):
    shapes = [(1, *size) for size in sizes]
    patch = (8, 8)
    windows = patch_plan.grid(shapes, patch)
    least = min(least, len(windows))
    rng = np.random.default_rng(seed)
    train, val = patch_plan.split(windows, patch, share, least, rng)
    assert len(train)
    assert len(train) + len(val) == len(windows)
    for a, b in zip(
        covered(train, shapes, patch), covered(val, shapes, patch), strict=True
    ):
        assert not ((a > 0) & (b > 0)).any()
        assert ((a > 0) | (b > 0)).all()


def test_as_many_as_asked():
    windows = patch_plan.grid([(1, 512, 512)], (64, 64))
    rng = np.random.default_rng(0)
    for share, least, count in [(0.1, 1, 6), (0.1, 20, 20), (0.0, 0, 0), (0.5, 0, 32)]:
        train, val = patch_plan.split(windows, (64, 64), share, least, rng)
        assert (len(train), len(val)) == (64 - count, count)


@pytest.mark.parametrize("size", [64, 70])  # windows side by side, or in groups of four
def test_no_more_than_asked_and_evenly_spread(size):
    """100 images: a tenth of their 6,400 (8,100) windows is more than 200."""
    windows = patch_plan.grid([(1, size, size)] * 100, (8, 8))
    rng = np.random.default_rng(0)
    train, val = patch_plan.split(windows, (8, 8), 0.1, 1, rng, most=200)
    assert len(val) == 200
    assert len(train) + len(val) == len(windows)
    counts = np.bincount(val[:, 0], minlength=100)
    assert counts.max() <= 8
    assert (abs(counts.reshape(4, 25).sum(axis=1) - 50) < 10).all()
    assert 0.4 < (val[:, 1] < size // 2).mean() < 0.6


def test_a_group_that_is_larger_than_the_limit_is_validated_in_part():
    windows = patch_plan.grid([(1, 12, 12)] * 9, (8, 8))
    rng = np.random.default_rng(0)
    train, val = patch_plan.split(windows, (8, 8), 0.5, 1, rng, most=3)
    assert (len(train), len(val)) == (32, 3)
    assert not {*train[:, 0]} & {*val[:, 0]}


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 9))
def test_one_number_of_each_part(total, count, seed):
    drawn = patch_plan.evenly(total, count, np.random.default_rng(seed))
    assert len(drawn) == min(total, count)
    if len(drawn):
        number = np.arange(len(drawn))
        assert (number * total // len(drawn) <= drawn).all()
        assert (drawn < (number + 1) * total // len(drawn)).all()


def test_a_single_window_is_trained_on():
    windows = patch_plan.grid([(1, 64, 64)], (64, 64))
    train, val = patch_plan.split(windows, (64, 64), 0.1, 1, np.random.default_rng(0))
    assert (len(train), len(val)) == (1, 0)


@pytest.mark.parametrize(
    ("share", "least", "says"),
    [(1.5, 1, "between 0 and 1"), (0.1, 5, "hold 4 patches; give at most 4")],
)
def test_splits_out_of_range(share, least, says):
    windows = patch_plan.grid([(1, 128, 128)], (64, 64))
    with pytest.raises(DataError, match=says):
        patch_plan.split(windows, (64, 64), share, least, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("shapes", "axes", "patch", "says"),
    [
        ([(64, 63)], "YX", (64, 64), "64 pixels along X but a0 has only 63.* most 64 60,"),
        ([(5, 40, 40)], "ZYX", (16, 64, 64), "16 pixels along Z .* at most 5 40 40,"),
        ([(64, 64), (17, 99), (80, 41)], "YX", (64, 64), "a1 has only 17.* most 16 40,"),
        ([(9, 300)], "YX", (16, 16), "at most 8 16,"),
        ([(64, 64), (64, 7)], "YX", (16, 16), "7 pixels along X in a1.* at least 8;"),
    ],
)
def test_an_image_smaller_than_a_patch(shapes, axes, patch, says):
    images = [
        Image.from_array(np.empty(shape, "uint8"), axes, f"a{number}")
        for number, shape in enumerate(shapes)
    ]
    with pytest.raises(DataError, match=says):
        patch_plan.require_room(images, patch, axes, 4)


def test_volumes():
    windows = patch_plan.grid([(2, 10, 20, 30)], (8, 16, 16))
    assert len(windows) == 2 * 2 * 2
    assert windows[:, 1:].max(axis=0).tolist() == [2, 4, 14]


@pytest.mark.parametrize("wanted", range(1, 15))
def test_what_overlaps_goes_together_and_still_as_many_as_asked_are_found(wanted):
    """Windows of these images overlap by twos and fours, so not every number is there."""
    windows = patch_plan.grid([(1, 20, 12)] * 3, (8, 8))
    assert len(windows) == 18
    for seed in range(20):
        rng = np.random.default_rng(seed)
        _, val = patch_plan.split(windows, (8, 8), 0.0, wanted, rng)
        assert wanted <= len(val) <= wanted + 3
        if wanted % 2 == 0 and wanted <= 6:  # twos alone make it
            assert len(val) == wanted
