import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_hush.axes import AxesMap
from napari_hush.io import image
from napari_hush.io.image import Image, Pixels, Sample


class OnDisk:
    """Stands for a file: knows its shape, and counts the pixels it hands out."""

    def __init__(self, array, chunks=None):
        self._array, self.read = array, 0
        self.shape, self.dtype = array.shape, array.dtype
        if chunks is not None:
            self.chunks = chunks

    def __getitem__(self, key):
        part = self._array[key]
        self.read += part.size
        return part


@given(st.data())
def test_a_region_of_a_sample_is_that_of_the_array(data):
    extra = data.draw(st.lists(st.sampled_from("STCZ"), unique=True))
    axes = "".join(data.draw(st.permutations([*extra, "Y", "X"])))
    shape = tuple(data.draw(st.integers(1, 4)) for _ in axes)
    array = np.arange(np.prod(shape)).reshape(shape)
    image = Image.from_array(OnDisk(array), axes)
    assert not image.in_memory
    views = AxesMap(axes, shape).samples(array)
    for sample, view in zip(image.samples, views, strict=True):
        assert sample.shape == view.shape
        key = tuple(
            slice(*sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))))
            for n in view.shape
        )
        np.testing.assert_array_equal(sample[key], view[key])


def test_no_more_is_read_than_asked():
    pixels = OnDisk(np.zeros((3, 50, 60)))
    (first, *_) = Image.from_array(pixels, "TYX").samples
    first[:, 10:14, 20:25]
    assert pixels.read == 20


@pytest.mark.parametrize("chunks", [(1, 8, 16), ((1, 1, 1), (8, 8), (16, 4))])
def test_chunks_are_in_canonical_order(chunks):
    pixels = OnDisk(np.zeros((3, 16, 20)), chunks)
    assert Sample(pixels, AxesMap("TXY", (3, 16, 20)), 0).chunks == (1, 16, 8)


def test_loading_a_few_bytes_at_a_time(monkeypatch):
    monkeypatch.setattr(image, "_AT_ONCE", 100)
    array = np.random.default_rng(0).random((3, 7, 11))
    pixels = OnDisk(array)
    loaded = Image.from_array(pixels, "TYX").loaded()
    np.testing.assert_array_equal(loaded.data, array)
    assert pixels.read == array.size


def test_loading():
    array = np.random.default_rng(0).random((5, 6))
    image = Image.from_array(OnDisk(array), "YX")
    assert isinstance(image.data, Pixels)
    loaded = image.loaded()
    assert loaded.in_memory
    np.testing.assert_array_equal(loaded.samples[0][0], array)
    assert loaded.nbytes == array.nbytes
    assert loaded.loaded() is loaded
