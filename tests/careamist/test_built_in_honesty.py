"""The built-in denoiser makes no structure of noise, and keeps intensities."""

import numpy as np
import pytest

from napari_hush import CAREamist
from napari_hush.events import WarningIssued

X = np.arange(256) * np.ones((256, 1))
TRUTHS = {"flat": np.full((256, 256), 100.0), "gradient": 50 + 100 * X / 255}
DENOISER = CAREamist("built-in", enable_progress_bar=False)


def gaussian(truth, rng):
    return truth + rng.normal(0, 10, truth.shape)


def weak(truth, rng):
    return truth + rng.normal(0, 1, truth.shape)


def photons(truth, rng):
    return rng.poisson(truth).astype(float)


def few_photons(truth, rng):
    return 20.0 * rng.poisson(truth / 20)


def salt(truth, rng):
    return np.where(rng.random(truth.shape) < 0.01, 4 * truth.max(), truth)


@pytest.mark.parametrize(
    ("scene", "noise", "left", "moved"),
    [  # limits are those of the table in docs/dev/quality.md, with a margin
        ("flat", gaussian, 0.07, 0.01),
        ("flat", photons, 0.07, 0.01),
        ("flat", few_photons, 0.07, 0.01),
        ("flat", salt, 0.08, 0.01),
        ("gradient", gaussian, 0.07, 0.01),
        ("gradient", weak, 0.15, 0.01),
        ("gradient", photons, 0.07, 0.01),
        ("gradient", few_photons, 0.07, 0.01),
        ("gradient", salt, 0.08, 0.01),
    ],
)
def test_noise_becomes_no_structure_and_sums_stay(scene, noise, left, moved):
    truth = TRUTHS[scene]
    noisy = noise(truth, np.random.default_rng(0))
    clean = DENOISER.predict(noisy, check=False)
    assert np.std(clean - truth) < left * np.std(noisy - truth)
    sums = [a.reshape(4, 64, 4, 64).sum((1, 3)) for a in (clean, noisy)]
    np.testing.assert_allclose(*sums, rtol=moved)


@pytest.mark.parametrize("hot", [65535, 1000])
@pytest.mark.parametrize("wide", [1, 2])
def test_hot_pixels_spoil_no_neighbors(hot, wide):
    noisy = np.random.default_rng(1).poisson(np.full((128, 128), 100.0))
    spoilt = noisy.copy()
    spoilt[64, 64 : 64 + wide] = hot
    moved = np.abs(DENOISER.predict(spoilt, check=False) - DENOISER.predict(noisy))
    moved[61:68, 61:69] = 0
    assert moved.max() < 3  # the noise has a standard deviation of 10


def test_single_photons_are_no_hot_pixels():
    noisy = np.random.default_rng(1).poisson(np.full((128, 128), 0.01)).astype(float)
    clean = DENOISER.predict(noisy, check=False)
    assert clean.mean() == pytest.approx(noisy.mean(), rel=0.02)


def test_spots_as_small_as_optics_make_them_stay():
    y, x = np.ogrid[-64:64, -64:64]
    spot = 10_000 * np.exp(-(y**2 + x**2) / 2 / 0.9**2)  # 2.1 pixels at half height
    noisy = np.random.default_rng(1).poisson(100 + spot)
    clean = DENOISER.predict(noisy, check=False)
    assert clean.max() > 0.8 * noisy.max()


@pytest.mark.parametrize("axes", ["TYX", "SYX"])
def test_dim_frames_are_denoised_as_if_alone(axes):
    rng = np.random.default_rng(2)
    bright, dim = (rng.poisson(light * TRUTHS["gradient"]) for light in (1, 0.02))
    both = DENOISER.predict(np.stack([bright, dim]), axes=axes, check=False)
    np.testing.assert_array_equal(both[1], DENOISER.predict(dim, check=False))


def test_brightness_is_linear():
    noisy = gaussian(TRUTHS["gradient"], np.random.default_rng(1))
    once, twice = (DENOISER.predict(f * noisy + f, check=False) for f in (1, 2))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-5)


def test_an_image_is_not_compared_with_itself():
    events = []
    careamist = CAREamist("built-in", on_progress=events.append)
    careamist.predict(weak(TRUTHS["gradient"], np.random.default_rng(0)))
    assert not [e.message for e in events if isinstance(e, WarningIssued)]
