import numpy as np
import pytest

from napari_hush.axes import AxesMap
from napari_hush.careamist import CAREamist
from napari_hush.config import create_n2v_configuration
from napari_hush.events import TilesDone
from napari_hush.prediction.tiles import in_order, meets, plan_tiles

SHAPE = (4, 1, 64, 96)


@pytest.fixture
def tiles():
    return plan_tiles(SHAPE, (8, 8), (8, 8), (16, 16))


@pytest.mark.parametrize(
    "region",
    [
        (slice(None), slice(None), slice(None), slice(None)),
        (slice(2, 3), slice(None), slice(10, 20), slice(40, 41)),
        (slice(1, None, 2), slice(None), slice(63, 64), slice(None, 5)),
        (slice(0, 4), slice(None), slice(16, 32), slice(16, 32)),
        (slice(3, 3), slice(None), slice(None), slice(None)),
    ],
)
def test_the_tiles_that_meet_a_region_are_those_that_fill_one_of_its_pixels(tiles, region):
    marked = np.zeros(SHAPE, bool)
    marked[region] = True
    expected = [tile for tile in tiles if marked[tile.region].any()]
    assert [tile for tile in tiles if meets(tile, region)] == expected


def test_every_tile_comes_once_whatever_is_looked_at(tiles):
    rng = np.random.default_rng(0)

    def somewhere():
        y, x, s = rng.integers(0, 60), rng.integers(0, 90), rng.integers(0, 4)
        return slice(s, s + 1), slice(None), slice(y, y + 9), slice(x, x + 9)

    ordered = list(in_order(tiles, somewhere))
    assert sorted(map(tiles.index, ordered)) == list(range(len(tiles)))


def test_what_is_looked_at_comes_first_and_follows_the_eye(tiles):
    regions = [
        (slice(2, 3), slice(None), slice(0, 16), slice(0, 32)),
        (slice(3, 4), slice(None), slice(48, 64), slice(80, 96)),
    ]
    looking = [regions[0]]
    order = in_order(tiles, lambda: looking[0])
    first = [next(order)]
    looking[0] = regions[1]
    second = next(order)
    rest = list(order)
    assert meets(first[0], regions[0])
    assert meets(second, regions[1])
    # what the eye has left comes in its turn again
    assert [tile.sample for tile in rest] == sorted(tile.sample for tile in rest)


def test_without_anybody_looking_the_order_is_that_of_the_image(tiles):
    assert list(in_order(tiles, None)) == tiles
    assert list(in_order(tiles, lambda: None)) == tiles


@pytest.fixture(scope="module")
def careamist():
    config = create_n2v_configuration(
        "quick", "array", "SYX", patch_size=[16, 16], batch_size=2, num_epochs=1,
        num_steps=1, model_params={"num_channels_init": 8},
    )  # fmt: skip
    trained = CAREamist(config)
    trained.train(train_source=_noisy())
    return trained


def _noisy():
    return np.random.default_rng(0).normal(10, 2, (3, 64, 64)).astype(np.float32)


def test_a_part_is_denoised_as_in_the_whole_and_the_rest_is_left_as_it_was(careamist):
    noisy = _noisy()
    whole = careamist.predict(noisy)
    out = np.full(noisy.shape, np.nan, np.float32)
    region = slice(1, 2), slice(None), slice(0, 20), slice(33, 34)
    careamist.predict(noisy, out=out, region=region, tile_size=[32, 32])
    filled = np.zeros(noisy.shape, bool)
    filled[1, :32, 32:] = True
    assert np.array_equal(np.isfinite(out), filled)
    assert np.allclose(out[filled], whole[filled], atol=1e-4)


def test_the_order_does_not_change_the_result(careamist):
    noisy, done = _noisy(), []
    careamist.on_progress = lambda e: done.append(e) if isinstance(e, TilesDone) else None
    region = slice(2, 3), slice(None), slice(40, 64), slice(40, 64)
    first = careamist.predict(noisy, tile_size=[32, 32], first=lambda: region)
    careamist.on_progress = lambda e: None
    assert np.array_equal(first, careamist.predict(noisy, tile_size=[32, 32]))
    assert done[0].regions == ((slice(2, 3), slice(None), slice(32, 64), slice(32, 64)),)
    assert AxesMap("SYX", noisy.shape).canonical_shape == (3, 1, 64, 64)
