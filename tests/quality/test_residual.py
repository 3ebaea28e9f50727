"""The verdict on a result, from its residual and from controls on the same data."""

import re

import numpy as np
import pytest
from scenes import AXES, SCENES
from scipy.ndimage import gaussian_filter

from napari_hush.errors import DataError
from napari_hush.io import Image
from napari_hush.quality import check_residual

CORRELATED = (0.4, 1, 0.4)


def blurred(image, sigma):
    return gaussian_filter(image, (0,) * (image.ndim - 2) + (sigma, sigma))


@pytest.fixture(params=SCENES)
def scene(request):
    return SCENES[request.param], AXES.get(request.param, "YX"), request.param


class TestTenKindsOfImages:
    """White noise of a tenth of the range; results as of a network, and controls."""

    def test_only_noise_was_removed(self, scene, noise_of):
        clean, axes, _ = scene
        noise = 0.1 * noise_of(shape=clean.shape)
        report = check_residual(clean + noise, clean + 0.3 * blurred(noise, 1), axes)
        assert report.verdict == "good"
        assert report.error < report.controls["flat"]
        assert report.structure < 0.1

    def test_flat(self, scene, noise_of):
        clean, axes, _ = scene
        noisy = clean + 0.1 * noise_of(shape=clean.shape)
        report = check_residual(noisy, np.full_like(noisy, noisy.mean()), axes)
        assert report.verdict == "structure lost"
        assert report.structure == pytest.approx(1, abs=0.05)
        assert report.error == pytest.approx(report.controls["flat"], rel=0.1)

    def test_blurred(self, scene, noise_of):
        clean, axes, name = scene
        noisy = clean + 0.1 * noise_of(shape=clean.shape)
        report = check_residual(noisy, blurred(noisy, 5), axes)
        if name == "gradient":  # is not changed by a blur
            assert report.verdict in ("good", "too noisy to judge")
        else:
            assert report.verdict == "structure lost"

    def test_as_it_was(self, scene, noise_of):
        clean, axes, _ = scene
        noisy = clean + 0.1 * noise_of(shape=clean.shape)
        report = check_residual(noisy, noisy, axes)
        assert (report.verdict, report.std, report.structure) == ("look closer", 0, 0)
        assert "Noise is left: 100% of it" in report.reason
        assert report.noise_share == 0
        assert report.error == report.controls["identity"] == pytest.approx(1)
        assert np.isfinite(report.map).all()

    def test_neither_unit_nor_offset_count(self, scene, noise_of):
        clean, axes, _ = scene
        noise = 0.1 * noise_of(shape=clean.shape)
        for result in (clean + 0.3 * blurred(noise, 1), blurred(clean + noise, 3)):
            known = check_residual(clean + noise, result, axes)
            for factor, offset in ((1e-12, 0), (1e12, 0), (1, 1e6)):
                pair = (factor * image + offset for image in (clean + noise, result))
                found = check_residual(*pair, axes)
                assert found.verdict == known.verdict
                assert found.error == pytest.approx(known.error, rel=1e-3)


@pytest.mark.parametrize("level", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("kind", ["spots", "lines", "texture", "waves"])
def test_the_error_is_estimated_without_ground_truth(kind, level, noise_of):
    clean = SCENES[kind]
    noise = level * noise_of(shape=clean.shape)
    for sigma in (1, 2, 4):
        result = blurred(clean + noise, sigma)
        report = check_residual(clean + noise, result)
        error = np.mean((result - clean) ** 2) / level**2
        assert report.error == pytest.approx(error, rel=0.25, abs=0.03)
        if sigma < 4:
            assert report.controls[f"blur {sigma}"] == pytest.approx(report.error, rel=0.15)
    report = check_residual(clean + noise, clean + noise)
    flat = np.var(clean) / level**2
    assert report.controls["flat"] == pytest.approx(flat, rel=0.2, abs=0.03)


class TestTooNoisy:
    """Where a flat or strongly blurred image cannot be told from a good one."""

    @pytest.mark.parametrize("kernel", [(1,), CORRELATED], ids=["white", "correlated"])
    def test_nothing_but_noise(self, noise_of, kernel):
        noisy = noise_of(kernel, kernel)
        for result in (np.zeros_like(noisy), blurred(noisy, 5), blurred(noisy, 8)):
            report = check_residual(noisy, result)
            assert report.verdict == "too noisy to judge"
            assert "flat image" in report.reason
        assert check_residual(noisy, noisy).verdict == "look closer"

    def test_structure_far_below_the_noise(self, noise_of):
        noisy = SCENES["lines"] + 4 * noise_of(shape=SCENES["lines"].shape)
        for result in (SCENES["lines"], 0 * noisy, blurred(noisy, 6)):
            assert check_residual(noisy, result).verdict == "too noisy to judge"

    def test_a_blur_that_cannot_be_told_from_the_image(self, noise_of):
        clean = gaussian_filter(SCENES["cells"], 4)
        noisy = clean + 0.5 * noise_of(shape=clean.shape)
        report = check_residual(noisy, blurred(noisy, 5))
        assert report.verdict == "too noisy to judge"
        assert "blur of 5 pixels" in report.reason
        flat = check_residual(noisy, 0 * noisy)
        assert flat.verdict == "structure lost"


class TestNoiseLeft:
    @pytest.mark.parametrize("kernel", [(1,), CORRELATED], ids=["white", "correlated"])
    def test_most_of_it(self, cells, noise_of, kernel):
        noise = 0.2 * noise_of(kernel, kernel)
        report = check_residual(cells + noise, cells + 0.7 * noise)
        assert report.verdict == "look closer"
        assert report.noise_share == pytest.approx(0.3, abs=0.05)
        assert "Noise is left: 7" in report.reason  # about 70 %

    def test_a_weak_blur(self, noise_of):
        """It leaves 1 / sqrt(4 pi) = 28 % of the noise, where 14 % is best."""
        clean = SCENES["cells"]
        noisy = clean + 0.3 * noise_of(shape=clean.shape)
        report = check_residual(noisy, blurred(noisy, 1))
        assert report.verdict == "look closer"
        assert any(f"Noise is left: {share}%" in report.reason for share in (27, 28, 29))

    def test_a_blind_spot_keeps_noise_that_neighbors_share(self, cells, noise_of):
        """Of such noise it removes what neighbors do not tell."""
        noise = 0.2 * noise_of(CORRELATED, CORRELATED)
        told = sum(np.roll(noise, shift, axis) for shift in (1, -1) for axis in (0, 1))
        told *= (told * noise).mean() / (told**2).mean()
        report = check_residual(cells + noise, cells + told)
        assert report.verdict == "look closer"
        assert "structN2V" in report.reason


@pytest.mark.parametrize("kernel", [(1,), (0.4, 1)], ids=["white", "correlated"])
@pytest.mark.parametrize("sigma", [0.1, 0.3])
def test_maps_and_moments_of_the_residual(cells, noise_of, kernel, sigma):
    noise = sigma * noise_of((1,), kernel)
    report = check_residual(cells + noise, cells)
    assert report.verdict == "good"
    assert report.std == pytest.approx(sigma)
    assert report.mean == pytest.approx(0, abs=1e-3)
    assert report.noise_share == pytest.approx(1, abs=0.12)
    centre = len(report.map) // 2
    expected = np.mean(noise[:, 1:] * noise[:, :-1]) / sigma**2
    assert report.map[centre, centre + 1] == pytest.approx(expected, abs=0.02)
    assert report.noise_map[centre, centre + 1] == pytest.approx(expected, abs=0.08)


def test_structure_in_one_corner_is_found(noise_of):
    """Most of the area may be empty, as in fluorescence."""
    truth = np.zeros((256, 256))
    y, x = np.mgrid[:80, :80]
    truth[:80, :80] = np.sin(x / 2) * np.sin(y / 2)
    report = check_residual(truth + 0.5 * noise_of(), np.zeros((256, 256)))
    assert report.verdict == "structure lost"
    assert "Structure was lost" in report.reason


@pytest.mark.parametrize(("shift", "word"), [(3, "brighter"), (-3, "darker")])
def test_brightness_that_changed_is_said(cells, noise_of, shift, word):
    report = check_residual(cells + 0.1 * noise_of(), cells + shift)
    assert report.mean == pytest.approx(-shift, abs=1e-3)
    assert report.verdict == "look closer"
    assert f"{word} than the noisy image by 3 on average" in report.reason


class TestChannels:
    def test_the_worst_counts(self, cells, noise_of):
        truth = np.stack([cells, cells[::-1], cells.T])
        noisy = truth + 0.1 * noise_of(shape=truth.shape)
        result = truth.copy()
        result[1] = blurred(noisy[1], 8)
        result[2] = noisy[2]
        report = check_residual(noisy, result, "CYX")
        assert report.verdicts == ("good", "structure lost", "look closer")
        assert (report.verdict, report.channel) == ("structure lost", 1)
        assert report.reason.startswith("Channel 1: ")

    def test_integers(self, cells):
        truth = np.stack([cells, cells[::-1]]) * 200 + 20
        noisy = np.random.default_rng(0).poisson(truth).astype(np.uint16)
        report = check_residual(noisy, truth.astype(np.float32), "CYX")
        assert report.verdict == "good"
        assert report.noise_share == pytest.approx(1, abs=0.2)


class TestSmallThings:
    """A spot that is added or erased hardly changes the spectrum of a whole image."""

    def test_what_is_invented_is_found_where_it_is(self, cells, noise_of):
        noisy = cells + 0.1 * noise_of()
        y, x = np.ogrid[: cells.shape[0], : cells.shape[1]]
        spot = np.exp(-((y - 100) ** 2 + (x - 60) ** 2) / 2 / 3**2)
        for sign in (1, -1):
            report = check_residual(noisy, cells + sign * spot)
            assert report.verdict == "look closer"
            place = re.search(r"X (\d+), Y (\d+)", report.reason)
            assert place is not None
            assert np.hypot(int(place[1]) - 60, int(place[2]) - 100) < 5

    def test_planes_and_samples_are_named(self, cells, noise_of):
        clean = np.stack([[cells] * 4] * 2)
        noisy = clean + 0.1 * np.stack(
            [[noise_of(seed=s + z) for z in range(4)] for s in (9, 99)]
        )
        result = clean.copy()
        result[1, 2, 40:50, 30:40] += 1
        report = check_residual(noisy, result, "SZYX")
        assert report.verdict == "look closer"
        assert "Z 2 of image 1" in report.reason

    @pytest.mark.parametrize("photons", [0.5, 5, 500])
    def test_noise_of_any_strength_is_no_finding(self, cells, photons):
        light = photons * (cells - cells.min())
        noisy = np.random.default_rng(4).poisson(light).astype(float)
        noisy[50, 60] += 50 * np.sqrt(photons)  # a hot pixel
        assert "compare them there" not in check_residual(noisy, light).reason


class TestOtherGrayValues:
    """As of CARE trained with brighter targets."""

    @pytest.mark.parametrize(("gain", "offset"), [(20, 500), (0.01, -3)])
    def test_gain_and_offset_are_fitted_where_asked(self, cells, noise_of, gain, offset):
        noisy = cells + 0.1 * noise_of()
        for result in (cells, blurred(noisy, 5)):
            known = check_residual(noisy, result, fit_gain=True)
            found = check_residual(noisy, gain * result + offset, fit_gain=True)
            assert found.verdict == known.verdict
            assert found.error == pytest.approx(known.error)
            assert found.mean == pytest.approx(0, abs=1e-9)
        assert check_residual(noisy, gain * cells, fit_gain=True).verdict == "good"

    def test_an_inverted_image_is_not_good(self, cells, noise_of):
        report = check_residual(cells + 0.1 * noise_of(), 10 - cells, fit_gain=True)
        assert report.verdict == "look closer"
        assert "inverted" in report.reason

    @pytest.mark.parametrize("gain", [20, 1.2, 0.8, 0.4, 0.01])
    def test_otherwise_they_are_said(self, cells, noise_of, gain):
        noisy = cells + 0.1 * noise_of()
        report = check_residual(noisy, gain * cells)
        assert report.verdict == "look closer"
        assert f"is {gain} times that of the noisy image" in report.reason
        report = check_residual(noisy, gain * blurred(noisy, 5))
        assert report.verdict == "structure lost"

    def test_flat_stays_flat(self, cells, noise_of):
        noisy = cells + 0.1 * noise_of()
        report = check_residual(noisy, np.ones_like(noisy), fit_gain=True)
        assert report.verdict == "structure lost"


def test_large_images_are_sampled(noise_of):
    clean = np.tile(SCENES["lines"], (6, 6))
    noisy = Image.from_array(clean + 0.1 * noise_of(shape=clean.shape), "YX")
    report = check_residual(noisy, Image.from_array(clean, "YX"), most_pixels=2**16)
    assert report.verdict == "good"


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
