import dask.array as da
import numpy as np
import pytest

from napari_hush.widgets.inspect.compared_pixels import Difference, Swiped

SHAPE = (3, 8, 10)


@pytest.fixture
def before():
    return np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)


@pytest.fixture
def after(before):
    return (before * 0.5).astype(np.float32)


def _whole(before, after, axis, split):
    places = np.arange(before.shape[axis]).reshape(
        [-1 if a == axis else 1 for a in range(3)]
    )
    return np.where(places < split, before, after).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("split", [0, 2, 100])
@pytest.mark.parametrize(
    "key",
    [
        (slice(None),) * 3,
        (1, slice(None), slice(None)),
        (slice(None), 5, slice(None)),
        (slice(None), slice(None), -1),
        (2, slice(2, 6), slice(1, None, 3)),
        (slice(None, None, -1), slice(None), slice(None, None, -2)),
        (1, 2, 3),
        (Ellipsis, 4),
        1,
    ],
)
def test_a_slice_of_the_swiped_picture_is_that_slice_of_the_whole(
    before, after, axis, split, key
):
    whole = _whole(before, after, axis, split)
    swiped = Swiped(before, after, axis, split)
    assert np.array_equal(swiped[key], whole[key])
    assert np.array_equal(np.asarray(swiped), whole)


def test_pixels_of_one_type_stay_of_that_type(before):
    assert Swiped(before, before + 1, 1, 3).dtype == np.uint16
    assert Swiped(before, before + 1, 1, 3)[0].dtype == np.uint16


def test_what_is_shown_can_be_written_to_without_touching_the_sources(before, after):
    kept = before.copy(), after.copy()
    for split in (0, 5, 10):
        Swiped(before, after.astype(np.uint16), 2, split)[1][:] = 7
    assert np.array_equal(before, kept[0])
    assert np.array_equal(after, kept[1])


def test_the_difference_is_before_minus_after(before, after):
    difference = Difference(before, after)
    assert difference.dtype == np.float32
    assert np.array_equal(difference[1, 2:5], before[1, 2:5] - after[1, 2:5])
    assert np.array_equal(np.asarray(difference), before - after)


def test_the_difference_of_colours_is_their_mean():
    before = np.full((4, 5, 3), 100, np.uint8)
    after = np.stack([np.full((4, 5), v, np.uint8) for v in (90, 100, 104)], axis=-1)
    difference = Difference(before, after, rgb=True)
    assert difference.shape == (4, 5)
    assert np.allclose(difference[1:3], 2.0)


def test_only_the_slice_that_is_asked_for_is_read_and_once(before, after):
    read = []

    def block(block_info=None):
        read.append(block_info[None]["array-location"][0])
        (start, stop), *_ = block_info[None]["array-location"]
        return before[start:stop]

    lazy = da.map_blocks(block, chunks=((1, 1, 1), 8, 10), dtype=before.dtype)
    read.clear()
    difference = Difference(lazy, after)
    for _ in range(3):
        assert np.array_equal(difference[1], before[1] - after[1])
    assert read == [(1, 2)]
    difference.forget()
    difference[1]
    assert read == [(1, 2), (1, 2)]


def test_pictures_of_two_shapes_are_refused(before, after):
    with pytest.raises(ValueError, match="differ"):
        Swiped(before, after[:2], 0, 1)
