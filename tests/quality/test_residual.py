import numpy as np
import pytest

from napari_hush.errors import DataError
from napari_hush.quality import check_residual


@pytest.mark.parametrize("kernel", [(1,), (0.4, 1)], ids=["white", "correlated"])
@pytest.mark.parametrize("sigma", [0.1, 0.3])
def test_noise_alone_looks_like_noise(cells, noise_of, kernel, sigma):
    noise = sigma * noise_of((1,), kernel)
    report = check_residual(cells + noise, cells)
    assert report.verdict == "good"
    assert report.structure < 0.4
    assert report.std == pytest.approx(sigma)
    assert report.mean == pytest.approx(0, abs=1e-3)
    assert report.noise_share == pytest.approx(1, abs=0.12)
    centre = len(report.map) // 2
    expected = np.mean(noise[:, 1:] * noise[:, :-1]) / sigma**2
    assert report.map[centre, centre + 1] == pytest.approx(expected, abs=0.02)
    assert report.noise_map[centre, centre + 1] == pytest.approx(expected, abs=0.08)


@pytest.mark.parametrize("kernel", [(1,), (0.4, 1)], ids=["white", "correlated"])
def test_what_smoothing_took_away_is_structure(cells, noise_of, blurred, kernel):
    noisy = cells + 0.03 * noise_of((1,), kernel)
    report = check_residual(noisy, blurred(noisy, 4))
    assert report.verdict == "structure lost"
    assert "Structure was removed" in report.reason


def test_more_smoothing_more_structure(cells, noise_of, blurred):
    noisy = cells + 0.05 * noise_of()
    scores = [check_residual(noisy, blurred(noisy, s)).structure for s in (2, 4, 8)]
    assert scores == sorted(scores)
    assert len(set(scores)) == 3


def test_structure_in_one_corner_is_found(noise_of):
    """Most of the area may be empty, as in fluorescence."""
    truth = np.zeros((256, 256))
    y, x = np.mgrid[:80, :80]
    truth[:80, :80] = np.sin(x / 2) * np.sin(y / 2)
    report = check_residual(truth + 0.5 * noise_of(), np.zeros((256, 256)))
    assert report.verdict == "structure lost"


def test_noise_that_is_left_is_reported(cells, noise_of):
    noise = 0.2 * noise_of()
    report = check_residual(cells + noise, cells + 0.7 * noise)
    assert report.verdict == "look closer"
    assert report.noise_share == pytest.approx(0.3, abs=0.05)
    assert "Noise is left" in report.reason


def test_nothing_taken_away(cells, noise_of):
    noisy = cells + noise_of()
    report = check_residual(noisy, noisy)
    assert (report.verdict, report.std, report.structure) == ("look closer", 0, 0)
    assert np.isfinite(report.map).all()


def test_brightness_that_changed_shows_in_the_mean(cells, noise_of):
    report = check_residual(cells + 0.1 * noise_of(), cells + 3)
    assert report.mean == pytest.approx(-3, abs=1e-3)


def test_axes_and_integers(cells, noise_of):
    truth = np.stack([cells, cells[::-1]]) * 200 + 20
    noisy = np.random.default_rng(0).poisson(truth).astype(np.uint16)
    report = check_residual(noisy, truth.astype(np.float32), "CYX")
    assert report.verdict == "good"
    assert report.noise_share == pytest.approx(1, abs=0.2)


class TestRefused:
    def test_unlike_images(self):
        with pytest.raises(DataError, match="two images of the same shape and axes"):
            check_residual(np.eye(32), np.eye(33))

    def test_axes_that_are_not_named(self):
        with pytest.raises(DataError, match="axes are not named"):
            check_residual(np.ones((3, 32, 32)), np.ones((3, 32, 32)))

    def test_constant(self):
        with pytest.raises(DataError, match="The array is constant"):
            check_residual(np.ones((32, 32)), np.eye(32))

    def test_nan(self, noise_of):
        with pytest.raises(DataError, match="NaN"):
            check_residual(noise_of(), np.full((256, 256), np.nan))
