import numpy as np
import pytest

from napari_hush.quality.correlation import NoiseCorrelation, noise_correlation
from napari_hush.quality.intensities import (
    PhotonTransfer,
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


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_stabilised_values_are_those_of_anscombe(gain):
    transfer = PhotonTransfer(gain, 1.0, 4.0)
    values = np.array([-10.0, 0.0, 3.0])
    variance = np.array([0.0, 1.0, 3 * gain + 1])
    expected = 2 / gain * np.sqrt(variance + 3 / 8 * gain**2)
    np.testing.assert_allclose(transfer.stabilised(values), expected)


def test_values_of_equal_noise_are_divided_by_it():
    np.testing.assert_array_equal(PhotonTransfer(0.0, 9.0, 9.0).stabilised(6.0), 2)
    nearly = PhotonTransfer(1e-6, 9.0, 9.0)
    assert nearly.stabilised(6.0) - nearly.stabilised(0.0) == pytest.approx(2)


@pytest.mark.parametrize(
    ("near", "next_", "factor", "order"),
    [
        (0.3, 0.1, 6 - 2.4 + 0.2, 2),
        (0.79, 0.7, 6 - 6.32 + 1.4, 2),
        (0.75, 0.5, 1, 2),
        (0.9, 0.65, 2 - 1.8, 1),
        (0.99, 0.95, 0.05, 1),
    ],
)
def test_of_smooth_noise_first_differences_are_measured(near, next_, factor, order):
    """The second ones have less than its variance."""
    blocks = np.random.default_rng(0).normal(size=(3, 1, 16, 20))
    blocks[2] = 5  # no noise
    lags = np.zeros((5, 5))
    lags[2], lags[:, 2] = [0, 0, 1, 0, 0], [next_, near, 1, near, next_]
    level = noise_level(blocks, NoiseCorrelation(lags, np.ones(1), 0.0, 0.01))
    along_y = np.diff(blocks[:2, 0], n=order, axis=1).var((1, 2)) / factor
    along_x = np.diff(blocks[:2, 0], n=2, axis=2).var((1, 2)) / 6
    assert level == pytest.approx(np.sqrt(np.median((along_y + along_x) / 2)))


@pytest.mark.parametrize(
    ("darkest", "brightest", "above", "is_hot"),
    [(0, 1, 6, False), (0, 1, 6.1, True), (50, 54, 8, False), (50, 54, 8.1, True)],
)
@pytest.mark.parametrize("place", [(0, 0), (0, 9), (5, 5), (8, 9), (8, 0)])
def test_hot_pixels_exceed_their_neighbors(darkest, brightest, above, is_hot, place):
    """By six deviations, here of 1, and by twice the range of all eight."""
    y, x = place
    for dy, dx in [(-1, -1), (-1, 0), (0, 1), (1, -1), (1, 1)]:
        image = np.full((9, 10), float(darkest))
        image[place] = brightest + above
        beside = [abs(y + dy), abs(x + dx)]  # reflected at the border
        for axis, size in enumerate(image.shape):
            if beside[axis] == size:
                beside[axis] -= 2
        image[tuple(beside)] = brightest
        found = hot_share([image, np.zeros((10, 1 + 8))], PhotonTransfer(0.0, 1.0, 1.0))
        assert found == is_hot / 180


@pytest.mark.parametrize(("level", "share"), [(5.39, 1.0), (5.41, 0.5)])
@pytest.mark.parametrize("correlated", [1, 4])
@pytest.mark.parametrize("gain", [0.0, 8.0])
def test_background_is_within_the_noise_of_the_darkest_cells(
    level, share, correlated, gain
):
    """3 deviations, and 2.4 by which the darkest are below; of means of 8 x 8 pixels."""
    spread = np.sqrt(correlated * (64 + gain * 5)) / 8
    image = np.full((80, 80), 5.0)
    image[:40] += level * spread
    lags = np.zeros((21, 21))
    lags[10, 10] = 1
    lags[8, 8] = correlated - 1
    lags[7, 10] = lags[10, 13] = 9  # too far to count
    noise = NoiseCorrelation(lags, np.ones(1), 0.0, 0.01)
    found = background_share([image], PhotonTransfer(gain, 64.0, 1.0), noise)
    assert found == share
    lowest = PhotonTransfer(gain, -1e3, 64.0 + gain * 5)
    assert background_share([image], lowest, noise) == share
    image[:8, :16] = 5 - 7 * spread  # two of a hundred cells
    assert background_share([image], PhotonTransfer(gain, 64.0, 64.0), noise) == 0.02


@pytest.mark.parametrize(("below", "clipped"), [(9, True), (10, False)])
@pytest.mark.parametrize("near", [99.0, 98.9])
def test_saturated_values_are_three_times_as_frequent(below, clipped, near):
    """As those of the last hundredth of the range."""
    image = np.zeros((100, 100))
    image.flat[:30] = 100
    image.flat[30:31] = 99.5
    image.flat[31 : 30 + below] = near
    expected = 30 / 10_000 if clipped or near < 99 else 0
    assert saturated_share([image]) == expected
    halves = [image[:50], image[50:]]
    assert saturated_share(halves) == expected


@pytest.mark.parametrize(("top", "share"), [(4, 0), (5, 5 / 40_000)])
def test_one_pixel_in_ten_thousand_is_not_saturated(top, share):
    image = np.linspace(0, 50, 40_000)
    image[-top:] = 100
    assert saturated_share([image]) == share


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_all_pixels_of_the_largest_value_are_saturated(dtype):
    assert saturated_share([np.full((8, 8), np.iinfo(dtype).max, dtype)]) == 1
    assert saturated_share([np.full((8, 8), np.iinfo(dtype).min, dtype)]) == 0
