"""The verdict on a result, from its residual and from controls on the same data."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
from scenes import AXES, SCENES
from scipy.ndimage import gaussian_filter

from napari_hush.errors import DataError
from napari_hush.io import Image
from napari_hush.quality import check_residual, local, spectra
from napari_hush.quality.correlation import NoiseCorrelation
from napari_hush.quality.local import strangest_place
from napari_hush.quality.spectra import (
    Spectra,
    _Bands,
    _colored,
    _folded,
    _taper,
    _white,
    correlated,
    spectra_of,
)
from napari_hush.quality.verdict import _verdict

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


@pytest.mark.parametrize(("shift", "verdict"), [(0.4, "good"), (0.6, "look closer")])
@pytest.mark.parametrize("sign", [1, -1])
def test_brightness_may_change_by_half_of_the_noise(cells, noise_of, shift, verdict, sign):
    report = check_residual(cells + 0.1 * noise_of(), cells + sign * shift * 0.1)
    assert report.verdict == verdict


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

    def test_of_equal_verdicts_the_larger_error_counts(self, cells, noise_of):
        truth = np.stack([cells, cells])
        noisy = truth + 0.1 * np.stack([noise_of(), noise_of(seed=1)])
        for worse in (0, 1):
            result = blurred(noisy, 5)
            result[worse] = blurred(noisy, 8)[worse]
            report = check_residual(noisy, result, "CYX")
            assert report.verdicts == ("structure lost", "structure lost")
            assert report.channel == worse
            assert report.reason.startswith(f"Channel {worse}: ")

    def test_an_inverted_one_is_named(self, cells, noise_of):
        truth = np.stack([cells, cells])
        noisy = truth + 0.1 * np.stack([noise_of(), noise_of(seed=1)])
        for inverted in (0, 1):
            result = truth.copy()
            result[inverted] *= -1
            report = check_residual(noisy, result, "CYX", fit_gain=True)
            assert report.reason.startswith(f"Channel {inverted}: The contrast is inverted")

    def test_integers(self, cells):
        truth = np.stack([cells, cells[::-1]]) * 200 + 20
        noisy = np.random.default_rng(0).poisson(truth).astype(np.uint16)
        report = check_residual(noisy, truth.astype(np.float32), "CYX")
        assert report.verdict == "good"
        assert report.noise_share == pytest.approx(1, abs=0.2)


class TestSmallThings:
    """A spot that is added or erased hardly changes the spectrum of a whole image."""

    @pytest.mark.parametrize("most", [2**24, 2**16], ids=["whole", "in regions"])
    def test_what_is_invented_is_found_where_it_is(self, cells, noise_of, most):
        noisy = cells + 0.1 * noise_of()
        y, x = np.ogrid[: cells.shape[0], : cells.shape[1]]
        spot = np.exp(-((y - 100) ** 2 + (x - 60) ** 2) / 2 / 3**2)
        for sign in (1, -1):
            report = check_residual(noisy, cells + sign * spot, most_pixels=most)
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

    def test_planes_of_deep_stacks_are_counted_from_the_first(self, noise_of):
        noise = 0.1 * noise_of(shape=(20, 64, 64))
        clean = np.tile(SCENES["texture"][:64, :64], (20, 1, 1))
        result = clean.copy()
        result[13, 12:18, 32:38] += 0.5
        reason = check_residual(clean + noise, result, "ZYX").reason
        place = re.search(r"At X (\d+), Y (\d+), Z 13 \(pixels", reason)
        assert np.hypot(int(place[1]) - 35, int(place[2]) - 15) < 4

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


class TestLimits:
    """Just inside and outside of the limits of the verdict."""

    def said(self, *, best=1.0, blur5=1e6, flat=1e6, scaled=None, gain=1.0, **measured):
        usual = {"error": 1.0, "noise_kept": 0.0, "uncertainty": 0.0, "lost_most": False}
        usual |= {"lost": np.zeros(2), "noise_left": 0.123}

        def spectra(**known):
            return SimpleNamespace(**(usual | known))

        blurs = {5.0: spectra(error=blur5), np.inf: spectra(error=flat)}
        blurs.setdefault(best, spectra(error=1.0, noise_kept=0.25))
        result = spectra(**measured)
        result.with_gain = lambda: (gain, spectra(error=1e6) if scaled is None else scaled)
        verdict, reason = _verdict(result, blurs, best)
        return verdict, reason

    @pytest.mark.parametrize(("error", "good"), [(1.35, True), (1.36, False)])
    def test_a_result_is_good_up_to_1_35_times_the_best_blur(self, error, good):
        assert (self.said(error=error)[0] == "good") == good
        assert (self.said(error=error + 0.2, uncertainty=0.2)[0] == "good") == good
        assert self.said(error=error, lost_most=True)[0] == "structure lost"

    @pytest.mark.parametrize(("error", "good"), [(1.25, False), (1.26, True)])
    def test_a_control_is_as_good_up_to_1_25_times(self, error, good):
        for control, word in (("flat", "flat image"), ("blur5", "blur of 5 pixels")):
            verdict, reason = self.said(error=1.2, **{control: error})
            assert verdict == ("good" if good else "too noisy to judge")
            assert (word in reason) != good
            verdict, _ = self.said(error=0.5, **{control: error / 2})
            assert verdict == ("good" if good else "too noisy to judge")

    @pytest.mark.parametrize(
        ("kept", "error", "left"),
        [
            (0.45, 1.1, False),
            (0.46, 1.1, True),
            (0.46, 1, False),
            (0.8, 1, False),
            (0.81, 1, True),
            (0.81, 0.5, True),
        ],
    )
    def test_noise_is_left(self, kept, error, left):
        """A fifth more than the best blur keeps, which is better; or four fifths."""
        verdict, reason = self.said(noise_kept=kept, error=error)
        assert verdict == ("look closer" if left else "good")
        assert ("Noise is left: 12% of it" in reason) == left

    @pytest.mark.parametrize(
        ("gain", "said"), [(1.04, True), (1.039, False), (1 / 1.04, True), (0.963, False)]
    )
    def test_the_contrast_is_another_from_4_percent(self, gain, said):
        fits = SimpleNamespace(error=1.35, noise_kept=0.0, uncertainty=0, lost_most=False)
        verdict, reason = self.said(error=3, gain=gain, scaled=fits)
        assert verdict == "look closer"
        assert (f"contrast of the result is {1 / gain:.2g} times" in reason) == said
        keeps = SimpleNamespace(**(vars(fits) | {"noise_kept": 0.9}))
        assert "contrast" not in self.said(error=3, gain=gain, scaled=keeps)[1]
        bad = SimpleNamespace(**(vars(fits) | {"error": 1.36}))
        assert "contrast" not in self.said(error=3, gain=gain, scaled=bad)[1]

    @pytest.mark.parametrize(
        ("error", "lost", "verdict", "word"),
        [
            (1.6, 0.9, "look closer", "A little structure may"),
            (1.61, 0.9, "structure lost", "about 1.6 times that of a blur of 1 pixel;"),
            (2.0, 0.5, "look closer", "Noise is left"),
            (2.0, 0.501, "structure lost", "about 2.0 times"),
        ],
    )
    def test_structure_is_lost_above_1_6_times(self, error, lost, verdict, word):
        found = self.said(error=error, lost=np.array([lost * error, 0]))
        assert (found[0], word in found[1]) == (verdict, True)

    def test_the_best_blur_is_named(self):
        lost = {"error": 9.0, "lost": np.array([4.0, 4.0])}
        assert "that of a blur of 2.5 pixels;" in self.said(best=2.5, **lost)[1]
        assert (
            "9.0 times that of a flat image;" in self.said(best=np.inf, flat=1, **lost)[1]
        )

    def test_without_structure_nothing_but_noise_is_left(self):
        verdict, reason = self.said(best=np.inf, flat=0.0, error=0.1)
        assert (verdict, "Noise is left" in reason) == ("look closer", True)


class TestSpectra:
    """Of one band with 5 times the noise."""

    def of(self, residual, cross, *, modes=200.0, unknown=0.0, noisy=5.0):
        values = (modes, noisy, 1.0, residual, cross)
        return Spectra(*(np.array([value]) for value in values), (), unknown)

    @pytest.mark.parametrize("passed", [0, 0.3, 1])
    def test_what_passes_a_share_of_signal_and_noise(self, passed):
        found = self.of(5 * (1 - passed) ** 2, 5 * (1 - passed))
        assert found.kept == pytest.approx(passed)
        assert found.error == pytest.approx(4 * (1 - passed) ** 2 + passed**2)
        assert found.noise_kept == found.noise_left == pytest.approx(passed)

    @pytest.mark.parametrize(
        ("incoherent", "least"), [(0.0, 0.6), (0.05, 0.4), (0.2, 0.2), (0.45, 0), (1, 0)]
    )
    def test_noise_kept_is_between_its_bounds(self, incoherent, least):
        """0.6, as much as of the signal, and less by what is incoherent for the signal."""
        found = self.of(5 * 0.4**2 + incoherent, 5 * 0.4)
        assert found.kept == pytest.approx((0.6 + least) / 2)

    def test_no_more_than_all_noise_is_kept(self):
        assert self.of(0.2, -1.0).kept == pytest.approx(1)
        assert self.of(5 * 1.2**2, 5 * 1.2).kept == pytest.approx(-0.2)

    @pytest.mark.parametrize(
        ("residual", "structure"), [(0.5, 0), (1, 0), (2, 0.25), (5, 1), (6, 1)]
    )
    def test_structure_is_the_share_of_the_signal_in_the_residual(
        self, residual, structure
    ):
        assert self.of(residual, residual).structure == structure
        assert self.of(residual, residual, noisy=1.0).structure == 0

    @pytest.mark.parametrize(
        ("residual", "modes", "unknown", "most"),
        [
            (3.0, 200, 0, False),
            (3.01, 200, 0, True),
            (3.01, 2 / 0.66**2, 0, True),
            (3.01, 2 / 0.67**2, 0, False),
            (3.01, 200, 1.69, True),
            (3.01, 200, 1.71, False),
        ],
    )
    def test_most_is_more_than_half_of_some_signal(self, residual, modes, unknown, most):
        """Some is twice three standard errors, and what may be noise."""
        found = self.of(residual, residual, modes=modes, unknown=unknown)
        assert found.uncertainty == pytest.approx(math.sqrt(2 / modes))
        assert found.lost_most == most

    @pytest.mark.parametrize("factor", [0.5, 2])
    def test_a_gain_fits_the_result_to_the_noisy_image(self, factor):
        gain, fit = self.of(5 * (1 - factor) ** 2, 5 * (1 - factor)).with_gain()
        assert gain == pytest.approx(1 / factor)
        assert (fit.residual, fit.cross) == (pytest.approx(0), pytest.approx(0))
        gain, fit = self.of(5.0, 5.0).with_gain()  # a flat result
        assert (gain, fit.residual, fit.cross) == (0, 5, 5)


class TestBands:
    """How the power of noise is measured in bands of frequencies."""

    def test_bands_up_to_three_standard_errors_above_the_noise_have_no_signal(self):
        rng = np.random.default_rng(2)
        image = rng.normal(size=(128, 128)) + 2 * gaussian_filter(
            rng.normal(size=(128, 128)), 1.2, mode="wrap"
        )
        found = spectra_of(image[None], image[None], None)
        assert found.modes.sum() == 128**2 - 1  # all but the brightness
        some = found.modes > 0
        modes, noisy, noise = found.modes[some], found.noisy[some], found.noise[some]
        density = np.min(noise[noisy > noise] / modes[noisy > noise])
        np.testing.assert_allclose(noise[noisy > noise], density * modes[noisy > noise])
        errors = (noisy / (density * modes) - 1.03) / np.sqrt(2 / modes)
        np.testing.assert_array_equal(noisy > noise, errors >= 3)
        assert ((errors > 2.4) & (errors < 3)).any()
        assert ((errors > 3) & (errors < 4)).any()
        assert found.noise.sum() == pytest.approx(1)
        assert found.noisy[~some] == 0
        np.testing.assert_allclose(found.residual, found.noisy)
        np.testing.assert_allclose(found.cross, found.noisy)

    def test_planes_of_large_stacks_are_spread_out(self, monkeypatch):
        monkeypatch.setattr(spectra, "_MOST_PIXELS", 2 * 32 * 48)
        planes = np.random.default_rng(0).normal(size=(3, 32, 48))
        found = spectra_of(planes, planes, None)
        two = spectra_of(planes[[0, 2]], planes[[0, 2]], None)
        assert found.modes.sum() == 2 * (32 * 48 - 1)
        np.testing.assert_array_equal(found.noisy, two.noisy)
        monkeypatch.setattr(spectra, "_MOST_PIXELS", 1)  # the first one in any case
        assert spectra_of(planes, planes, None).modes.sum() == 32 * 48 - 1
        monkeypatch.undo()
        one = spectra_of(planes[:1], planes[:1], None)
        again = spectra_of(planes[[0, 0]], planes[[0, 0]], None)
        np.testing.assert_allclose(again.modes, 2 * one.modes)
        np.testing.assert_allclose(again.residual / again.noise.sum(), again.noisy)

    def test_planes_fade_out_over_an_eighth_at_both_ends(self):
        """By a squared sine, which with its mirror image makes 1."""
        taper = _taper(32)
        np.testing.assert_allclose(taper, taper[::-1])
        np.testing.assert_allclose(taper[4:-4], 1)
        np.testing.assert_allclose(taper[:4] + taper[:4][::-1], 1)
        assert taper[0] == pytest.approx(math.sin(math.pi / 16) ** 2)

    def test_white_noise_is_measured_at_high_frequencies(self):
        """The mean of the weights, sines to the fourth along both axes, is 9 / 64."""
        assert _white(np.full((16, 20), 3.0)) == pytest.approx(3)
        one = np.zeros((16, 20))
        one[8, 10] = 1
        assert _white(one) == pytest.approx(1 / (16 * 20 * 9 / 64))
        one[0, 10] = one[8, 0] = 1e9
        assert _white(one) == pytest.approx(1 / 45)

    def test_correlated_noise_is_measured_where_a_fifth_of_it_is(self):
        shape = np.ones(10)
        power = np.array([9.0, 3, 1, 2, 5, 6, 7, 8, 4, 10])
        np.testing.assert_allclose(_colored(power, shape), 2 * shape)
        shape[2] = 3  # a quarter of the noise
        np.testing.assert_allclose(_colored(power, shape), shape / 3)

    def test_a_blur_passes_a_gaussian(self):
        bands = _Bands(40)
        np.testing.assert_array_equal(bands.members.sum(0), 1)
        np.testing.assert_allclose(bands.passed(0), 1)
        np.testing.assert_array_equal(
            bands.passed(np.inf), np.eye(1, len(bands.members))[0]
        )
        at = np.abs(np.fft.fftfreq(40))
        factor = np.exp(-2 * (math.pi * 1.5 * at) ** 2)
        for member, passed in zip(bands.members > 0, bands.passed(1.5), strict=True):
            assert passed == pytest.approx(factor[member].mean())
            assert at[member].max() < 1.5 * max(at[member].min(), 1 / 256)

    @pytest.mark.parametrize(
        ("lag", "value", "counted"),
        [
            (1, 0.3, 0.3),
            (2, 0.3, 0.3),
            (3, 0.3, 0.15),
            (1, 0.04, 0.04),
            (1, -0.04, -0.04),
            (1, 0.039, 0),
            (2, -0.039, 0),
        ],
    )
    def test_power_of_correlated_noise(self, lag, value, counted):
        """Correlations below 0.04 are chance; the farther half of the lags fades out."""
        known = np.zeros((7, 7))
        known[3, 3] = 1
        known[3, [3 - lag, 3 + lag]] = value
        noise = NoiseCorrelation(known, np.ones(1), 0.0, 0.01)
        bands = _Bands(20), _Bands(24)
        found = _folded(noise, bands).reshape(len(bands[0].members), -1)
        wave = 1 + 2 * counted * np.cos(2 * math.pi * lag * np.fft.fftfreq(24))
        expected = np.outer(bands[0].members.sum(1), bands[1].members @ wave)
        np.testing.assert_allclose(found, expected)
        turned = NoiseCorrelation(known.T, np.ones(1), 0.0, 0.01)
        other = _folded(turned, bands[::-1]).reshape(-1, len(bands[0].members))
        np.testing.assert_allclose(other, expected.T)

    def test_a_thousandth_of_the_noise_is_in_every_band(self):
        known = np.full((7, 7), 1.0)
        found = _folded(
            NoiseCorrelation(known, np.ones(1), 0, 0.01), (_Bands(20), _Bands(24))
        )
        assert found.min() > 0
        assert found.min() < 2e-3 * found.mean()

    @pytest.mark.parametrize(("share", "is_correlated"), [(0.15, False), (0.151, True)])
    @pytest.mark.parametrize("sign", [1, -1])
    def test_noise_is_correlated_above_15_percent(self, share, is_correlated, sign):
        for place in [(3, 4), (3, 5), (4, 3), (5, 3)]:
            known = np.zeros((7, 7))
            known[3, 3] = 1
            known[3, 6] = known[6, 3] = known[4, 4] = 0.9  # too far
            known[place] = sign * share
            found = NoiseCorrelation(known, np.ones(1), 0.0, 0.01)
            assert correlated(found) == is_correlated


class TestStrangestPlace:
    """In units of the smoothed noise: of a Gaussian less one four times as wide."""

    NOISE = math.sqrt((1 + 1 / 16 - 4 / 17) / (4 * math.pi))

    def test_one_pixel_counts_up_to_four_deviations(self):
        residual = np.zeros((1, 96, 96))
        residual[0, 20, 70] = 100
        distance, place = strangest_place(residual, residual)
        peak = 4 * (1 - 1 / 16) / (2 * math.pi * 1.5)
        assert distance == pytest.approx(peak / self.NOISE, rel=5e-3)
        assert place == (0, 20, 70)

    def test_a_square_is_seen_at_the_scale_that_fits(self):
        residual = np.zeros((1, 128, 128))
        residual[0, 55:66, 75:86] = -1
        distance, place = strangest_place(residual, residual)

        def passed(sigma):
            return math.erf(5.5 / sigma / math.sqrt(2)) ** 2

        best = max(sigma * (passed(sigma) - passed(4 * sigma)) for sigma in (1.5, 3))
        assert distance == pytest.approx(best / self.NOISE, rel=5e-3)
        assert place == (0, 60, 80)

    def test_correlated_noise_is_measured(self, noise_of):
        residual = gaussian_filter(noise_of(), 1.5, mode="wrap")[None]
        distance, (_, y, x) = strangest_place(residual, residual)
        found = []
        for sigma in (1.5, 3):
            smooth = gaussian_filter(residual[0], sigma, mode="wrap")
            smooth -= gaussian_filter(residual[0], 4 * sigma, mode="wrap")
            found.append(np.abs(smooth) / smooth.std())
        assert distance == pytest.approx(max(one.max() for one in found), rel=0.05)
        assert max(one[y, x] for one in found) == pytest.approx(distance, rel=0.05)

    def test_planes_are_spread_over_a_large_stack(self, monkeypatch):
        monkeypatch.setattr(local, "_MOST_PLANES", 3 * 64 * 48)
        for plane, looked_at in ((0, True), (1, False), (2, True), (3, False), (4, True)):
            residual = 0.1 * np.random.default_rng(0).normal(size=(5, 64, 48))
            residual[plane, 28:33, 38:43] = 9
            distance, place = strangest_place(residual, residual)
            assert (distance > 10) == (place == (plane, 30, 40)) == looked_at

    def test_one_plane_is_looked_at_in_any_case(self, monkeypatch):
        monkeypatch.setattr(local, "_MOST_PLANES", 1)
        residual = np.random.default_rng(0).normal(size=(2, 64, 48))
        residual[1, 28:33, 38:43] = 9
        assert strangest_place(residual, residual)[1][0] == 0

    def test_a_place_is_found_where_most_planes_are_zero(self):
        residual = np.zeros((5, 64, 48))
        residual[3] = 0.1 * np.random.default_rng(0).normal(size=(64, 48))
        residual[3, 28:33, 38:43] = 9
        distance, place = strangest_place(residual, residual)
        assert distance > 10
        assert place == (3, 30, 40)

    def test_there_is_none_where_nothing_varies(self):
        assert strangest_place(np.zeros((2, 32, 32)), np.zeros((2, 32, 32))) is None
