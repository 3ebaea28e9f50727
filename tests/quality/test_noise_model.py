"""Residuals in units of the local noise."""

import sys

import numpy as np
import pytest

from napari_hush.errors import DataError
from napari_hush.quality import (
    NoiseModel,
    check_data,
    check_residual,
    match_gain,
    noise_model,
    normalized_residual,
)
from napari_hush.quality.correlation import NoiseCorrelation
from napari_hush.quality.intensities import PhotonTransfer


@pytest.fixture
def photons(cells):
    """Noisy and clean, with a gain of 3 gray values per photon, from 20 to 320."""
    clean = 300 * cells + 20
    return 3.0 * np.random.default_rng(0).poisson(clean / 3), clean


@pytest.mark.parametrize("unit", [1e-12, 1, 1e12])
def test_noise_of_photons(photons, unit):
    noisy, clean = (unit * image for image in photons)
    model = noise_model(noisy, "YX")
    np.testing.assert_allclose(model.sigma(clean), np.sqrt(3 * unit * clean), rtol=0.2)
    residual = normalized_residual(noisy, clean, model)
    assert residual.dtype == np.float32
    bright = clean > 100 * unit
    for part in (bright, ~bright):
        assert residual[part].std() == pytest.approx(1, abs=0.15)
        assert residual[part].mean() == pytest.approx(0, abs=0.1)


def test_images_of_different_shapes(photons):
    noisy, clean = photons
    with pytest.raises(DataError, match="give pixels of one shape"):
        normalized_residual(noisy, clean[1:], noise_model(noisy, "YX"))


@pytest.mark.parametrize("kernel", [(1,), (0.5, 1, 0.5)], ids=["white", "correlated"])
def test_noise_that_is_the_same_everywhere(cells, noise_of, kernel):
    noisy = cells + 0.2 * noise_of(kernel, kernel)
    residual = normalized_residual(noisy, cells, noise_model(noisy, "YX"))
    assert residual.std() == pytest.approx(1, abs=0.3)


def test_lost_structure_stands_out(photons):
    noisy, clean = photons
    flat = np.full_like(clean, np.median(clean))
    residual = normalized_residual(noisy, flat, noise_model(noisy, "YX"))
    assert np.abs(residual).max() > 10


def test_each_channel_has_its_own_noise(cells, noise_of):
    clean = np.stack([cells, 100 * cells])
    noise = np.stack([0.1 * noise_of(), 20 * noise_of(seed=1)])
    model = noise_model(clean + noise, "CYX")
    for channel in (0, 1):
        pair = (clean[channel] + noise[channel], clean[channel])
        residual = normalized_residual(*pair, model, channel=channel)
        assert residual.std() == pytest.approx(1, abs=0.2)


def test_results_in_other_gray_values(photons):
    noisy, clean = photons
    model = noise_model(noisy, "YX")
    other = 0.1 * clean - 7
    gain, offset = match_gain(other, noisy)
    assert (gain, offset) == (pytest.approx(10, rel=0.05), pytest.approx(70, rel=0.1))
    residual = normalized_residual(noisy, other, model, gain=gain, offset=offset)
    np.testing.assert_allclose(
        residual, normalized_residual(noisy, clean, model), atol=0.5, rtol=0.1
    )


def test_constant_images_have_no_noise():
    with pytest.raises(DataError):
        noise_model(np.ones((64, 64)), "YX")


class TestMatchGain:
    @pytest.mark.parametrize("unit", [1e-12, 1, 1e12])
    def test_exact(self, cells, unit):
        gain, offset = match_gain(unit * cells, -2 * cells + 5)
        assert gain * unit == pytest.approx(-2)
        assert offset == pytest.approx(5)

    def test_a_constant_result_gets_the_mean(self, cells):
        assert match_gain(np.ones_like(cells), cells) == (0, pytest.approx(cells.mean()))

    def test_unlike_shapes(self, cells):
        with pytest.raises(DataError):
            match_gain(cells[1:], cells)


@pytest.mark.parametrize("share", [0.25, 0.625, 0.875])
@pytest.mark.parametrize("masked", [False, True])
def test_parts_without_noise_do_not_count(cells, noise_of, share, masked):
    noisy = cells + 0.2 * noise_of((1,), (1,))
    empty = np.arange(noisy.shape[1]) < share * noisy.shape[1]
    known = check_data(noisy[:, ~empty], "YX").channels[0].sigma
    image = np.where(empty, 0, noisy)
    if masked:
        image = np.ma.array(noisy, mask=np.broadcast_to(empty, noisy.shape))
    assert check_data(image, "YX").channels[0].sigma == pytest.approx(known, rel=0.1)
    assert check_residual(image, np.where(empty, 0, cells)).noise_share > 0.8


def test_masked_pixels_stay_masked(cells, noise_of):
    noisy = cells + 0.2 * noise_of((1,), (1,))
    model = noise_model(noisy, "YX")
    image = np.ma.array(noisy, mask=noisy > np.median(noisy))
    residual = normalized_residual(image, cells, model)
    np.testing.assert_array_equal(residual.mask, image.mask)
    assert residual.dtype == np.float32


def test_sigma_follows_the_variance_down_to_the_least():
    model = NoiseModel((PhotonTransfer(2.0, 1.0, 4.0), PhotonTransfer(0.0, 9.0, 9.0)))
    np.testing.assert_allclose(model.sigma([0, 1.5, 4]), [2, 2, 3])
    np.testing.assert_allclose(model.sigma([0, 4], 1), [3, 3])


@pytest.mark.parametrize(
    ("near", "next_", "factor"),
    [(0, 0, 1), (0.3, 0.1, 6 / 3.8), (-0.2, 0.1, 6 / 7.8), (0.9, 0.8, 12)],
)
@pytest.mark.parametrize("least", [0.05, 2])
def test_differences_of_neighbors_are_scaled_to_the_whole_variance(
    monkeypatch, near, next_, factor, least
):
    """Their variance is 6 - 8 a + 2 b, at least 0.5; a tenth of the noise is the least."""
    lags = np.zeros((5, 5))
    lags[:, 2] = next_, near, 1, near, next_
    known = NoiseCorrelation(lags, np.ones(1), 0.0, 0.01)
    module = sys.modules["napari_hush.quality.noise_model"]
    monkeypatch.setattr(module, "noise_correlation", lambda blocks, rounding: known)
    measured = PhotonTransfer(2.0, 3.0, least)
    monkeypatch.setattr(module, "photon_transfer", lambda planes: measured)
    monkeypatch.setattr(module, "noise_level", lambda blocks, noise: 9.0)
    (found,) = noise_model(np.eye(32), "YX").channels
    assert (found.gain, found.offset) == pytest.approx((2 * factor, 3 * factor))
    assert found.least == pytest.approx(max(factor * least, 0.81))
