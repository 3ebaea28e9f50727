"""Checks do not depend on the unit of the intensities, nor on their offset."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_hush.io import Image
from napari_hush.quality import UnseenIntensities, check_data, check_residual, saturation
from napari_hush.quality.intensities import saturated_share

RNG = np.random.default_rng(0)
Y, X = np.mgrid[:96, :96]
CLEAN = 200 + 120 * np.sin(X / 9) * np.cos(Y / 7)
NOISE = RNG.normal(0, 12, CLEAN.shape)
HOT = np.where(RNG.random(CLEAN.shape) < 0.003, 4000.0, 0)
IMAGES = {
    "white": CLEAN + NOISE,
    "photons": RNG.poisson(CLEAN / 4) * 4.0,
    "along X": CLEAN + 2 * ndimage.uniform_filter1d(NOISE, 3),
    "hot": CLEAN + NOISE + HOT,
    "saturated": np.minimum(CLEAN + NOISE, 280),
    "background": np.maximum(CLEAN - 200, 0) + NOISE,
}

factors = st.integers(-12, 12).map(lambda power: 10.0**power)
offsets = st.sampled_from([0.0, 1e3, 1e6])


def in_unit(image, factor, offset, dtype=np.float64):
    return ((image + offset) * factor).astype(dtype)


@pytest.mark.parametrize("kind", IMAGES)
@settings(deadline=None, max_examples=5)
@given(factor=factors, offset=offsets)
def test_data_are_judged_alike(kind, factor, offset):
    known = check_data(IMAGES[kind], "YX")
    found = check_data(in_unit(IMAGES[kind], factor, offset), "YX")
    assert (found.advice.method, found.axis, found.span) == (
        known.advice.method,
        known.axis,
        known.span,
    )
    for one, other in zip(known.channels, found.channels, strict=True):
        assert other.sigma == pytest.approx(one.sigma * factor, rel=1e-6)
        assert other.hot_share == one.hot_share
        assert other.saturated_share == one.saturated_share
        assert other.background_share == pytest.approx(one.background_share, abs=0.01)
        np.testing.assert_allclose(other.noise.map, one.noise.map, atol=1e-6)
    (channel,) = found.as_dict()["channels"]
    assert channel["sigma"] == pytest.approx(found.channels[0].sigma, rel=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("result", ["clean", "blurred", "as it was"])
@settings(deadline=None, max_examples=5)
@given(factor=factors, offset=offsets)
def test_results_are_judged_alike(result, dtype, factor, offset):
    noisy = IMAGES["white"]
    denoised = {
        "clean": CLEAN,
        "blurred": ndimage.gaussian_filter(noisy, 6),
        "as it was": noisy,
    }[result]
    known = check_residual(noisy, denoised)
    pair = (in_unit(image, factor, offset, dtype) for image in (noisy, denoised))
    found = check_residual(*pair)
    assert found.verdict == known.verdict
    assert found.structure == pytest.approx(known.structure, abs=0.02)
    assert found.std == pytest.approx(known.std * factor, rel=1e-2)


@settings(deadline=None, max_examples=10)
@given(factor=factors, offset=offsets)
def test_warnings_are_alike(factor, offset):
    for kind, image in IMAGES.items():
        scaled = Image.from_array(in_unit(image, factor, offset), "YX")
        assert (saturation(scaled) is not None) == (kind == "saturated")
    noisy = in_unit(IMAGES["white"], factor, offset)
    dark = noisy < np.quantile(noisy, 0.97)
    unseen = UnseenIntensities([(noisy[dark].min(), noisy[dark].max())])
    unseen.see(noisy[None, None])
    assert "3% of the pixels" in unseen.warning("it").message


@pytest.mark.parametrize("factor", [1, 16, 0.25, 1e-12])
def test_few_gray_values_are_not_saturated(factor):
    """12 gray values, as of an 8 bit camera in the dark, in steps of any size."""
    counts = RNG.poisson(4, (128, 128)).clip(0, 11)
    assert saturated_share([counts * factor]) == 0
    assert saturated_share([np.minimum(counts, 3) * factor]) > 0.4


@pytest.mark.parametrize("dtype", [np.uint32, np.int64, np.uint64])
def test_large_integers(dtype):
    """The noise of integers is measured at any offset."""
    image = np.rint(IMAGES["white"])
    known = check_data(image.astype(np.uint16), "YX")
    found = check_data((image + 4e9).astype(dtype), "YX")
    assert found.channels[0].sigma == pytest.approx(known.channels[0].sigma)
    assert found.suggestion == known.suggestion


@pytest.mark.parametrize("offset", [1e9, 1e12, 1e14])
def test_offsets_that_float64_resolves(offset):
    known = check_data(IMAGES["white"], "YX").channels[0]
    found = check_data(IMAGES["white"] + offset, "YX").channels[0]
    assert found.sigma == pytest.approx(known.sigma, rel=1e-3)
    report = check_residual(IMAGES["white"] + offset, CLEAN + offset)
    assert (report.verdict, report.structure) == ("good", pytest.approx(0, abs=0.01))
