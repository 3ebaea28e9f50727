"""Contrast of results and previews whose gray values are not those of their source."""

from __future__ import annotations

from types import SimpleNamespace

import dask.array
import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_hush.config import create_care_configuration, create_n2n_configuration
from napari_hush.widgets.data.helper_layers import is_view
from napari_hush.widgets.results import canvas
from napari_hush.widgets.results.contrast import (
    FollowedLimits,
    RobustLimits,
    limits_of,
    other_gray_values,
)


def model(noisy, target) -> SimpleNamespace:
    def scaling(means, stds):
        return SimpleNamespace(means=means, scales=stds)

    return SimpleNamespace(
        normalization=scaling(*noisy),
        target_normalization=None if target is None else scaling(*target),
    )


@pytest.mark.parametrize(
    ("noisy", "target", "spread"),
    [
        (((100,), (20,)), None, None),  # N2V: always the values of the image
        (((100,), (20,)), ((100.5,), (20,)), None),  # N2N, two frames of a movie
        (((100,), (20,)), ((101,), (6,)), None),  # CARE, targets are means of frames
        (((200,), (100,)), ((4000,), (2000,)), 2000),  # a longer exposure
        (((200,), (100,)), ((0.2,), (0.1,)), 0.1),  # targets scaled to 0 to 1
        (((0,), (1,)), ((0,), (40,)), 40),  # the same mean, another gain
        (((100, 50), (20, 9)), ((100, 500), (20, 90)), 90),  # one of two channels
        (((100,), (20,)), ((100, 100), (20, 20)), 20),  # other channels
    ],
)
def test_other_gray_values_are_known_from_the_training_data(noisy, target, spread):
    assert other_gray_values(model(noisy, target)) == spread


def test_the_limits_of_parts_are_those_of_the_whole():
    image = np.random.default_rng(0).gamma(2, 300, (512, 768)).astype(np.float32)
    image[5, 5] = 1e6  # a hot pixel does not count
    limits = RobustLimits(1)
    for top in range(0, 512, 64):
        for left in range(0, 768, 64):
            limits.add(image[top : top + 64, left : left + 64])
    low, high = np.percentile(image, [0.1, 99.9])
    assert limits.finish() == pytest.approx((low, high), rel=0.1, abs=0.02 * high)


def test_many_parts_take_little_memory_and_all_count_alike():
    limits = RobustLimits(1)
    for value in range(200):
        limits.add(np.full((70, 70), float(value)))
    assert limits.finish() == pytest.approx((0, 199), abs=1)
    assert limits._sample.nbytes < 2**20


def test_flat_and_odd_images_have_limits():
    assert limits_of(np.full((9, 9), 7.0), 2.0) == (6, 8)
    assert limits_of(np.full((9, 9), 7.0), 0.0) == (7, 8)
    assert limits_of(np.array([np.nan, 1, 2, np.inf]), 0.0) == pytest.approx(
        (1, 2), abs=0.1
    )
    assert limits_of(np.array([np.nan]), 1.0) is None


def test_limits_that_the_user_sets_stay(viewer, noisy):
    layer = viewer.add_image(noisy, contrast_limits=(0, 50))
    follow = FollowedLimits(layer)
    follow.set((1000, 2000))
    assert layer.contrast_limits == [1000, 2000]
    follow.set((1001, 2002))  # hardly another: no flicker
    assert layer.contrast_limits == [1000, 2000]
    layer.contrast_limits = (900, 1800)
    follow.set((1, 2))
    assert layer.contrast_limits == [900, 1800]


def _gray(viewer, name) -> np.ndarray:
    """The pixels of the canvas, 0 to 1, with one layer visible that fills the view."""
    for layer in viewer.layers:
        layer.visible = layer.name == name
    viewer.reset_view()
    viewer.scene.camera.zoom *= 2
    QApplication.processEvents()
    return viewer.screenshot(canvas_only=True, flash=False)[..., 0] / 255


def _is_seen(picture) -> bool:
    """Neither white nor black: few saturated pixels, and some gray in the middle."""
    return np.mean(picture > 0.98) < 0.1 and 0.1 < np.median(picture) < 0.9


def _train(viewer, hand, noisy, create, gain, offset, epochs=2) -> None:
    viewer.add_image(noisy * np.float32(gain) + np.float32(offset), name="high")
    viewer.add_image(noisy, name="low")
    hand.find("noisy_layers").setLayers([viewer.layers["low"]])
    config = create(
        "quick", "array", "YX", [16, 16], 2, num_epochs=epochs, num_steps=3,
        model_params={"num_channels_init": 8},
    )  # fmt: skip
    hand.dock.setValue(config)
    hand.find("target_layer").setCurrentText("high")
    hand.until_ready("train")


@pytest.mark.parametrize(
    ("create", "gain", "offset"),
    [
        (create_care_configuration, 5, 1752),
        (create_care_configuration, 1e-3, 0),
    ],
)
def test_a_result_with_other_gray_values_is_neither_white_nor_black(
    viewer, hand, noisy, create, gain, offset
):
    _train(viewer, hand, noisy, create, gain, offset)
    hand.train()
    hand.denoise()
    assert _is_seen(_gray(viewer, "low denoised"))
    result = viewer.layers["low denoised"]
    low, high = result.contrast_limits
    assert low < result.data.mean() < high
    assert high - low >= 0.99 * gain * noisy.std()
    assert np.mean((result.data < low) | (result.data > high)) < 0.02
    viewer.layers["low"].visible = True
    hand.compare("swipe")
    assert _is_seen(_gray(viewer, "swipe: low"))


def test_a_result_with_the_gray_values_of_its_source_keeps_its_limits(viewer, hand, noisy):
    _train(viewer, hand, noisy, create_n2n_configuration, 1, 0.1)
    viewer.layers["low"].contrast_limits = (3, 47)
    hand.train()
    hand.denoise()
    assert viewer.layers["low denoised"].contrast_limits == [3, 47]


def test_a_result_on_disk_gets_its_limits_as_well(viewer, hand, noisy, monkeypatch):
    _train(viewer, hand, noisy, create_care_configuration, 5, 1752)
    hand.train()
    viewer.layers["low"].data = dask.array.from_array(noisy, chunks=(32, 72))
    monkeypatch.setattr(canvas, "free_memory", lambda: 10_000)
    hand.denoise()
    low, high = viewer.layers["low denoised"].contrast_limits
    assert 1700 < low < 5 * noisy.mean() + 1752 < high < 2200


def test_the_preview_with_other_gray_values_is_seen(viewer, hand, noisy):
    _train(viewer, hand, noisy, create_care_configuration, 5, 1752, epochs=5000)
    hand.click("train")
    hand.until(lambda: any(is_view(layer) for layer in viewer.layers))
    (preview,) = (layer.name for layer in viewer.layers if is_view(layer))
    assert _is_seen(_gray(viewer, preview))
    hand.click("stop")
    hand.until_ready("train")
