import numpy as np
import pytest

from napari_hush import CAREamist
from napari_hush.errors import ConfigurationError, DataError
from napari_hush.events import PixelsClipped
from napari_hush.io import Image
from napari_hush.models.normalization import Normalization
from napari_hush.prediction.cast import (
    check_holds,
    put,
    result_dtype,
    rounding_warning,
)

INTEGERS = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_rounded_and_never_wrap(dtype):
    info = np.iinfo(dtype)
    result = np.array([-1e30, -0.4, 0.6, 41.5, 1e30], np.float32)
    place = np.zeros(5, dtype)
    assert put(place, result) == 2
    assert place[1:4].tolist() == [0, 1, 42]
    assert place[0] == info.min
    assert float(place[4]) == pytest.approx(float(info.max), rel=1e-9)


def test_what_rounds_to_the_limit_is_not_clipped():
    place = np.zeros(4, "uint8")
    assert put(place, np.array([-0.5, 255.49, 255.51, -0.51], np.float32)) == 2
    assert place.tolist() == [0, 255, 255, 0]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_floats_are_as_they_are(dtype):
    place = np.zeros(2, dtype)
    assert put(place, np.array([-1.25, 3.5], np.float32)) == 0
    assert place.tolist() == [-1.25, 3.5]


@pytest.mark.parametrize(
    ("dtype", "given", "factor"), [("float16", "float32", 1), ("float32", "float64", 1e34)]
)
def test_floats_are_clipped_to_what_their_type_holds(dtype, given, factor):
    limit = float(np.finfo(dtype).max)
    result = np.array([-1e5, 2000, 1e5, np.inf, np.nan], given) * factor
    place = np.zeros(5, dtype)
    assert put(place, result) == 3
    np.testing.assert_allclose(place[:4], [-limit, 2000 * factor, limit, limit], rtol=1e-6)
    assert np.isnan(place[4])


def test_the_type_is_that_of_the_source_in_the_order_of_this_machine():
    image = Image.from_array(np.zeros((8, 8), ">u2"), "YX")
    assert result_dtype(image, "source") == np.dtype("uint16")
    assert result_dtype(image, "float32") == np.dtype("float32")
    with pytest.raises(DataError, match="is boolean"):
        result_dtype(Image.from_array(np.zeros((8, 8), bool), "YX"), "source")


@pytest.fixture
def trained(tiny_config, noisy):
    """A model that returns what it sees, plus 60."""
    events = []
    careamist = CAREamist(tiny_config(num_steps=1), on_progress=events.append)
    careamist.train(train_source=noisy)
    std = careamist.model.normalization.stds[0]
    careamist.model.network.forward = lambda batch, margin: (
        batch[..., margin:-margin, margin:-margin] + 60 / std
    )
    return careamist, events


def test_clipped_pixels_are_counted_over_all_tiles(trained):
    careamist, events = trained
    image = np.arange(50 * 52).reshape(50, 52).astype("uint8")
    result = careamist.predict(image, dtype="source", tile_size=(16, 16), batch_size=3)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, np.minimum(image + 60.0, 255))
    (clipping,) = [event for event in events if isinstance(event, PixelsClipped)]
    assert clipping == PixelsClipped("the array", int((image > 195).sum()), 2600, "uint8")


def test_floats_are_the_default_and_tell_of_no_clipping(trained):
    careamist, events = trained
    image = np.full((20, 20), 250, "uint8")
    result = careamist.predict(image)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, 310, rtol=1e-3)
    assert not [event for event in events if isinstance(event, PixelsClipped)]


def test_float16_does_not_overflow(trained):
    careamist, events = trained
    image = np.full((20, 20), 65480, "float16")
    image[:, :5] = 64000
    result = careamist.predict(image, dtype="source")
    assert result.dtype == np.float16
    np.testing.assert_allclose(result, np.where(image < 65000, 64064, 65504), atol=32)
    (clipping,) = [event for event in events if isinstance(event, PixelsClipped)]
    assert (clipping.clipped, clipping.dtype) == (300, "float16")


def test_out_must_be_of_the_type_that_is_asked_for(trained):
    careamist, _ = trained
    image = np.full((20, 20), 25, "uint16")
    out = np.zeros(image.shape, "uint16")
    assert careamist.predict(image, out=out, dtype="source") is out
    assert (out == 85).all()
    with pytest.raises(DataError, match=r"out is uint16.*must be float32"):
        careamist.predict(image, out=out)
    with pytest.raises(ConfigurationError, match="dtype"):
        careamist.predict(image, dtype="uint8")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("mean", "scale", "held"),
    [
        (0, 2.0**-14, True),
        (0, 2.0**-14 * 0.99, False),
        (0, 0, True),
        (65000, 504, True),
        (65000, 600, False),
    ],
)
def test_results_too_small_or_large_for_a_type_are_refused(sign, mean, scale, held):
    """Normal numbers of 16 bits are 2**-14 to 65504."""
    scaling = Normalization((0.0, sign * mean), (1.0, scale))
    check_holds(np.dtype("uint8"), scaling)
    check_holds(np.dtype("float32"), scaling)
    if held:
        check_holds(np.dtype("float16"), scaling)
    else:
        with pytest.raises(DataError, match="float16 cannot hold results"):
            check_holds(np.dtype("float16"), scaling)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("source", "result", "mean", "scale", "advice"),
    [
        ("float64", "float32", 2**20, 2.5, None),
        ("float64", "float32", 2**20, 2.49, "type of the source"),  # in steps of an eighth
        ("float32", "float32", 2**20, 2.49, None),
        ("uint16", "float32", 2**20, 2.49, None),
        ("float64", "uint8", 2**20, 2.49, None),
        ("float64", "float32", 2**20, 0.5, "type of the source"),
        ("float64", "float32", 2**20, 0, None),
        ("uint64", "uint64", 2**54, 79, "subtract"),  # in steps of 4
        ("uint64", "uint64", 2**54, 80, None),
        ("uint64", "uint64", 2**54, 0, "subtract"),
        ("uint64", "uint64", 2**53 - 1, 0, None),
        ("int64", "float32", 2**20, 2.49, "type of the source"),
        ("uint32", "uint32", 2**54, 79, None),
    ],
)
def test_steps_of_a_20th_of_the_spread_are_rough(sign, source, result, mean, scale, advice):
    image = Image.from_array(np.zeros((8, 8), source), "YX")
    scaling = Normalization((0.0, float(sign * mean)), (1.0, float(scale)))
    warning = rounding_warning(image, np.dtype(result), scaling)
    assert (warning is None) == (advice is None)
    if advice:
        assert advice in warning.message
