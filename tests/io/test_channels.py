import itertools

import numpy as np
import pytest
import zarr

from napari_hush.errors import DataError
from napari_hush.io import Image, fingerprint_of, open_images, select_channels, write_tiff

CHOICES = [
    tuple(choice)
    for count in (1, 2, 3)
    for choice in itertools.permutations(range(3), count)
]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("axes", ["CYX", "YXC", "TYCX"])
def test_channels_in_memory_and_on_disk_are_those_of_the_array(axes, choice, tmp_path):
    shape = [{"C": 3, "T": 2, "Y": 6, "X": 5}[axis] for axis in axes]
    array = np.arange(np.prod(shape), dtype="uint16").reshape(shape)
    expected = array.take(choice, axis=axes.index("C"))
    here = select_channels(Image.from_array(array, axes), choice)
    np.testing.assert_array_equal(here.data, expected)
    assert here.axes.shape == expected.shape
    chunks = [
        min(size, 4 if axis in "YX" else 2) for axis, size in zip(axes, shape, strict=True)
    ]
    zarr.create_array(tmp_path / "a.zarr", data=array, chunks=chunks)
    (image,) = open_images(tmp_path / "a.zarr", "zarr", axes)
    there = select_channels(image, choice)
    assert not there.in_memory
    samples = Image.from_array(expected, axes).samples
    for mine, theirs in zip(there.samples, samples, strict=True):
        everything = tuple(slice(0, n) for n in theirs.shape)
        np.testing.assert_array_equal(mine[everything], theirs)
        part = (slice(0, 1), slice(2, 5), slice(1, 4))
        np.testing.assert_array_equal(mine[part], theirs[part])
    np.testing.assert_array_equal(there.loaded().data, expected)


def test_other_channels_are_other_pixels(tmp_path):
    """Cached statistics of some channels are not used for others."""
    write_tiff(tmp_path / "a.tif", np.zeros((3, 8, 8), "uint8"), "CYX")
    (image,) = open_images(tmp_path / "a.tif", "tiff", "CYX")
    prints = {fingerprint_of(select_channels(image, choice)) for choice in [None, *CHOICES]}
    assert None not in prints
    assert len(prints) == 1 + len(CHOICES)


def test_a_channel_that_is_not_there_is_named():
    image = Image.from_array(np.zeros((2, 8, 8)), "CYX", "cells")
    with pytest.raises(DataError, match="Channel 2 was chosen but cells has 2 channels"):
        select_channels(image, (0, 2))


def test_an_image_without_channels_is_one():
    image = Image.from_array(np.zeros((8, 8)), "YX")
    assert select_channels(image, (1,)) is image
