"""Optics and detectors: widths, sums, means and variances are those that are given."""

import numpy as np
import pytest
from pretraining import Detector, Optics, random_detector, random_optics

LIGHT = np.full((400, 400), 0.5)
DETECTORS = [
    Detector(photons=20),
    Detector(photons=2, gain=3.5, offset=100, read_noise=1.5),
    Detector(photons=300, gain=0.2, excess=2),
    Detector(photons=50, gain=2, offset=20, lines=4, bits=16),
    Detector(photons=0.5, gain=12, offset=400, read_noise=0.3, bits=12),
]


def half_width(profile):
    """Full width at half maximum; between pixels, logarithms fall with squared distance."""
    side = np.maximum(profile[profile.argmax() :] / profile.max(), 1e-12)
    return 2 * np.sqrt(np.interp(np.log(2), -np.log(side), np.arange(len(side)) ** 2.0))


class TestOptics:
    @pytest.mark.parametrize("width", [0.7, 2.0, 4.0])
    def test_a_point_becomes_as_wide_as_told(self, width):
        point = np.zeros((41, 41))
        point[20, 20] = 1
        image = Optics(psf_width=width, background=0).image(point)
        assert half_width(image[20]) == pytest.approx(width, rel=0.01)
        assert half_width(image[:, 20]) == pytest.approx(width, rel=0.01)

    def test_depth_is_along_z_alone(self):
        point = np.zeros((33, 25, 25))
        point[16, 12, 12] = 1
        image = Optics(psf_width=2.5, psf_depth=6.0, background=0).image(point)
        assert half_width(image[:, 12, 12]) == pytest.approx(6.0, rel=0.01)
        assert half_width(image[16, 12]) == pytest.approx(2.5, rel=0.01)

    @pytest.mark.parametrize("haze", [0.0, 0.4])
    def test_light_is_kept(self, haze):
        point = np.zeros((129, 129))
        point[64, 64] = 1
        image = Optics(haze=haze, haze_width=8, background=0).image(point)
        assert image.sum() == pytest.approx(1, rel=1e-6)

    def test_haze_leaves_its_share_of_the_peak(self):
        point = np.zeros((129, 129))
        point[64, 64] = 1
        sharp, hazy = (Optics(haze=h, background=0).image(point).max() for h in (0, 0.3))
        assert hazy == pytest.approx(0.7 * sharp, rel=0.01)

    def test_background_is_everywhere_and_shading_falls_to_one_border(self):
        image = Optics(background=0.2, shading=0.5).image(np.zeros((5, 9)))
        np.testing.assert_allclose(image, np.tile(0.2 * np.linspace(1, 0.5, 9), (5, 1)))


class TestDetector:
    @pytest.mark.parametrize("detector", DETECTORS)
    def test_mean_and_variance_are_those_that_it_tells(self, detector):
        rng = np.random.default_rng(0)
        gray = np.stack([detector.exposed(LIGHT, rng) for _ in range(4)])
        expected, variance = detector.expected(LIGHT)[0, 0], detector.variance(LIGHT)[0, 0]
        rows = gray[:, :, 0].size if detector.lines else gray.size
        assert gray.mean() == pytest.approx(expected, abs=5 * np.sqrt(variance / rows))
        assert gray.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / rows) + 0.01)

    @pytest.mark.parametrize(("bits", "highest"), [(8, 255), (12, 4095), (16, 65535)])
    def test_gray_values_are_whole_and_clipped(self, bits, highest):
        ramp = np.tile(np.linspace(0, 2, 64), (64, 1))
        detector = Detector(photons=100, gain=highest / 100, bits=bits, read_noise=5)
        gray = detector.exposed(ramp, np.random.default_rng(0))
        np.testing.assert_array_equal(gray, np.rint(gray))
        assert gray.min() == 0
        assert gray.max() == highest

    def test_lines_are_shared_by_a_row_of_each_plane(self):
        detector = Detector(photons=1e-9, lines=3)
        gray = detector.exposed(np.zeros((3, 50, 40)), np.random.default_rng(0))
        assert np.ptp(gray, axis=-1).max() == 0
        assert gray[..., 0].std() == pytest.approx(3, rel=0.25)

    def test_hot_pixels_have_their_share(self):
        detector = Detector(photons=100, hot=0.01)
        gray = detector.exposed(LIGHT, np.random.default_rng(0))
        assert (gray > 50 + 8 * np.sqrt(50)).mean() == pytest.approx(0.01, rel=0.5)


def test_drawn_optics_are_those_of_microscopes():
    drawn = [random_optics(np.random.default_rng(seed)) for seed in range(500)]
    widths = np.array([optics.psf_width for optics in drawn])
    assert 0.7 <= widths.min() < 0.75
    assert 3.9 < widths.max() <= 4
    assert np.mean([optics.haze > 0 for optics in drawn]) == pytest.approx(1 / 3, abs=0.07)


DRAWN = [random_detector(np.random.default_rng(seed)) for seed in range(1000)]


class TestDrawnDetectors:
    def test_photons_are_from_a_half_to_a_thousand(self):
        photons = np.array([detector.photons for detector in DRAWN])
        assert 0.5 <= photons.min() < 0.55
        assert 900 < photons.max() <= 1000
        assert np.median(photons) == pytest.approx(np.sqrt(0.5 * 1000), rel=0.3)

    def test_half_have_read_noise_and_none_lines(self):
        noisy = [detector.read_noise > 0 for detector in DRAWN]
        assert np.mean(noisy) == pytest.approx(0.5, abs=0.06)
        assert not any(detector.lines for detector in DRAWN)
        assert random_detector(np.random.default_rng(0), lines=True).lines > 0

    def test_each_depth_is_drawn_and_bright_pixels_fit_into_it(self):
        for bits, highest in ((8, 255), (12, 4095), (16, 65535)):
            of = [detector for detector in DRAWN if detector.bits == bits]
            assert len(of) > 150
            assert max(d.expected(np.ones(1))[0] for d in of) <= highest
