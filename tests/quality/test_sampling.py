import numpy as np
import pytest

from napari_hush.errors import DataError
from napari_hush.io import Image
from napari_hush.io.lazy import LazyPixels
from napari_hush.quality.sampling import MOST_PIXELS, cut_blocks, read_regions


class Counting(LazyPixels):
    """Noise that is made when it is read; counts the pixels that are."""

    read = 0

    def _read(self, bounds):
        shape = [stop - start for start, stop in bounds]
        self.read += int(np.prod(shape))
        return np.random.default_rng(0).integers(0, 9, shape).astype(self.dtype)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((40_000, 40_000), "YX"),
        ((500, 2, 300, 4000, 3000), "TCZYX"),
        ((3, 20_000, 700), "CYX"),
        ((1000, 512, 512), "SYX"),
        ((64, 16, 16, 2000, 2000), "SCZYX"),
    ],
)
def test_no_more_is_read_of_large_images_than_of_small_ones(shape, axes):
    pixels = Counting(shape, np.uint8)
    regions = read_regions(Image.from_array(pixels, axes))
    assert pixels.read <= MOST_PIXELS
    assert pixels.read == sum(region.size for region in regions) > MOST_PIXELS / 4
    assert len({region.shape for region in regions}) == 1


@pytest.mark.parametrize(
    ("shape", "axes", "canonical"),
    [
        ((70, 1500), "YX", (1, 1, 70, 1500)),
        ((5, 64, 64), "ZYX", (1, 5, 64, 64)),
        ((64, 64, 3), "YXC", (3, 1, 64, 64)),
        ((19, 2, 64, 32), "ZCYX", (2, 19, 64, 32)),
    ],
)
def test_small_images_are_looked_at_whole(shape, axes, canonical):
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    regions = read_regions(Image.from_array(image, axes))
    seen = np.unique(np.concatenate([region.ravel() for region in regions]))
    assert len(seen) == image.size
    assert regions[0].shape[0] == canonical[0]
    assert all(n <= full for n, full in zip(regions[0].shape, canonical, strict=True))


def test_same_seed_same_regions():
    image = Image.from_array(np.random.default_rng(0).random((40, 1024, 1024)), "SYX")
    first, again, other = (read_regions(image, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[0], again[0])
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_blocks_are_pieces_of_their_channel():
    region = np.zeros((2, 3, 100, 70), np.uint16)
    region[1] = 7
    blocks = cut_blocks([region, region], 1)
    assert blocks.shape == (2 * 3 * 2, 3, 32, 32)
    assert blocks.dtype == np.float64
    assert (blocks == 7).all()


def test_blocks_are_bounded():
    region = np.zeros((1, 1, 2048, 2048), np.uint8)
    assert len(cut_blocks([region], 0)) <= 1024


@pytest.mark.parametrize("shape", [(15, 64), (64, 15), (1, 1)])
def test_too_small_to_measure_noise(shape):
    with pytest.raises(
        DataError, match=f"{shape[0]} x {shape[1]} pixels, too small.*16 x 16"
    ):
        read_regions(Image.from_array(np.ones(shape), "YX"))


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_pixels_that_are_not_finite(bad):
    image = np.random.default_rng(0).random((64, 64))
    image[5, 5] = bad
    with pytest.raises(DataError, match="NaN or infinite pixels"):
        read_regions(Image.from_array(image, "YX", "cells.tif"))
