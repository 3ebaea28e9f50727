"""Whatever the image, its axes and the tiles: the result is that of the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_hush import CAREamist
from napari_hush.axes import AxesMap


@pytest.fixture(scope="module")
def careamist():
    from napari_hush.config import create_n2v_configuration

    config = create_n2v_configuration(
        "any",
        "array",
        "YX",
        [8, 8],
        2,
        num_epochs=1,
        num_steps=2,
        model_params={"num_channels_init": 8, "depth": 1},
    )
    careamist = CAREamist(config)
    rng = np.random.default_rng(0)
    careamist.train(train_source=rng.normal(100, 20, (24, 24)).astype(np.float32))
    return careamist


@st.composite
def cases(draw):
    more = draw(st.sets(st.sampled_from("ST"), max_size=2))
    axes = "".join(draw(st.permutations([*more, "Y", "X"])))
    size = {"S": 2, "T": 3}
    shape = [size[a] if a in size else draw(st.integers(1, 40)) for a in axes]
    tile = [draw(st.integers(8, 24)) for _ in "YX"]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    image = rng.normal(100, 20, shape).astype(np.float32)
    return image, axes, tile, draw(st.integers(1, 3))


@settings(deadline=None, max_examples=25)
@given(case=cases())
def test_tiles_axes_and_batches_do_not_change_the_result(careamist, case):
    image, axes, tile, batch_size = case
    whole = careamist.predict(image, axes=axes, check=False)
    assert whole.shape == image.shape
    tiled = careamist.predict(
        image, axes=axes, tile_size=tile, batch_size=batch_size, check=False
    )
    np.testing.assert_allclose(tiled, whole, rtol=1e-4, atol=1e-2)
    planes = AxesMap(axes, image.shape)
    results = planes.samples(whole)
    for number, sample in enumerate(planes.samples(image)):
        alone = careamist.predict(np.ascontiguousarray(sample[0]), axes="YX", check=False)
        np.testing.assert_allclose(results[number][0], alone, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_the_bits_do_not_depend_on_the_tiles(careamist, precision):
    """Torch computes tiles below about 143 x 143 pixels otherwise, halo included."""
    image = np.random.default_rng(0).normal(100, 20, (320, 330)).astype(np.float32)
    more = {"precision": precision, "check": False}
    whole = careamist.predict(image, tile_size=[320, 330], **more)
    for tile in ([160, 165], [160, 330]):
        tiled = careamist.predict(image, tile_size=tile, **more)
        np.testing.assert_array_equal(tiled, whole)
    small = careamist.predict(image, tile_size=[64, 48], **more)
    np.testing.assert_allclose(small, whole, rtol=1e-6)
