import numpy as np
import pytest

from napari_hush.errors import DataError
from napari_hush.quality import match_gain, multiscale_ssim, psnr, si_psnr, ssim

SHAPES = [(24, 30), (12, 16, 14), (11, 12, 11, 13)]


@pytest.fixture(params=SHAPES, ids=str)
def truth(request):
    grids = np.meshgrid(*(np.arange(n) for n in request.param), indexing="ij")
    return 100 + 50 * np.sin(sum(grids) / 4)


def test_psnr_of_a_known_error(truth):
    assert psnr(truth + 5, truth, data_range=255) == pytest.approx(20 * np.log10(51))


def test_psnr_depends_on_the_named_range(truth):
    one, ten = (psnr(truth + 5, truth, data_range=r) for r in (1, 10))
    assert ten - one == pytest.approx(20)


def test_equal_images_are_perfect(truth):
    assert psnr(truth, truth, data_range=255) == float("inf")
    assert si_psnr(truth, truth) > 200
    assert ssim(truth, truth, data_range=255) == pytest.approx(1)


def test_integers_do_not_wrap_around():
    low, high = np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)
    assert psnr(low, high, data_range=255) == pytest.approx(0)


@pytest.mark.parametrize(("gain", "offset"), [(3.0, 0.0), (0.01, 500.0), (-2.0, 7.0)])
def test_si_psnr_ignores_gain_and_offset(truth, gain, offset):
    noisy = truth + np.random.default_rng(0).normal(0, 5, truth.shape)
    assert si_psnr(gain * noisy + offset, truth) == pytest.approx(si_psnr(noisy, truth))


def test_si_psnr_is_the_best_of_all_affine_maps(truth):
    noisy = 2 * truth + np.random.default_rng(0).normal(0, 9, truth.shape)
    design = np.stack([noisy.ravel(), np.ones(noisy.size)], 1)
    best = design @ np.linalg.lstsq(design, truth.ravel(), rcond=None)[0]
    expected = psnr(best, truth.ravel(), data_range=np.ptp(truth))
    assert si_psnr(noisy, truth) == pytest.approx(expected)


def test_si_psnr_of_a_constant_image_counts_the_truth_as_error(truth):
    expected = 10 * np.log10(np.ptp(truth) ** 2 / truth.var())
    assert si_psnr(np.zeros_like(truth), truth) == pytest.approx(expected)


def test_ssim_is_that_of_scikit_image(truth):
    metrics = pytest.importorskip("skimage.metrics")
    noisy = truth + np.random.default_rng(0).normal(0, 20, truth.shape)
    expected = metrics.structural_similarity(
        noisy,
        truth,
        data_range=120,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(noisy, truth, data_range=120) == pytest.approx(expected, rel=1e-9)


def test_ssim_sees_structure_where_psnr_sees_only_energy(truth):
    shifted = truth + 10
    noisy = truth + np.random.default_rng(0).choice([-10.0, 10.0], truth.shape)
    assert psnr(shifted, truth, data_range=255) == pytest.approx(
        psnr(noisy, truth, data_range=255)
    )
    assert ssim(shifted, truth, data_range=255) > ssim(noisy, truth, data_range=255) + 0.02


@pytest.mark.parametrize("measure", ["psnr", "si_psnr", "ssim"])
class TestRefused:
    def call(self, measure, image, truth):
        if measure == "si_psnr":
            return si_psnr(image, truth)
        return {"psnr": psnr, "ssim": ssim}[measure](image, truth, data_range=1)

    def test_unequal_shapes(self, measure):
        with pytest.raises(
            DataError, match=r"shape \(16, 16\) and the ground truth \(16, 17\)"
        ):
            self.call(measure, np.eye(16), np.eye(16, 17))

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_pixels_that_are_not_finite(self, measure, bad):
        broken = np.eye(16)
        broken[3, 3] = bad
        with pytest.raises(DataError, match="The image has NaN or infinite"):
            self.call(measure, broken, np.eye(16))
        with pytest.raises(DataError, match="The ground truth has NaN or infinite"):
            self.call(measure, np.eye(16), broken)

    def test_what_is_no_image(self, measure):
        with pytest.raises(DataError, match="no pixels"):
            self.call(measure, np.zeros((0, 3)), np.zeros((0, 3)))
        with pytest.raises(DataError, match="complex128"):
            self.call(measure, np.eye(16) * 1j, np.eye(16))


def test_constant_ground_truth_has_no_range():
    with pytest.raises(DataError, match="ground truth is 7 everywhere"):
        si_psnr(np.eye(4), np.full((4, 4), 7))


@pytest.mark.parametrize("data_range", [0, -1, float("nan"), float("inf")])
def test_range_must_be_positive(data_range):
    for measure in (psnr, ssim):
        with pytest.raises(DataError, match="data_range is"):
            measure(np.eye(16), np.eye(16), data_range=data_range)


def test_ssim_needs_images_as_large_as_its_window():
    with pytest.raises(DataError, match="window of 11 pixels"):
        ssim(np.ones((5, 64, 64)), np.ones((5, 64, 64)), data_range=1)


def test_the_old_name_of_the_ground_truth_still_works(truth):
    with pytest.warns(DeprecationWarning, match="ground_truth"):
        assert psnr(truth, truth=truth, data_range=255) == float("inf")


def test_masked_pixels_do_not_count(truth):
    rng = np.random.default_rng(0)
    image = truth + rng.normal(0, 5, truth.shape)
    left_out = rng.random(truth.shape) < 0.3
    broken = np.ma.array(np.where(left_out, 1e9, image), mask=left_out)
    kept, wanted = image[~left_out], truth[~left_out]
    masked_truth = np.ma.array(np.where(left_out, np.nan, truth), mask=left_out)
    for one, other in ((broken, truth), (image, masked_truth), (broken, masked_truth)):
        assert psnr(one, other, data_range=100) == psnr(kept, wanted, data_range=100)
        assert si_psnr(one, other) == si_psnr(kept, wanted)
        assert match_gain(one, other) == match_gain(kept, wanted)
        with pytest.raises(DataError, match="SSIM needs all pixels"):
            ssim(one, other, data_range=100)
    with pytest.raises(DataError, match="All pixels are masked"):
        psnr(np.ma.masked_all(truth.shape), truth, data_range=100)
    assert ssim(np.ma.array(truth), truth, data_range=100) == pytest.approx(1)


@pytest.mark.parametrize("factor", [1e-200, 1e-12, 1e-6, 1e6, 1e12, 1e120])
@pytest.mark.parametrize("offset", [0, 1e3, 1e6])
def test_metrics_do_not_depend_on_the_unit(factor, offset):
    y, x = np.mgrid[:24, :30]
    truth = 100 + 50 * np.sin((x + y) / 4)
    image = truth + np.random.default_rng(0).normal(0, 5, truth.shape)
    far, ideal = ((a + offset) * factor for a in (image, truth))
    for known, found in (
        (psnr(image, truth, data_range=100), psnr(far, ideal, data_range=100 * factor)),
        (si_psnr(image, truth), si_psnr(far, ideal)),
        (
            ssim(image + offset, truth + offset, data_range=100),
            ssim(far, ideal, data_range=100 * factor),
        ),
    ):
        assert found == pytest.approx(known, rel=1e-6)
    gain, shift = match_gain(far, image)
    assert gain * factor == pytest.approx(match_gain(image, image)[0], rel=1e-6)
    np.testing.assert_allclose(gain * far + shift, image, rtol=1e-6)


def test_multiscale_ssim_is_that_of_torchmetrics():
    """Values of torchmetrics 1.8, MultiScaleStructuralSimilarityIndexMeasure."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:180, :200]
    clean = 100 + 50 * np.sin(x / 9) * np.cos(y / 13)
    noisy = clean + rng.normal(0, 20, clean.shape)
    for data_range, expected in ((100, 0.790814), (255, 0.833222)):
        found = multiscale_ssim(noisy, clean, data_range=data_range)
        assert found == pytest.approx(expected, abs=5e-5)
    assert multiscale_ssim(clean, clean, data_range=100) == pytest.approx(1)
    assert multiscale_ssim(200 - clean, clean, data_range=100) == 0
    with pytest.raises(DataError, match="176 pixels"):
        multiscale_ssim(clean[:175], clean[:175], data_range=100)


def test_multiscale_ssim_counts_brightness_once_at_the_last_scale():
    dark, bright = np.full((176, 177), 0.5), np.full((176, 177), 0.25)
    similarity = (2 * 0.5 * 0.25 + 0.01**2) / (0.5**2 + 0.25**2 + 0.01**2)
    found = multiscale_ssim(dark, bright, data_range=1)
    assert found == pytest.approx(similarity**0.1333)
