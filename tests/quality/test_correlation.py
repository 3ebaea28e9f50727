import math
import statistics

import numpy as np
import pytest

from napari_hush.quality.correlation import (
    _BELOW,
    _MEAN_BELOW,
    _MIXED_DIFFERENCE,
    _OF_QUANTILE,
    _QUANTILE,
    _SECOND_DIFFERENCE,
    _along_rows,
    _along_z,
    _flattest,
    _levelled,
    _low,
    _without_structure,
    autocovariance,
    noise_correlation,
)
from napari_hush.quality.sampling import cut_blocks


def estimate(image):
    blocks = cut_blocks([image.reshape(1, -1, *image.shape[-2:])], 0)
    return noise_correlation(blocks, 1e-13)


KERNELS = [
    pytest.param((1,), (1,), id="white"),
    pytest.param((1,), (0.4, 1), id="along X"),
    pytest.param((0.5, 1, 0.5), (1,), id="along Y"),
    pytest.param((0.5, 1, 0.5), (0.5, 1, 0.5), id="square"),
    pytest.param((1,), (1,) * 7, id="a long line"),
]


@pytest.mark.parametrize(("along_y", "along_x"), KERNELS)
@pytest.mark.parametrize("sigma", [0.1, 0.5], ids=["mild", "heavy"])
def test_estimate_is_that_of_the_noise_alone(cells, noise_of, along_y, along_x, sigma):
    noise = sigma * noise_of(along_y, along_x)
    found = estimate(cells + noise)
    truth = autocovariance(noise[None], 3)[0] / noise.var()
    centre = len(found.map) // 2
    near = found.map[centre - 3 : centre + 4, centre - 3 : centre + 4]
    np.testing.assert_allclose(near, truth, atol=0.12)
    np.testing.assert_allclose(near[3, 4:], truth[3, 4:], atol=0.08)
    np.testing.assert_allclose(near[4:, 3], truth[4:, 3], atol=0.08)


def test_map_is_symmetric_with_one_in_the_centre(cells, noise_of):
    found = estimate(cells + 0.2 * noise_of((1, 1), (1, 1)))
    assert found.map.shape == (21, 21)
    assert found.map[10, 10] == found.x[0] == found.y[0] == 1
    np.testing.assert_allclose(found.map, found.map[::-1, ::-1], atol=1e-6)
    assert np.abs(found.map).max() <= 1 + 1e-6


@pytest.mark.parametrize("shape", [(16, 16), (17, 40), (48, 31)])
def test_small_images_have_shorter_lags(shape):
    image = np.random.default_rng(0).normal(size=shape)
    found = estimate(image)
    side = min(32, *shape)
    assert found.map.shape == (2 * min(10, side // 2 - 1) + 1,) * 2
    assert np.isfinite(found.map).all()


def test_nothing_to_find_where_nothing_varies():
    assert estimate(np.full((64, 64), 1000.0)) is None


def test_empty_parts_do_not_count(cells, noise_of):
    noisy = cells + 0.3 * noise_of((1,), (0.6, 1))
    padded = np.zeros((512, 512))
    padded[:256, :256] = noisy
    np.testing.assert_allclose(estimate(padded).x[:4], estimate(noisy).x[:4], atol=0.05)


@pytest.mark.parametrize("shared", [0.0, 0.6])
def test_along_z(cells, shared):
    rng = np.random.default_rng(0)
    white = rng.normal(size=(9, 256, 256))
    noise = white[1:] + shared * white[:-1]
    expected = shared / (1 + shared**2)
    found = estimate(cells + 0.3 * noise / noise.std())
    assert found.z[1] == pytest.approx(expected, abs=0.05)
    assert found.z[2] == pytest.approx(0, abs=0.05)


def test_autocorrelation_is_that_of_the_definition():
    block = np.random.default_rng(0).normal(size=(9, 11))
    found = autocovariance(block[None], 2)[0]
    for dy, dx in [(0, 0), (0, 1), (2, 0), (1, 2)]:
        pairs = block[dy:, dx:] * block[: 9 - dy, : 11 - dx]
        assert found[2 + dy, 2 + dx] == pytest.approx(pairs.mean())
    pairs = block[1:, :-1] * block[:-1, 1:]
    assert found[2 + 1, 2 - 1] == pytest.approx(pairs.mean())


def test_factors_are_those_of_a_normal_distribution():
    """The lowest fifth of white noise, and the differences of it."""
    normal = statistics.NormalDist()
    below = -normal.inv_cdf(_QUANTILE)
    assert pytest.approx(below, rel=0.01) == _BELOW
    assert pytest.approx(normal.pdf(below) / _QUANTILE, rel=0.01) == _MEAN_BELOW
    scatter = math.sqrt(_QUANTILE * (1 - _QUANTILE)) / normal.pdf(below)
    assert pytest.approx(scatter, rel=0.03) == _OF_QUANTILE

    def squares(*filter_):
        """Bartlett: the sum of the squared autocorrelations."""
        along = np.correlate(filter_, filter_, "full")
        return (along**2).sum() / along.max() ** 2

    assert pytest.approx(squares(1, -2, 1)) == _SECOND_DIFFERENCE
    assert pytest.approx(squares(1, -1) ** 2) == _MIXED_DIFFERENCE


@pytest.mark.parametrize(("blocks", "share"), [(1, 1), (2, 1.4 / 2**0.5), (49, 0.2)])
def test_scatter_falls_with_the_number_of_blocks(blocks, share):
    white = np.random.default_rng(0).normal(size=(blocks, 1, 32, 32))
    one = math.sqrt(70 / 36) / 32
    assert noise_correlation(white, 0).scatter == pytest.approx(one * min(share, 1))


@pytest.mark.parametrize(("value", "count"), [(0.5, 4), (-0.25, 2), (0.0, 1)])
def test_the_low_quantile_of_equal_blocks(value, count):
    """What is added for chance: nothing for one block, which is not chosen."""
    scatter = np.array([0.1])
    chance = math.sqrt(1 - 1 / count) * 0.84 * 0.1 * (1 - value**2)
    found = _low(np.full((count, 1), value), scatter)
    assert found == pytest.approx([value + chance])
    assert _low(np.ones((count, 1)), scatter) == [1]
    assert _low(np.array([[0.0], [1.0]]), 0 * scatter) == pytest.approx([_QUANTILE])


@pytest.mark.parametrize(("count", "depth", "lags"), [(1, 5, 2), (3, 6, 3), (1, 30, 10)])
def test_along_z_differences_are_compared(count, depth, lags):
    block = np.random.default_rng(0).normal(size=(depth, 16, 20))
    found = _along_z(np.stack([block] * count))
    mixed = np.diff(np.diff(block, axis=1), axis=2)
    expected = [1.0]
    for lag in range(1, lags + 1):
        pairs = mixed[lag:] * mixed[:-lag]
        ratio = pairs.mean() / (mixed**2).mean()
        chance = math.sqrt((1 - 1 / count) * 9 / 4 / pairs.size) * 0.84
        expected.append(ratio + chance * (1 - ratio**2))
    np.testing.assert_allclose(found, expected)


def test_along_z_blocks_without_noise_do_not_count():
    block = np.random.default_rng(0).normal(size=(1, 4, 16, 16))
    ramps = np.broadcast_to(np.arange(16.0), (3, 4, 16, 16))
    np.testing.assert_array_equal(_along_z(np.concatenate([block, ramps])), _along_z(block))
    assert _along_z(ramps) == [1]


@pytest.mark.parametrize("axis", [1, 2])
def test_rows_are_those_of_second_differences(axis):
    planes = np.random.default_rng(0).normal(size=(1, 24, 20))
    found = _along_rows(planes, 6, np.zeros(1))
    second = np.diff(planes[0], n=2, axis=0)
    second -= second.mean()
    of_lag = [(second[:, k:] * second[:, : 20 - k]).mean() for k in range(7)]
    np.testing.assert_allclose(found, np.array(of_lag) / of_lag[0])
    twice = _along_rows(np.concatenate([planes] * 2), 6, np.zeros(2))
    chance = math.sqrt(70 / 36 / 2) * 0.84 / np.sqrt(22 * (20 - np.arange(7)))
    np.testing.assert_allclose(twice[1:], (found + chance * (1 - found**2))[1:])


def test_differences_up_to_rounding_are_no_noise():
    planes = np.random.default_rng(0).normal(size=(2, 24, 20))
    second = np.diff(planes[1], n=2, axis=0)
    power = np.var(second)
    one = _along_rows(planes[:1], 4, np.zeros(1))
    more = _along_rows(planes, 4, np.array([0, power * 1.001]))
    np.testing.assert_array_equal(more, one)
    assert (_along_rows(planes, 4, np.array([0, power * 0.999])) != one).any()


class TestStructure:
    """Noise mixed with structure that falls slowly, as in the formula."""

    LAGS = 4

    def mixed(self, share, noise, along_y, along_x):
        """A map of `share` structure, given by its values along the axes."""
        offset = np.arange(-self.LAGS, self.LAGS + 1)
        y, x = np.meshgrid(offset, offset, indexing="ij")
        far = np.hypot(y, x)
        ways = y**2 / np.where(far > 0, far, 1) ** 2
        curves = [np.interp(far, range(self.LAGS + 1), one) for one in (along_y, along_x)]
        structure = ways * curves[0] + (1 - ways) * curves[1]
        return (1 - share) * noise + share * structure

    def white(self):
        noise = np.zeros((2 * self.LAGS + 1,) * 2)
        noise[self.LAGS, self.LAGS] = 1
        return noise

    @pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
    def test_it_is_subtracted(self, share):
        along_y, along_x = [1, 1, 0.9, 0.8, 0.7], [1, 1, 0.8, 0.6, 0.5]
        raw = self.mixed(share, self.white(), along_y, along_x)
        known = np.eye(1, self.LAGS + 1)[0]
        found, structure = _without_structure(raw, known, known)
        assert structure == pytest.approx(share)
        np.testing.assert_allclose(found, self.white(), atol=1e-12)

    def test_noise_along_the_axes_is_kept(self):
        noise = self.white()
        noise[self.LAGS, [self.LAGS - 1, self.LAGS + 1]] = 0.5
        raw = self.mixed(0.3, noise, [1, 1, 0.9, 0.8, 0.7], [1, 1, 0.8, 0.6, 0.5])
        along_x = np.array([1, 0.5, 0, 0, 0])
        found, structure = _without_structure(raw, np.eye(1, 5)[0], along_x)
        assert structure == pytest.approx(0.3)
        np.testing.assert_allclose(found, noise, atol=1e-12)

    def test_its_share_is_95_percent_at_most(self):
        raw = np.ones((9, 9))
        known = np.eye(1, 5)[0]
        found, structure = _without_structure(raw, known, known)
        assert structure == 0.95
        assert found[4, 4] == 1
        # The curve is clipped at 1, so the twentieth is left.
        np.testing.assert_allclose(found[4, :4], (1 - 0.95) / 0.05)

    @pytest.mark.parametrize("second", [0, 0.02, 0.075])
    def test_what_ends_at_lag_2_is_noise(self, second):
        """Four times the excess there is structure at most."""
        raw = self.mixed(0, self.white(), [1] * 5, [1] * 5)
        for lag, value in ((1, 0.3), (2, second)):
            raw[4, [4 - lag, 4 + lag]] = raw[[4 - lag, 4 + lag], 4] = value
        known = np.eye(1, 5)[0]
        found, structure = _without_structure(raw, known, known)
        assert structure == pytest.approx(min(4 * second, 0.3))
        if not second:
            np.testing.assert_array_equal(found, raw)

    @pytest.mark.parametrize("noise", [0.95, 0.97])
    def test_an_excess_over_nearly_full_correlation_counts_as_of_a_20th(self, noise):
        raw = self.mixed(0, self.white(), [1] * 5, [1] * 5)
        raw[4, [2, 3, 5, 6]] = raw[[2, 3, 5, 6], 4] = noise + 0.01
        along = np.array([1, noise, noise, 0, 0])
        assert _without_structure(raw, along, along)[1] == pytest.approx(0.2)


def test_the_flattest_fifth_of_the_blocks_counts():
    """By the correlation of the nearest neighbors, of those above the rounding."""
    planes = np.random.default_rng(0).normal(size=(31, 16, 16))
    flat = _levelled(planes)
    power = (flat**2).mean((1, 2))
    found = _flattest(planes, 3, np.where(np.arange(31) == 1, power * 1.01, 0))
    left = np.delete(flat, 1, 0)
    score = [
        ((one[1:] * one[:-1]).mean() + (one[:, 1:] * one[:, :-1]).mean()) / (one**2).mean()
        for one in left
    ]
    chosen = np.argsort(score)[:6]
    maps = autocovariance(left[chosen], 3)
    expected = (maps / maps[:, 3:4, 3:4]).mean(0)
    chance = 1.4 / math.sqrt(2) / 16 * math.sqrt(1 - 1 / 30)
    near = np.zeros((7, 7), bool)
    near[3, [2, 4]] = near[[2, 4], 3] = True
    expected[near] += (chance * (1 - expected**2))[near]
    np.testing.assert_allclose(found, expected)


def test_curved_surfaces_are_levelled():
    y, x = np.mgrid[:16, :16] / 3.0
    surface = 7 + 2 * y - 3 * x + 0.5 * x * y + y**2 - 0.7 * x**2
    noise = np.random.default_rng(0).normal(size=(16, 16))
    found = _levelled(np.stack([surface, surface + noise, x**3]))
    np.testing.assert_allclose(found[0], 0, atol=1e-10)
    np.testing.assert_allclose(found[1], _levelled(noise[None])[0], atol=1e-10)
    assert np.abs(found[2]).max() > 1
