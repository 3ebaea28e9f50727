import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_hush.io.lazy import LazyPixels, SelectedDimensions, gather


class Counted(LazyPixels):
    """Hands out boxes of an array, and counts their pixels."""

    def __init__(self, array):
        super().__init__(array.shape, array.dtype)
        self.array, self.count = array, 0

    def _read(self, bounds):
        part = self.array[tuple(slice(*pair) for pair in bounds)]
        self.count += part.size
        return part.copy()


shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=7)


@given(st.data(), shapes)
def test_an_index_gives_what_numpy_gives(data, shape):
    array = np.arange(np.prod(shape)).reshape(shape)
    key = data.draw(hnp.basic_indices(shape))
    np.testing.assert_array_equal(Counted(array)[key], array[key])


def test_only_the_box_is_read():
    pixels = Counted(np.zeros((9, 50, 60)))
    assert pixels[3, 5:10, 7:9].shape == (5, 2)
    assert pixels.count == 10
    assert pixels[2:2].shape == (0, 50, 60)
    assert pixels.count == 10


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ((0, 0, 0), "3 indices for 2"),
        ((..., ...), "single ellipsis"),
        (4, "out of bounds"),
        (-5, "out of bounds"),
        (None, "integers and slices"),
        ([1, 2], "integers and slices"),
        (1.5, "integers and slices"),
    ],
)
def test_what_is_no_box(key, says):
    with pytest.raises(IndexError, match=says):
        Counted(np.zeros((4, 4)))[key]


def test_it_becomes_an_array():
    array = np.random.default_rng(0).random((3, 4))
    pixels = Counted(array)
    np.testing.assert_array_equal(np.asarray(pixels), array)
    assert np.asarray(pixels, "float32").dtype == "float32"
    assert (pixels.ndim, pixels.nbytes, pixels.fingerprint()) == (2, 96, None)
    with pytest.raises(ValueError, match="without a copy"):
        np.array(pixels, copy=False)
    assert "shape=(3, 4)" in repr(pixels)


@given(st.data(), shapes)
def test_dimensions_of_size_one_can_be_left_out(data, shape):
    where = data.draw(st.lists(st.integers(0, len(shape)), max_size=2))
    array = np.expand_dims(
        np.arange(np.prod(shape)).reshape(shape),
        tuple(sorted({w + i for i, w in enumerate(sorted(where))})),
    )
    extra = sorted({w + i for i, w in enumerate(sorted(where))})
    kept = [i for i in range(array.ndim) if i not in extra]
    pixels = pickle.loads(pickle.dumps(SelectedDimensions(Counted(array), kept)))  # noqa: S301
    key = data.draw(hnp.basic_indices(shape))
    np.testing.assert_array_equal(pixels[key], array.reshape(shape)[key])


@given(st.data(), shapes)
def test_a_box_is_put_together_from_chunks(data, shape):
    array = np.random.default_rng(0).integers(0, 99, shape).astype(">i2")
    chunks = tuple(data.draw(st.integers(1, n + 2)) for n in shape)
    bounds = tuple(
        (low, data.draw(st.integers(low + 1, n)))
        for n in shape
        for low in [data.draw(st.integers(0, n - 1))]
    )
    asked = []

    def chunk_at(position):
        asked.append(position)
        return array[
            tuple(slice(i * c, (i + 1) * c) for i, c in zip(position, chunks, strict=True))
        ]

    box = gather(bounds, chunks, np.dtype("i2"), chunk_at)
    np.testing.assert_array_equal(box, array[tuple(slice(*b) for b in bounds)])
    assert len(set(asked)) == len(asked)
