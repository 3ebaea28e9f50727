"""What is said about a result."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_hush.quality import psnr, si_psnr, ssim
from napari_hush.widgets.inspect.quality_job import PLANES, QualityCheck, psnr_and_ssim
from napari_hush.widgets.jobs.tasks import StopRequest
from napari_hush.widgets.results.pairing import result_mark


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    truth = rng.normal(100, 20, (4, 3, 20, 24)).astype(np.float32)
    return truth + rng.normal(0, 5, truth.shape).astype(np.float32), truth


@pytest.mark.parametrize("axes", ["TZYX", "TCYX", "SZYX"])
def test_stacks_are_compared_plane_by_plane(pair, axes):
    made, truth = pair
    span = float(np.ptp(truth))
    decibel, similarity, fitted = psnr_and_ssim(made, truth, axes)
    assert not fitted
    flat = [
        (a, b)
        for a, b in zip(made.reshape(-1, 20, 24), truth.reshape(-1, 20, 24), strict=True)
    ]
    assert decibel == pytest.approx(psnr(made, truth, data_range=span), rel=1e-6)
    expected = np.mean([ssim(a, b, data_range=span) for a, b in flat])
    assert similarity == pytest.approx(expected, rel=1e-6)


def test_of_many_planes_some_are_compared(pair):
    made, truth = (np.repeat(one[0, :1], 3 * PLANES, axis=0) for one in pair)
    truth[1] += 1000  # between the first two of those that are looked at
    assert psnr_and_ssim(made, truth, "TYX")[0] > 20


@pytest.mark.parametrize(("gain", "offset"), [(5, 1752), (0.01, 0), (1, 4000), (0.9, 3)])
@pytest.mark.parametrize("fit_gain", [False, True])
def test_gray_values_that_differ_are_fitted_first(pair, gain, offset, fit_gain):
    made, truth = pair[0][0, 0], pair[1][0, 0]
    best = si_psnr(made, truth)
    other = gain * made + offset
    decibel, similarity, fitted = psnr_and_ssim(other, truth, "YX", fit_gain=fit_gain)
    assert fitted == (fit_gain or gain != 0.9)
    assert decibel == pytest.approx(best, abs=0.01) or not fitted
    assert similarity > 0.9 or not fitted


def _judged(*arrays, **more):
    check = QualityCheck(*arrays, "YX", **more)
    return check(lambda event: None, StopRequest())


def test_numbers_with_ground_truth_stand_beside_the_verdict(pair):
    made, truth = pair[0][0, 0], pair[1][0, 0]
    noisy = made + np.random.default_rng(1).normal(0, 30, made.shape)
    said = _judged(noisy, made, truth=truth, truth_name="clean")
    decibel, similarity, _ = psnr_and_ssim(made, truth, "YX")
    assert said.numbers == f"PSNR {decibel:.1f} dB · SSIM {similarity:.3f}"
    assert "“clean”" in said.explanation
    assert said.verdict
    assert said.reason


def test_a_ground_truth_that_shows_nothing_is_said(pair):
    made = pair[0][0, 0]
    said = _judged(made, made, truth=np.zeros_like(made))
    assert said.numbers == ""
    assert "above 0" in said.explanation


def test_why_there_is_no_verdict_is_said():
    said = _judged(np.ones((40, 40)), np.ones((40, 40)), name="blank")
    assert said.verdict == ""
    assert "“blank” is constant" in said.reason


@pytest.fixture
def scene():
    """Bright disks as a microscope shows them, (200, 200), and the same with noise."""
    y, x = np.mgrid[:200, :200] % 40 - 20
    clean = ndimage.gaussian_filter(100.0 + 200 * (y**2 + x**2 < 150), 1.5)
    return clean + np.random.default_rng(0).normal(0, 20, clean.shape), clean


CONTROLS = {
    "✓ Only noise was removed": lambda noisy, clean: clean,
    "✗ Structure was lost": lambda noisy, clean: np.full_like(clean, clean.mean()),
    "◐ Look closer": lambda noisy, clean: noisy,
}


@pytest.mark.parametrize("verdict", CONTROLS)
def test_the_verdict_is_read_in_words_and_symbols(viewer, hand, scene, verdict):
    before = viewer.add_image(scene[0], name="cells")
    result = CONTROLS[verdict](*scene).astype(np.float32)
    mark = result_mark(str(before.unique_id))
    viewer.add_image(result, name="result", metadata=mark)
    hand.until(lambda: hand.find("verdict").text() == verdict, 20)
    reason = hand.find("verdict_reason")
    assert reason.isVisible() is (verdict[0] != "✓")  # whose words say all
    assert not reason.isVisible() or reason.text().endswith(".")
    assert hand.find("verdict").isVisible()
    assert not hand.find("compare_numbers").isVisible()


def test_each_result_has_its_own_verdict_at_once_after_the_first_time(viewer, hand, scene):
    noisy, clean = scene
    layers = []
    for name, result in (("one", clean), ("other", np.full_like(clean, clean.mean()))):
        layers.append(viewer.add_image(noisy, name=name))
        mark = result_mark(str(layers[-1].unique_id))
        viewer.add_image(result.astype(np.float32), metadata=mark)
    verdict = hand.find("verdict")
    good, lost, _ = CONTROLS
    for layer, said in zip(layers, (good, lost), strict=True):
        hand.find("noisy_layers").setLayers([layer])
        hand.until(lambda said=said: verdict.text() == said, 20)
    hand.find("noisy_layers").setLayers([layers[0]])
    assert verdict.text() == good


def test_ground_truth_that_is_chosen_later_brings_numbers(viewer, hand, scene):
    noisy, clean = scene
    viewer.add_image(clean, name="truth")
    before = viewer.add_image(noisy, name="cells")
    mark = result_mark(str(before.unique_id))
    viewer.add_image(clean.astype(np.float32), metadata=mark)
    hand.find("noisy_layers").setLayers([before])
    hand.until(lambda: hand.find("verdict").text().startswith("✓"), 20)
    hand.find("truth_layer").setCurrentText("truth")
    hand.until(lambda: "PSNR" in hand.find("compare_numbers").text(), 20)


def test_a_part_is_not_judged(viewer, hand, scene):
    before = viewer.add_image(scene[0], name="cells")
    mark = result_mark(str(before.unique_id), partial=True)
    viewer.add_image(scene[1], metadata=mark)
    assert hand.find("verdict").text() == "Not judged until all is denoised"
