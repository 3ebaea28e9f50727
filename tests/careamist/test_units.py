"""Denoising does not depend on the unit of the intensities, nor on their offset."""

from functools import cache

import numpy as np
import pytest

from napari_hush import CAREamist
from napari_hush.config import create_care_configuration, create_n2v_configuration
from napari_hush.errors import ConfigurationError, DataError
from napari_hush.events import WarningIssued
from napari_hush.lightning.data_setup import check_scaling
from napari_hush.models import Normalization, load_model
from napari_hush.quality import check_residual, psnr, si_psnr

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


RANGE = 8000
"""Float32 has steps of 1/16 at an offset of 1e6, far below the noise of these pixels."""
STEEP = RANGE * (CLEAN - CLEAN.min()) / np.ptp(CLEAN)
STEEP_NOISY = STEEP + np.random.default_rng(1).normal(0, 0.2 * RANGE, CLEAN.shape)


STEPS = {"float64": 40, "float32": 12}
"""Other roundings of float32 grow with every step, to 0.2 dB after 60."""


@cache
def learned(factor, offset, dtype, steps):
    """What is learned from an image, and its result, in units of `factor`."""
    image = ((STEEP_NOISY + offset) * factor).astype(dtype)
    config = create_n2v_configuration(**SETTINGS | {"num_steps": steps})
    careamist = CAREamist(config)
    careamist.train(train_source=image)
    result = careamist.predict(image, dtype="source", check=False).astype(float)
    scaling = careamist.model.normalization
    report = check_residual(image, result)
    return {
        "result": result / factor - offset,
        "psnr": psnr(result, (STEEP + offset) * factor, data_range=RANGE * factor),
        "si_psnr": si_psnr(result, STEEP),
        "mean": scaling.means[0] / factor - offset,
        "std": scaling.stds[0] / factor,
        "residual": report.std / factor,
        "noise_share": report.noise_share,
        "verdict": report.verdict,
        "losses": careamist.get_losses()["train_loss"],
    }


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("offset", [0, 1e3, 1e6])
@pytest.mark.parametrize("factor", [1e-12, 1e-6, 1, 1e6, 1e12])
def test_equal_psnr_in_any_unit(factor, offset, dtype):
    steps = STEPS[dtype]
    known = learned(1, 0, "float64", steps)
    found = learned(factor, offset, dtype, steps)
    if dtype == "float64":
        np.testing.assert_allclose(found["result"], known["result"], atol=1e-3 * RANGE)
        assert known["psnr"] > 3 + psnr(STEEP_NOISY, STEEP, data_range=RANGE)
    for name in ("psnr", "si_psnr"):
        assert found[name] == pytest.approx(known[name], abs=0.1)
    for name in ("std", "residual", "noise_share", "losses"):
        assert found[name] == pytest.approx(known[name], rel=0.01)
    assert found["mean"] == pytest.approx(known["mean"], abs=1e-4 * RANGE)
    assert found["verdict"] == known["verdict"]


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


@pytest.mark.parametrize("offset", [2**30, 2**40])
def test_a_rounded_result_is_not_judged(offset):
    heard = []
    CAREamist("built-in", on_progress=heard.append).predict(NOISY + offset, axes="YX")
    assert [e.about for e in heard if isinstance(e, WarningIssued)] == ["intensities"]


@pytest.mark.parametrize("offset", [2**56, 2**62])
def test_integers_beyond_float64_are_announced(offset):
    image = NOISY.astype(np.int64) + offset
    heard = []
    denoiser = CAREamist("built-in", on_progress=heard.append)
    denoiser.predict(image, dtype="source", axes="YX")
    warnings = [event.message for event in heard if isinstance(event, WarningIssued)]
    assert any("subtract the smallest value" in text for text in warnings)


def test_a_constant_image_is_not_rounded():
    heard = []
    denoiser = CAREamist("built-in", on_progress=heard.append)
    denoiser.predict(np.full((32, 32), 1e9), axes="YX")
    assert not any("rounded" in e.message for e in heard if isinstance(e, WarningIssued))


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


def test_where_the_unit_is_to_blame_structure_is_not():
    careamist = trained(STEEP_NOISY)
    for factor in (1, 1e-4, 1e4):
        heard = []
        careamist.on_progress = heard.append
        careamist.predict(STEEP_NOISY * factor)
        about = {e.about for e in heard if isinstance(e, WarningIssued)}
        assert about == {"structure" if factor == 1 else "intensities"}
