"""Looking at the data before training."""

from __future__ import annotations

import numpy as np
import pytest

from napari_hush.config import create_care_configuration, create_n2v_configuration
from napari_hush.config.methods import METHODS, method_of
from napari_hush.widgets.inspect.check_task import DataCheck
from napari_hush.widgets.jobs.tasks import StopRequest


@pytest.fixture
def striped():
    """Smooth structure with noise that is the same in three neighbors along X."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    noise = rng.normal(0, 30, (256, 258))
    noise = noise[:, :-2] + noise[:, 1:-1] + noise[:, 2:]
    return (1000 + 100 * np.sin(x / 30) * np.cos(y / 25) + noise).astype(np.float32)


def check(pixels, configuration):
    return DataCheck(pixels, configuration, "cells")(lambda event: None, StopRequest())


@pytest.mark.parametrize(
    ("axes", "patch", "shape"),
    [("YX", [16, 24], (16, 24)), ("ZYX", [8, 16, 16], (16, 16))],
)
def test_patches_are_cut_and_hidden_as_in_training(axes, patch, shape):
    pixels = np.random.default_rng(0).normal(100, 9, (24, 64, 64)[-len(axes) :])
    config = create_n2v_configuration(
        "a", "array", axes, patch, 2, masked_pixel_percentage=5
    )
    patches = check(pixels, config).patches
    assert all(one.pixels.shape == one.masked.shape == shape for one in patches)
    share = np.mean([one.masked.mean() for one in patches])
    assert 0.01 < share < 0.1


def test_where_nothing_is_hidden_no_pixel_is_marked():
    pixels = np.random.default_rng(0).normal(100, 9, (64, 64))
    config = create_care_configuration("a", "array", "YX", [16, 16], 2)
    assert not any(one.masked.any() for one in check(pixels, config).patches)


def test_a_check_suggests_a_method_and_one_click_takes_it(viewer, hand, striped):
    viewer.add_image(striped, name="striped")
    assert hand.dock.findChild(object, "check_data") is None  # made when it is needed
    hand.click("fold_check")
    hand.until(hand.find("accept_suggestion").isVisible)
    report = hand.find("check_panel").result.report
    assert hand.find("check_reason").text() == report.reason
    assert report.suggestion == "structn2v"
    assert "structN2V fits" in hand.find("fold_check").text()
    assert not hand.find("check_map").pixmap().isNull()
    assert "background" in hand.find("check_shares").text()
    hand.click("accept_suggestion")
    assert method_of(hand.dock.value().model_dump()) is METHODS["structn2v"]
    masks = hand.dock.value().algorithm_config.n2v_config
    assert (masks.struct_mask_axis, masks.struct_mask_span) == (report.axis, report.span)

    viewer.add_image(np.full((64, 64), 7.0), name="constant")
    hand.find("noisy_layer").setCurrentIndex(1)
    assert "check again" in hand.find("check_reason").text()
    hand.click("check_data")
    hand.until(hand.find("check_data").isEnabled)
    assert "constant" in hand.find("check_reason").text()
