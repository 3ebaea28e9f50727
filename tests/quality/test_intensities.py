import numpy as np
import pytest

from napari_hush.quality.correlation import NoiseCorrelation, noise_correlation
from napari_hush.quality.intensities import (
    background_share,
    hot_share,
    noise_level,
    photon_transfer,
    saturated_share,
)
from napari_hush.quality.sampling import cut_blocks


@pytest.fixture
def photons(cells):
    """The picture in photons, 2 to 42 of them."""
    return 2 + 40 * cells


def level(image):
    blocks = cut_blocks([image[None, None]], 0)
    return noise_level(blocks, noise_correlation(blocks, 1e-13))


def hot(image):
    return hot_share([image], photon_transfer([image]))


@pytest.mark.parametrize(
    ("along_y", "along_x"), [((1,), (1,)), ((1,), (0.5, 1)), ((0.5, 1, 0.5), (0.5, 1, 0.5))]
)
@pytest.mark.parametrize("sigma", [0.1, 3.0])
def test_noise_level_is_that_of_the_noise(cells, noise_of, along_y, along_x, sigma):
    noisy = cells + sigma * noise_of(along_y, along_x)
    assert level(noisy) == pytest.approx(sigma, rel=0.15)


def test_noise_level_counts_the_correlation_of_each_distance():
    blocks = np.random.default_rng(0).normal(0, 3, (40, 1, 64, 66))
    wide = (blocks[..., 2:] + blocks[..., 1:-1] + blocks[..., :-2]) / 3**0.5
    lags = np.zeros((5, 5))
    lags[2] = np.array([1, 2, 3, 2, 1]) / 3
    known = NoiseCorrelation(lags, np.ones(1), 0.0, 0.01)
    assert noise_level(wide, known) == pytest.approx(3, rel=0.02)


def test_photon_transfer_finds_the_gain(photons):
    counted = np.random.default_rng(0).poisson(photons)
    found = photon_transfer([100 + 3.0 * counted])
    assert found.gain == pytest.approx(3, rel=0.3)
    dark = found.gain * 106 + found.offset
    assert dark == pytest.approx(3 * 3 * 2, rel=0.3)


def test_stabilised_values_have_a_deviation_of_one(photons):
    counted = np.random.default_rng(0).poisson(photons)
    transfer = photon_transfer([counted])
    bright = np.random.default_rng(1).poisson(30.0, 10_000)
    assert transfer.stabilised(bright).std() == pytest.approx(1, abs=0.2)


def test_without_photons_noise_does_not_grow(noise_of):
    found = photon_transfer([100 + 10 * noise_of()])
    assert found.gain == 0
    assert found.stabilised(np.array([0.0, 10.0])) == pytest.approx([0, 1], rel=0.1)


@pytest.mark.parametrize("share", [1e-4, 1e-3, 5e-3])
def test_hot_pixels_are_counted(photons, share):
    image = np.random.default_rng(0).poisson(photons).astype(np.uint16)
    places = np.random.default_rng(1).random(image.shape) < share
    image[places] += 300
    assert hot(image) == pytest.approx(places.mean(), rel=0.3)


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_few_photons_are_not_hot(photons, scale):
    counted = np.random.default_rng(0).poisson(scale * photons)
    assert hot((5 * counted).astype(np.uint16)) < 2e-5


def test_small_bright_things_are_not_hot(cells, noise_of):
    assert hot(5000 * cells + 5 * noise_of()) < 2e-5


def test_background(cells, noise_of):
    left = np.where(np.arange(256) < 96, 0.0, 1.0) + 0.5 * cells
    image = 100 + 50 * left + 5 * noise_of()
    transfer = photon_transfer([image])
    noise = noise_correlation(cut_blocks([image[None, None]], 0), 1e-13)
    dark_cells = (left.reshape(32, 8, 32, 8).mean((1, 3)) < 0.05).mean()
    share = background_share([image], transfer, noise)
    assert share == pytest.approx(dark_cells, abs=0.08)


def test_saturation_at_the_top_of_the_type():
    image = np.random.default_rng(0).integers(0, 200, (64, 64)).astype(np.uint8)
    assert saturated_share([image]) == 0
    image[:8, :8] = 255
    assert saturated_share([image]) == 64 / 4096


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_saturation_below_the_top_of_the_type(dtype):
    image = np.random.default_rng(0).normal(3500, 400, (256, 256))
    clipped = np.minimum(image, 4095).astype(dtype)
    assert saturated_share([clipped]) == pytest.approx((image >= 4095).mean())
    assert saturated_share([image.astype(dtype)]) == 0


def test_constant_planes_have_no_transfer():
    assert photon_transfer([np.full((64, 64), 9)]) is None
    assert saturated_share([np.full((64, 64), 9)]) == 0
