import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_hush import CAREamist
from napari_hush.config import UNetConfig, create_n2v_configuration
from napari_hush.models import UNet
from napari_hush.prediction import plan_tiles
from napari_hush.prediction.tiles import TileBlocks, extents, read_tile, reflect

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
        for inner, crop, (first, last), step, halo in zip(
            tile.inner,
            tile.crop,
            tile.outer,
            NETWORK.multiple,
            NETWORK.halo,
            strict=True,
        ):
            assert first % step == (last - first) % step == 0
            assert first <= inner.start - halo
            assert last >= inner.stop + halo
            assert crop.start + first == inner.start
    assert (count == 1).all()


@given(
    st.tuples(st.integers(1, 3), st.just(1), st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 50), st.integers(1, 50)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_blocks_have_the_tiles_that_fill_them(shape, tile_size, tiles):
    sizes = (shape, NETWORK.halo, NETWORK.multiple, tile_size)
    step = NETWORK.multiple[0]
    block = [n * -(-side // step) * step for n, side in zip(tiles, tile_size, strict=True)]
    blocks = TileBlocks(shape[0], extents(*sizes), block)
    assert blocks.num_tiles == len(plan_tiles(*sizes))
    in_blocks = [tile for group in blocks for tile in group]
    assert sorted(map(str, in_blocks)) == sorted(map(str, plan_tiles(*sizes)))

    def place_of(tile):
        along = zip(tile.inner, block, strict=True)
        return (tile.sample, *(part.start // size for part, size in along))

    places = [set(map(place_of, group)) for group in blocks]
    assert all(len(place) == 1 for place in places)
    order = [place.pop() for place in places]
    assert order == sorted(set(order))


def test_blocks_of_a_petabyte_are_counted_without_making_tiles():
    shape = (1, 1, 80_000, 80_000, 80_000)
    blocks = TileBlocks(1, extents(shape, VOLUME.halo, 4, (32, 80, 80)), (64, 160, 160))
    assert len(blocks) == 1250 * 500**2
    assert blocks.num_tiles == 8 * len(blocks)
    assert (
        blocks[len(blocks) - 1][-1].inner
        == (slice(79_968, 80_000),) + (slice(79_920, 80_000),) * 2
    )


def test_along_z_tiles_end_with_the_volume():
    for tile in plan_tiles((1, 1, 50, 20, 20), VOLUME.halo, 4, (8, 16, 16)):
        first, last = tile.outer[0]
        assert first >= 0
        assert last <= 52


@given(st.integers(1, 9), st.integers(-30, 30))
def test_mirroring_is_numpys(size, position):
    padded = np.pad(np.arange(size), 30, mode="reflect")
    assert reflect(np.array([position]), size)[0] == padded[position + 30]


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 70), st.integers(1, 70)),
    st.tuples(st.integers(1, 9), st.integers(1, 50), st.integers(1, 50)),
)
def test_a_tile_is_read_out_of_the_mirrored_image(shape, tile_size):
    image = np.random.default_rng(0).random((2, *shape))
    for tile in plan_tiles((1, 2, *shape), VOLUME.halo, VOLUME.multiple, tile_size):
        indices = [
            reflect(np.arange(*ends), size)
            for ends, size in zip(tile.outer, shape, strict=True)
        ]
        expected = image[np.ix_([0, 1], *indices)]
        assert np.array_equal(read_tile(image, tile), expected)


@pytest.mark.parametrize("size", [1, 2, 5, 40])
def test_reading_beyond_the_border(size):
    image = np.random.default_rng(0).random((1, size, size))
    (tile,) = plan_tiles((1, 1, size, size), NETWORK.halo, NETWORK.multiple, (64, 64))
    pixels = read_tile(image, tile)
    inner = pixels[:, tile.crop[0], tile.crop[1]]
    np.testing.assert_array_equal(inner, image)
    assert pixels.shape[1] % NETWORK.multiple[0] == 0


def test_each_axis_has_a_halo_and_a_multiple_of_its_own():
    thin = UNet(UNetConfig(num_channels_init=8, conv_dims=3, pool_z=(False, False)))
    tiles = plan_tiles((1, 1, 40, 40, 40), thin.halo, thin.multiple, (5, 16, 16))
    z = sorted({tile.outer[0] for tile in tiles})
    assert [tile.inner[0].start for tile in tiles[::9]] == list(range(0, 40, 5))
    assert z == sorted({(max(i - 10, 0), min(i + 15, 40)) for i in range(0, 40, 5)})
    assert {first % 4 for tile in tiles for first, _ in tile.outer[1:]} == {0}


@pytest.mark.parametrize("n2v2", [False, True])
def test_tiles_of_a_thin_volume_give_what_the_whole_gives(n2v2):
    config = create_n2v_configuration(
        experiment_name="thin",
        data_type="array",
        axes="ZYX",
        patch_size=[5, 16, 16],
        batch_size=2,
        num_epochs=1,
        num_steps=2,
        use_n2v2=n2v2,
        model_params={"num_channels_init": 8},
    )
    assert config.algorithm_config.model.pool_z == (False, False)
    volume = np.random.default_rng(0).normal(100, 10, (5, 40, 36)).astype("float32")
    careamist = CAREamist(config)
    careamist.train(train_source=volume)
    whole = careamist.predict(volume, tile_size=(5, 40, 40))
    assert whole.shape == volume.shape
    np.testing.assert_allclose(
        careamist.predict(volume, tile_size=(2, 8, 12), batch_size=3), whole, atol=1e-3
    )
    assert careamist.predict(volume[:1]).shape == (1, 40, 36)
