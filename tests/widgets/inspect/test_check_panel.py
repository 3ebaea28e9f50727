"""The noise of the chosen layer: checked by itself, in one line, details on demand."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QLabel

from napari_hush.config import create_care_configuration, create_n2v_configuration
from napari_hush.config.methods import method_of
from napari_hush.quality import check_data
from napari_hush.widgets.inspect.check_task import (
    DataCheck,
    noise_line,
    why_training_cannot_work,
)
from napari_hush.widgets.jobs.tasks import StopRequest

SMOOTH = 1000 + 100 * np.sin(np.mgrid[:256, :256][1] / 30)


def noisy_image(*kernel, seed=0):
    """Smooth structure with white noise (SD 30), or noise averaged over `kernel` (Y, X)."""
    noise = np.random.default_rng(seed).normal(0, 30, SMOOTH.shape)
    if kernel:
        parts = [np.roll(noise, (y, x), (0, 1)) for y, x in np.ndindex(*kernel)]
        noise = sum(parts) / np.sqrt(len(parts))
    return (SMOOTH + noise).astype(np.float32)


IMAGES = {
    "white": (noisy_image(), "✓ Independent noise: N2V fits"),
    "along X": (
        noisy_image(1, 3),
        "▲ Noise is correlated along X: structN2V fits",
    ),
    "along Y": (
        noisy_image(3, 1),
        "▲ Noise is correlated along Y: structN2V fits",
    ),
    "blurred": (
        noisy_image(5, 5),
        "✗ Noise is correlated in all directions: N2N fits, N2V does not",
    ),
}


def check(pixels, configuration):
    axes = configuration.data_config.axes
    task = DataCheck(pixels, axes, "cells", configuration)
    return task(lambda event: None, StopRequest())


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


@pytest.mark.parametrize("name", IMAGES)
def test_the_noise_in_one_line(name):
    pixels, line = IMAGES[name]
    assert noise_line(check_data(pixels, "YX"))[0] == line


def n2v(**changes):
    return create_n2v_configuration("a", "array", "YX", [16, 16], 2, **changes)


@pytest.mark.parametrize(
    ("name", "configuration", "said"),
    [
        ("white", n2v(), ""),
        ("along X", n2v(), "along X, so N2V with these settings would keep 9"),
        ("along X", n2v(use_n2v2=True), "so N2V2 with these settings"),
        ("along X", n2v(struct_n2v_axis="vertical"), "so structN2V with these settings"),
        ("along X", n2v(struct_n2v_axis="horizontal"), ""),
        ("along X", n2v(struct_n2v_axis="horizontal", struct_n2v_span=3), "would keep"),
        ("along X", create_care_configuration("a", "array", "YX", [16, 16], 2), ""),
        ("along Y", n2v(), "along Y, so N2V"),
        ("blurred", n2v(), "in all directions, so N2V would keep it"),
        ("blurred", n2v(struct_n2v_axis="horizontal"), "so structN2V would keep it"),
    ],
)
def test_training_that_would_keep_the_noise_is_said_before(name, configuration, said):
    report = check_data(IMAGES[name][0], "YX")
    sentence = why_training_cannot_work(report, configuration)
    assert said in sentence
    assert bool(said) == bool(sentence)
    assert why_training_cannot_work(None, configuration) == ""


# ---- In the window


def line_of(hand):
    return hand.find("noise").text()


def test_a_chosen_layer_is_checked_without_a_click(viewer, hand):
    for name, (pixels, _) in IMAGES.items():
        viewer.add_image(pixels, name=name)
    for index, (_, line) in enumerate(IMAGES.values()):
        hand.find("noisy_layer").setCurrentIndex(index)
        hand.until(lambda line=line: line_of(hand) == line, 10)
    panel = hand.find("check_panel")
    assert panel.report.suggestion == "none"
    reports = []
    panel.checked.connect(reports.append)
    hand.find("noisy_layer").setCurrentIndex(0)  # known, so at once
    assert line_of(hand) == IMAGES["white"][1]
    assert [report.suggestion for report in reports] == ["n2v"]


def test_new_pixels_and_axes_are_checked_again(viewer, hand):
    layer = viewer.add_image(IMAGES["white"][0])
    hand.until(lambda: "Independent" in line_of(hand), 10)
    layer.data = IMAGES["along X"][0]
    hand.until(lambda: "along X" in line_of(hand), 10)
    panel = hand.find("check_panel")
    told = []
    panel.checked.connect(lambda report: told.append((report, panel.is_pending)))
    layer.data = np.full((64, 64), 7.0)
    hand.until(lambda: "cannot be measured" in line_of(hand), 10)
    assert told == [(None, True), (None, False)]
    viewer.layers.clear()
    assert line_of(hand) == ""


@pytest.mark.parametrize("how", ["refresh", "choose again"])
def test_pixels_that_are_repaired_in_place_are_checked_again(viewer, hand, how):
    good = np.random.default_rng(0).normal(100, 10, (64, 72)).astype(np.float32)
    layer = viewer.add_image(np.full_like(good, 5), name="cells")
    hand.until(lambda: "cannot be measured" in hand.find("noise").text())
    hand.until(lambda: not hand.find("denoise_now").isEnabled())
    layer.data[:] = good
    if how == "refresh":
        layer.refresh()
    else:
        viewer.add_image(good, name="other")
        for name in ("other", "cells"):
            hand.find("noisy_layer").setCurrentText(name)
    hand.until(lambda: "Independent noise" in hand.find("noise").text())
    hand.until_ready("denoise_now")


def test_the_advice_is_followed_until_a_person_chooses_a_method(viewer, hand):
    viewer.add_image(IMAGES["along X"][0], name="lines")
    viewer.add_image(IMAGES["white"][0], name="white")

    def method():
        return method_of(hand.dock.value()).key

    def choose(index):
        hand.find("noisy_layer").setCurrentIndex(index)
        hand.until(lambda: hand.find("check_panel").report is not None, 10)

    choose(0)
    masks = hand.dock.value().algorithm_config.n2v_config
    assert (method(), masks.struct_mask_axis) == ("structn2v", "horizontal")
    choose(1)
    assert method() == "n2v"
    hand.click("method_1")
    choose(0)
    assert method() == "n2v2"
    hand.click("fold_check")
    hand.click("accept_suggestion")
    assert method() == "structn2v"
    assert not hand.find("accept_suggestion").isVisible()  # nothing left to accept


def test_the_details_show_reason_pictures_and_numbers(viewer, hand):
    viewer.add_image(IMAGES["along X"][0])
    assert hand.dock.findChild(object, "check_reason") is None  # made when needed
    hand.click("fold_check")
    hand.until(hand.find("check_patch_1").isVisible, 60)
    report = hand.find("check_panel").report
    assert hand.find("check_reason").text() == report.reason
    for name in ("check_map", "check_patch_0", "check_patch_1"):
        assert not hand.find(name).pixmap().isNull()
    assert "background" in hand.find("check_shares").text()


@pytest.mark.parametrize("points", [9, 18], ids=["100 %", "200 %"])
def test_bad_news_is_never_cut_off(viewer, hand, points):
    viewer.add_image(IMAGES["white"][0], name="white")
    viewer.add_image(IMAGES["blurred"][0], name="blurred")
    hand.click("fold_check")
    hand.until(lambda: hand.find("check_panel").report is not None, 10)
    hand.dock.parent().setFixedWidth(300)
    hand.dock.setStyleSheet(f"* {{ font-size: {points}pt; }}")
    hand.find("noisy_layer").setCurrentIndex(1)
    hand.until(lambda: hand.find("noise").text().startswith("✗"), 10)

    def fits():
        labels = [
            label
            for label in hand.find("check_panel").findChildren(QLabel)
            if label.isVisible() and label.wordWrap() and label.text()
        ]
        assert {"noise", "check_reason"} <= {label.objectName() for label in labels}
        return all(one.height() >= one.heightForWidth(one.width()) for one in labels)

    hand.until(fits, 5)
