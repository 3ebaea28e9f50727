"""The built-in denoiser makes no structure of noise, and keeps intensities."""

import numpy as np
import pytest

from napari_hush import CAREamist

X = np.arange(256) * np.ones((256, 1))
TRUTHS = {"flat": np.full((256, 256), 100.0), "gradient": 50 + 100 * X / 255}
DENOISER = CAREamist("built-in", enable_progress_bar=False)


def gaussian(truth, rng):
    return truth + rng.normal(0, 10, truth.shape)


def photons(truth, rng):
    return rng.poisson(truth).astype(float)


def few_photons(truth, rng):
    return 20.0 * rng.poisson(truth / 20)


def salt(truth, rng):
    return np.where(rng.random(truth.shape) < 0.01, 4 * truth.max(), truth)


@pytest.mark.parametrize(
    ("scene", "noise", "left", "moved"),
    [  # limits are those of the table in docs/quality.md, with a margin
        ("flat", gaussian, 0.07, 0.01),
        ("flat", photons, 0.07, 0.01),
        ("flat", few_photons, 0.07, 0.01),
        ("flat", salt, 0.2, 0.01),
        ("gradient", gaussian, 0.2, 0.01),
        ("gradient", photons, 0.2, 0.01),
        ("gradient", few_photons, 0.1, 0.01),
        ("gradient", salt, 0.2, 0.01),
    ],
)
def test_noise_becomes_no_structure_and_sums_stay(scene, noise, left, moved):
    truth = TRUTHS[scene]
    noisy = noise(truth, np.random.default_rng(0))
    clean = DENOISER.predict(noisy, check=False)
    assert np.std(clean - truth) < left * np.std(noisy - truth)
    sums = [a.reshape(4, 64, 4, 64).sum((1, 3)) for a in (clean, noisy)]
    np.testing.assert_allclose(*sums, rtol=moved)


def test_brightness_is_linear():
    noisy = gaussian(TRUTHS["gradient"], np.random.default_rng(1))
    once, twice = (DENOISER.predict(f * noisy + f, check=False) for f in (1, 2))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-5)
