import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_hush.config import UNetConfig
from napari_hush.models import UNet
from napari_hush.prediction import plan_tiles
from napari_hush.prediction.tiles import mirror, read_tile

NETWORK = UNet(UNetConfig(num_channels_init=8))
VOLUME = UNet(UNetConfig(num_channels_init=8, conv_dims=3))


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.just(1), st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 50), st.integers(1, 50)),
)
def test_every_pixel_once(shape, tile_size):
    count = np.zeros(shape, int)
    for tile in plan_tiles(shape, NETWORK.halo, NETWORK.multiple, tile_size):
        count[tile.region] += 1
        for inner, crop, (first, last) in zip(
            tile.inner, tile.crop, tile.outer, strict=True
        ):
            assert first % NETWORK.multiple == (last - first) % NETWORK.multiple == 0
            assert first <= inner.start - NETWORK.halo
            assert last >= inner.stop + NETWORK.halo
            assert crop.start + first == inner.start
    assert (count == 1).all()


def test_along_z_tiles_end_with_the_volume():
    for tile in plan_tiles((1, 1, 50, 20, 20), VOLUME.halo, 4, (8, 16, 16)):
        first, last = tile.outer[0]
        assert first >= 0
        assert last <= 52


@given(st.integers(1, 9), st.integers(-30, 30))
def test_mirroring_is_numpys(size, position):
    padded = np.pad(np.arange(size), 30, mode="reflect")
    assert mirror(np.array([position]), size)[0] == padded[position + 30]


@pytest.mark.parametrize("size", [1, 2, 5, 40])
def test_reading_beyond_the_border(size):
    image = np.random.default_rng(0).random((1, size, size))
    (tile,) = plan_tiles((1, 1, size, size), NETWORK.halo, NETWORK.multiple)
    pixels = read_tile(image, tile)
    inner = pixels[:, tile.crop[0], tile.crop[1]]
    np.testing.assert_array_equal(inner, image)
    assert pixels.shape[1] % NETWORK.multiple == 0
