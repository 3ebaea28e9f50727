"""Frames with those before and after them."""

import numpy as np
import pytest

from napari_hush.errors import DataError
from napari_hush.io import Image
from napari_hush.io.frames import frames_around, middle_frame
from napari_hush.io.lazy import LazyPixels, extent


def movie(axes, shape):
    """An image whose pixels have the number of their frame."""
    frames = np.arange(shape[axes.index("T")], dtype=np.uint16)
    sizes = [-1 if axis == "T" else 1 for axis in axes]
    return np.broadcast_to(frames.reshape(sizes), shape).copy()


def seen(image, time_context):
    """Numbers of the frames that are seen with each frame."""
    windows = frames_around(image, time_context)
    return [
        [int(frame.flat[0]) for frame in w[(slice(0, w.shape[0]), slice(9), slice(9))]]
        for w in windows
    ]


def test_frames_beyond_the_ends_are_reflected():
    image = Image.from_array(movie("TYX", (5, 8, 9)), "TYX")
    assert seen(image, 1) == [[1, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 3]]
    assert seen(image, 2)[0] == [2, 1, 0, 1, 2]
    assert seen(image, 2)[3] == [1, 2, 3, 4, 3]
    assert seen(image, 0) == [[0], [1], [2], [3], [4]]


@pytest.mark.parametrize("axes", ["STCYX", "TSCYX", "YXCTS"])
def test_samples_and_channels_stay_apart(axes):
    sizes = {"S": 2, "T": 3, "C": 2, "Y": 4, "X": 5}
    pixels = np.random.default_rng(0).random([sizes[axis] for axis in axes])
    by_letter = pixels.transpose([axes.index(axis) for axis in "STCYX"])
    windows = frames_around(Image.from_array(pixels, axes), 1)
    assert [w.shape for w in windows] == [(6, 4, 5)] * 6
    first_of_second = windows[3][(slice(0, 6), slice(0, 4), slice(1, 3))]
    expected = by_letter[1][[1, 0, 1]].transpose(1, 0, 2, 3)  # channel by channel
    np.testing.assert_array_equal(first_of_second, expected.reshape(6, 4, 5)[..., 1:3])
    middle = middle_frame(first_of_second[None], 1)
    np.testing.assert_array_equal(middle[0], by_letter[1, 0, ..., 1:3])


def test_volumes():
    image = Image.from_array(movie("TZYX", (3, 2, 8, 9)), "TZYX")
    window = frames_around(image, 1)[0]
    pixels = window[(slice(0, 3), slice(0, 2), slice(0, 4), slice(0, 4))]
    assert pixels.shape == (3, 2, 4, 4)
    assert pixels[:, 0, 0, 0].tolist() == [1, 0, 1]


class Counting(LazyPixels):
    """Counts the pixels that are read."""

    def __init__(self, array):
        super().__init__(array.shape, array.dtype)
        self.array_, self.read = array, 0

    def _read(self, bounds):
        self.read += int(np.prod(extent(bounds)))
        return self.array_[tuple(slice(*pair) for pair in bounds)]


def test_only_the_region_of_the_frames_is_read():
    pixels = Counting(movie("TYX", (9, 32, 32)))
    windows = frames_around(Image.from_array(pixels, "TYX"), 1)
    assert pixels.read == 0
    window = windows[4][(slice(0, 3), slice(0, 8), slice(8, 16))]
    assert pixels.read == 3 * 8 * 8
    assert window[:, 0, 0].tolist() == [3, 4, 5]


def test_frames_in_memory_are_not_copied():
    pixels = movie("TYX", (4, 8, 9))
    window = frames_around(Image.from_array(pixels, "TYX"), 1)[2]
    pixels[1] = 77
    assert window[(slice(0, 3), slice(0, 1), slice(0, 1))].ravel().tolist() == [77, 2, 3]


@pytest.mark.parametrize(
    ("axes", "shape", "found"),
    [
        ("TYX", (4, 8, 8), "4 frames along T"),
        ("SYX", (9, 8, 8), "no T axis"),
        ("YX", (8, 8), "no T axis"),
        ("TYX", (1, 8, 8), "1 frame along T"),
    ],
)
def test_too_few_frames(axes, shape, found):
    image = Image.from_array(np.zeros(shape), axes, "cells.tif")
    with pytest.raises(DataError, match=f"needs 5 frames along T.*cells.tif has {found}"):
        frames_around(image, 2)
