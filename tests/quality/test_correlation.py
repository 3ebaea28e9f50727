import numpy as np
import pytest

from napari_hush.quality.correlation import autocovariance, noise_correlation
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
