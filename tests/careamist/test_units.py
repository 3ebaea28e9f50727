"""Denoising does not depend on the unit of the intensities, nor on their offset."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_hush import CAREamist
from napari_hush.config import create_care_configuration, create_n2v_configuration
from napari_hush.errors import ConfigurationError, DataError
from napari_hush.events import WarningIssued
from napari_hush.lightning.data_setup import check_scaling
from napari_hush.models import Normalization, load_model

Y, X = np.mgrid[:64, :64]
CLEAN = 100 + 40 * np.sin(X / 9) * np.cos(Y / 7)
NOISY = CLEAN + np.random.default_rng(0).normal(0, 15, CLEAN.shape)
SETTINGS = {
    "experiment_name": "units",
    "data_type": "array",
    "axes": "YX",
    "patch_size": [16, 16],
    "batch_size": 4,
    "num_epochs": 1,
    "num_steps": 2,
    "model_params": {"num_channels_init": 8, "depth": 1},
}


def trained(image, target=None, **settings):
    make = create_n2v_configuration if target is None else create_care_configuration
    config = make(**SETTINGS)
    careamist = CAREamist(
        config.replace(data_config=config.data_config.replace(**settings))
    )
    careamist.train(train_source=image, train_target=target)
    return careamist


@pytest.fixture(scope="module")
def known():
    return trained(NOISY).predict(NOISY, dtype="source", check=False)


@settings(deadline=None, max_examples=6)
@given(
    factor=st.integers(-12, 12).map(lambda power: 10.0**power),
    offset=st.sampled_from([0.0, 1e3, 1e6]),
)
def test_an_image_times_a_number(known, factor, offset):
    image = (NOISY + offset) * factor
    found = trained(image).predict(image, dtype="source", check=False)
    assert found.dtype == np.float64
    spread = np.ptp(known)
    np.testing.assert_allclose(found / factor - offset, known, rtol=0, atol=1e-4 * spread)


@pytest.mark.parametrize("factor", [1e-30, 1e-12, 1e12, 1e30])
def test_float32(known, factor):
    image = (NOISY * factor).astype(np.float32)
    found = trained(image).predict(image, check=False)
    error = np.abs(found.astype(np.float64) / factor - known)
    assert error.max() < 0.05 * np.ptp(known)


@pytest.mark.parametrize("offset", [0, 1e6, 4e9])
def test_results_that_are_rounded_are_announced(offset):
    image = NOISY + offset
    careamist = trained(image)
    for dtype, expected in (("float32", offset == 4e9), ("source", False)):
        heard = []
        careamist.on_progress = heard.append
        careamist.predict(image, dtype=dtype)
        warnings = [e.message for e in heard if isinstance(e, WarningIssued)]
        assert any("rounded to steps of 256" in text for text in warnings) == expected


def test_results_beyond_float32_are_refused():
    image = NOISY * 1e-60
    careamist = trained(image)
    with pytest.raises(DataError, match="float32 cannot hold"):
        careamist.predict(image)
    assert np.ptp(careamist.predict(image, dtype="source", check=False)) > 0


def test_float32_with_an_offset(known):
    """Its pixels are multiples of 1/16, those of the result as well."""
    image = (NOISY + 1e6).astype(np.float32)
    found = trained(image).predict(image, check=False)
    assert np.abs(found.astype(np.float64) - 1e6 - known).max() <= 0.07


@pytest.mark.parametrize("dtype", [np.uint32, np.int64, np.uint64])
def test_large_integers(dtype):
    counts = np.rint(NOISY)
    image = (counts + 4e9).astype(dtype)
    found = trained(image).predict(image, dtype="source", check=False)
    assert found.dtype == dtype
    expected = trained(counts).predict(counts, check=False)
    error = found.astype(np.float64) - 4e9 - expected
    assert np.abs(error).max() <= 0.6  # rounded to integers


@pytest.mark.parametrize("offset", [1e9, 1e12])
def test_float64_with_a_large_offset(known, offset):
    image = NOISY + offset
    found = trained(image).predict(image, dtype="source", check=False)
    assert len(np.unique(found)) > 1000  # float32 has steps of 64 or more there
    assert np.abs(found - offset - known).max() < 0.1 * np.ptp(known)


def test_targets_in_another_unit():
    plain = trained(NOISY, CLEAN).predict(NOISY, check=False)
    found = trained(NOISY * 1e9, CLEAN * 1e-9).predict(NOISY * 1e9, check=False)
    np.testing.assert_allclose(found.astype(np.float64) * 1e9, plain, rtol=1e-4)


@pytest.mark.parametrize("name", ["min_max", "quantile"])
def test_other_normalizations(name):
    scaling = {"name": name}
    plain, tiny = (
        trained(image, normalization=scaling).predict(image, dtype="source", check=False)
        for image in (NOISY, NOISY * 1e-12)
    )
    np.testing.assert_allclose(tiny * 1e12, plain, rtol=1e-4)


def test_the_model_file_and_further_training_keep_the_unit(tmp_path):
    tiny = trained(NOISY * 1e-12)
    tiny.train(train_source=NOISY * 1e-12)
    model = load_model(tiny.save(tmp_path / "tiny.safetensors"))
    plain = trained(NOISY)
    plain.train(train_source=NOISY)
    found = CAREamist(model).predict(NOISY * 1e-12, dtype="source", check=False)
    expected = plain.predict(NOISY, dtype="source", check=False)
    np.testing.assert_allclose(found * 1e12, expected, rtol=1e-3)


def test_scalings_are_compared_in_units_of_the_spread():
    known = Normalization((1e6,), (2.0,))
    check_scaling("image", known, Normalization((1e6 + 1e-5,), (2.0,)))
    with pytest.raises(ConfigurationError, match="scales the images"):
        check_scaling("image", known, Normalization((1e6 + 5,), (2.0,)))
    check_scaling("image", Normalization((0.0,), (2.0,)), Normalization((1e-6,), (2.0,)))
