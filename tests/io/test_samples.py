"""The sample images: the camera's noise is what its formula says."""

import builtins

import numpy as np
import pytest

from napari_hush.errors import HushError
from napari_hush.io.samples import (
    GAIN,
    OFFSET,
    READ_NOISE,
    SAMPLES,
    hot_pixels,
    line_noise,
    movie,
    real,
    short_and_long,
    simulated,
    two_exposures,
)
from napari_hush.quality import check_data


@pytest.fixture(scope="module")
def pair():
    return simulated(seed=3)


def test_one_exposure_and_its_truth(pair):
    noisy, truth = pair
    assert noisy.shape == truth.shape == (512, 512)
    assert noisy.dtype == np.uint16
    assert truth.dtype == np.float32
    assert truth.min() > OFFSET
    assert np.ptp(truth) > 50  # there is something to see


def test_a_seed_names_one_image(pair):
    noisy, truth = simulated(seed=3)
    np.testing.assert_array_equal(noisy, pair[0])
    np.testing.assert_array_equal(truth, pair[1])
    assert not np.array_equal(simulated(seed=4)[0], noisy)


def test_endless_exposures_would_average_to_the_truth(pair):
    noisy, truth = pair
    noise = noisy - truth.astype(float)
    assert abs(noise.mean()) < 5 * noise.std() / np.sqrt(noise.size)


def test_variance_is_that_of_photons_and_camera(pair):
    noisy, truth = (image.astype(float) for image in pair)
    edges = np.quantile(truth, np.linspace(0, 1, 13))
    bins = np.digitize(truth, edges[1:-1])
    for number in range(12):
        here = bins == number
        expected = GAIN * (truth[here] - OFFSET).mean() + (GAIN * READ_NOISE) ** 2 + 1 / 12
        measured = ((noisy - truth)[here] ** 2).mean()
        assert measured == pytest.approx(expected, rel=0.06)


def test_a_movie_has_independent_noise_and_moves_slowly():
    noisy, truth = (frames.astype(float) for frames in movie(seed=3))
    assert noisy.shape == truth.shape == (20, 192, 192)
    noise = (noisy - truth) / np.sqrt(GAIN * (truth - OFFSET) + (GAIN * READ_NOISE) ** 2)
    assert noise.std() == pytest.approx(1, rel=0.02)
    assert abs((noise[1:] * noise[:-1]).mean()) < 0.01
    frames = check_data(noisy, "TYX").frames
    assert (frames.time_context, frames.too_fast) == (2, False)
    assert np.ptp(truth, axis=0).max() > 0.3 * np.ptp(truth)  # vesicles pass by


@pytest.mark.parametrize("shift", [(0, 1), (1, 0), (1, 1)])
def test_noise_of_neighbours_is_independent(pair, shift):
    noise = pair[0] - pair[1].astype(float)
    product = (noise * np.roll(noise, shift, axis=(0, 1))).mean() / noise.var()
    assert abs(product) < 5 / np.sqrt(noise.size)


def test_the_picture_itself_is_smooth(pair):
    truth = pair[1] - pair[1].mean()
    neighbours = (truth[:, 1:] * truth[:, :-1]).mean() / truth.var()
    assert neighbours > 0.97  # so that a blind spot can be filled from around it


def test_hot_pixels_are_few_and_far_too_bright(pair):
    noisy, truth = hot_pixels(seed=3)
    np.testing.assert_array_equal(truth, pair[1])
    extra = noisy.astype(int) - pair[0]
    assert {*np.unique(extra)} == {0, 300}
    expected = 2e-4 * noisy.size
    assert abs((extra > 0).sum() - expected) < 5 * np.sqrt(expected)
    assert check_data(noisy, "YX").suggestion == "n2v2"


def test_line_noise_is_correlated_along_x_only(pair):
    noisy, truth = line_noise(seed=3)
    np.testing.assert_array_equal(truth, pair[1])
    noise = noisy - truth.astype(float)
    shares = np.array([0.75, 0.55, 0.35])
    for shift in range(4):
        expected = 14**2 * (shares[shift:] * shares[: max(3 - shift, 0)]).sum()
        product = (noise * np.roll(noise, shift, axis=1)).mean()
        assert product == pytest.approx(expected, abs=2)
    assert abs((noise * np.roll(noise, 1, axis=0)).mean()) < 2
    report = check_data(noisy, "YX")
    assert (report.suggestion, report.axis) == ("structn2v", "horizontal")


def test_two_exposures_share_the_cells_and_no_noise(pair):
    first, second, truth = two_exposures(seed=3)
    np.testing.assert_array_equal(first, pair[0])
    np.testing.assert_array_equal(truth, pair[1])
    one, other = first - truth.astype(float), second - truth.astype(float)
    assert other.std() == pytest.approx(one.std(), rel=0.02)
    assert abs((one * other).mean()) < 5 * one.var() / np.sqrt(one.size)


def test_short_and_long_exposures_are_of_other_cells(pair):
    short, long = short_and_long(seed=2)
    assert short.shape == long.shape == (2, 512, 512)
    np.testing.assert_array_equal(short[0], pair[0])
    np.testing.assert_array_equal(long[0], pair[1])
    np.testing.assert_array_equal(long[1], simulated(seed=4)[1])


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "tissue"])
def test_images_of_a_sample_match(name):
    images = SAMPLES[name].images()
    assert {image.shape for image in images.named().values()} == {images.noisy.shape}
    assert images.noisy.ndim == len(images.axes)
    assert {*images.scale} == {"Y", "X"}
    assert next(iter(images.named())) == ""


def test_real_micrograph():
    pytest.importorskip("skimage")
    image = real()
    assert image.shape == (512, 512)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.std() > 20


def test_without_scikit_image_the_message_says_what_to_do(monkeypatch):
    def no_skimage(name, *args, **kwargs):
        if name.startswith("skimage"):
            raise ImportError(name)
        return importing(name, *args, **kwargs)

    importing = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", no_skimage)
    with pytest.raises(HushError, match="pip install scikit-image"):
        real()
