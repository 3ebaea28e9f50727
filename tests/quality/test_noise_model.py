"""Residuals in units of the local noise."""

import numpy as np
import pytest

from napari_hush.errors import DataError
from napari_hush.quality import (
    check_data,
    check_residual,
    match_gain,
    noise_model,
    normalized_residual,
)


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
