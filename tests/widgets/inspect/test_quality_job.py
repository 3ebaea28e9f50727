"""What is said about a result."""

from __future__ import annotations

import numpy as np
import pytest

from napari_hush.quality import psnr, ssim
from napari_hush.widgets.inspect.quality_job import PLANES, QualityCheck, psnr_and_ssim
from napari_hush.widgets.jobs.tasks import StopRequest


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    truth = rng.normal(100, 20, (4, 3, 20, 24)).astype(np.float32)
    return truth + rng.normal(0, 5, truth.shape).astype(np.float32), truth


@pytest.mark.parametrize("axes", ["TZYX", "TCYX", "SZYX"])
def test_stacks_are_compared_plane_by_plane(pair, axes):
    made, truth = pair
    span = float(np.ptp(truth))
    decibel, similarity = psnr_and_ssim(made, truth, axes)
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


def test_numbers_against_the_truth_stand_beside_the_structure(pair):
    made, truth = pair[0][0, 0], pair[1][0, 0]
    noisy = made + np.random.default_rng(1).normal(0, 30, made.shape)
    said = QualityCheck(noisy, made, "YX", truth=truth, truth_name="clean")(
        lambda event: None, StopRequest()
    )
    decibel, similarity = psnr_and_ssim(made, truth, "YX")
    assert f"PSNR {decibel:.1f} dB · SSIM {similarity:.3f}" in said.words
    assert "“clean”" in said.explanation


def test_a_truth_that_shows_nothing_is_said(pair):
    made = pair[0][0, 0]
    said = QualityCheck(made, made, "YX", truth=np.zeros_like(made))(
        lambda event: None, StopRequest()
    )
    assert "PSNR" not in said.words
    assert "above 0" in said.explanation
