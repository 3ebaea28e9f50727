import numpy as np
import pytest

from napari_hush.errors import DataError
from napari_hush.io import Image
from napari_hush.io.lazy import LazyPixels
from napari_hush.quality.sampling import (
    MOST_PIXELS,
    choose_regions,
    cut_blocks,
    read_regions,
    rounding,
)


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


@pytest.mark.parametrize(
    ("shape", "axes", "most", "sizes", "number"),
    [
        ((256, 256), "YX", 2**16, (64, 64), 16),
        ((256, 256), "YX", 2**16 - 1, (52, 52), 24),
        ((256, 256), "YX", 2**12, (32, 32), 4),
        ((256, 256), "YX", 1, (32, 32), 1),
        ((2, 100, 129), "CYX", 2**16, (50, 43), 6),
        ((20, 256, 256), "ZYX", 2**18, (8, 128, 128), 2),
        ((20, 256, 256), "ZYX", 2**16, (8, 64, 64), 2),
        ((3, 20, 64, 64), "CZYX", 2**16, (4, 64, 64), 1),
        ((30, 20, 64, 64), "CZYX", 2**16, (1, 64, 64), 1),
        ((32, 256, 100), "CYX", 2**18, (64, 64), 2),
        ((64, 256, 60), "CYX", 2**18, (64, 60), 1),
        ((3000, 2000), "YX", 2**24, (1000, 1000), 6),
        ((8192, 4096), "YX", 2**24, (1024, 1024), 16),
    ],
)
def test_regions_are_equal_and_have_the_pixels_that_may_be_read(
    shape, axes, most, sizes, number
):
    """A quarter of the root of them wide, 32 at least and 1024 at most; up to 8 planes."""
    image = Image.from_array(np.broadcast_to(np.zeros(1), shape), axes)
    found = choose_regions(image, 0, most)
    assert len({*map(str, found)}) == len(found) == number
    assert {tuple(part.stop - part.start for part in box) for _, *box in found} == {sizes}
    assert found == sorted(found, key=lambda one: [one[0], *(s.start for s in one[1:])])
    spatial = shape[-len(sizes) :]
    for _, *box in found:
        assert all(part.stop <= n for part, n in zip(box, spatial, strict=True))


def test_regions_of_all_samples_are_drawn():
    image = Image.from_array(np.zeros((5, 64, 64)), "SYX")
    assert [number for number, *_ in choose_regions(image)] == [0, 1, 2, 3, 4]
    drawn = {
        number for seed in range(20) for number, *_ in choose_regions(image, seed, 4096)
    }
    assert drawn == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(("depth", "number"), [(1, 1024), (3, 341), (8, 128), (32, 64)])
def test_blocks_of_volumes_are_fewer(depth, number):
    row = np.zeros((1, 1, 32, 1))
    region = np.broadcast_to(row, (1, depth, 32, 32 * 1100))
    blocks = cut_blocks([region], 0)
    assert blocks.shape == (number, depth, 32, 32)
    rising = np.broadcast_to(np.arange(32.0 * 1100), (1, depth, 32, 32 * 1100))
    firsts = cut_blocks([rising], 0)[:, 0, 0, 0]
    assert len(set(firsts)) == number
    assert (firsts == np.sort(firsts)).all()
    assert (firsts % 32 == 0).all()


def test_blocks_lie_side_by_side():
    pixels = np.arange(70.0 * 100).reshape(1, 1, 70, 100)
    blocks = cut_blocks([pixels, -pixels], 0)
    corners = [pixels[0, 0, y, x] for y in (0, 32) for x in (0, 32, 64)]
    assert blocks[:, 0, 0, 0].tolist() == [*corners, *(-c for c in corners)]
    assert len(cut_blocks([pixels[:, :, :63, :95]], 0)) == 2  # whole ones alone
    small = cut_blocks([pixels[:, :, :20, :64]], 0)
    assert small.shape == (3, 1, 20, 20)


@pytest.mark.parametrize(
    ("dtype", "relative"),
    [("u1", 2e-15), ("f8", 2e-15), ("f4", 2.0**-23), ("f2", 2.0**-10)],
)
def test_rounding_is_that_of_the_type(dtype, relative):
    assert rounding(np.dtype(dtype)) == relative
