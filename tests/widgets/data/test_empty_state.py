"""The dock without an image: a place to drop one, and buttons that open one."""

from __future__ import annotations

import numpy as np
import pytest
from gestures import drag_of_files, drop, until_opened

from napari_hush.io import write_tiff
from napari_hush.widgets.data.layers import REFERENCE
from napari_hush.widgets.results.pairing import result_mark

HIDDEN = ("axes", "facts", "fold_data")


def test_without_an_image_there_is_a_place_to_drop_one(viewer, hand, noisy):
    assert hand.find("no_image").isVisible()
    assert not any(hand.find(name).isVisible() for name in HIDDEN)
    assert hand.status == "Open an image to begin."
    viewer.add_image(noisy)
    assert not hand.find("no_image").isVisible()
    assert all(hand.find(name).isVisible() for name in HIDDEN)
    viewer.layers.clear()
    assert hand.find("no_image").isVisible()


def test_a_file_dropped_there_opens(viewer, hand, noisy, tmp_path):
    path = write_tiff(tmp_path / "cells.tif", noisy, "YX")
    assert drop(hand.find("no_image"), drag_of_files(path))
    until_opened(hand)
    assert [layer.name for layer in viewer.layers] == ["cells"]
    assert not hand.find("no_image").isVisible()


def test_the_sample_opens_with_its_ground_truth(viewer, hand):
    hand.click("open_sample")
    assert hand.status == "Opening the sample …"
    until_opened(hand)
    truth, noisy = viewer.layers
    assert viewer.layers.selection.active is noisy
    assert hand.find("noisy_layers").value() == [noisy]
    assert hand.find("truth_layer").currentText() == truth.name
    assert (noisy.visible, truth.visible) == (True, False)
    assert np.asarray(noisy.data).std() > np.asarray(truth.data).std()
    assert hand.find("denoise_now").isEnabled()


def test_files_of_a_dialog_open(viewer, hand, noisy, tmp_path, monkeypatch):
    paths = [str(write_tiff(tmp_path / f"t{n}.tif", noisy, "YX")) for n in (10, 2)]
    monkeypatch.setattr(
        "qtpy.QtWidgets.QFileDialog.getOpenFileNames", lambda *given: (paths, "")
    )
    hand.click("open_image")
    until_opened(hand)
    assert [layer.name for layer in hand.find("noisy_layers").value()] == ["t2", "t10"]


@pytest.mark.parametrize("axes", ["yx", "stczyx"])
def test_everything_is_within_300_pixels(viewer, hand, qtbot, axes):
    shape = (2, 2, 2, 2, 64, 72)[-len(axes) :]
    name = "a name of a layer that is too long"
    viewer.add_image(np.zeros(shape, "uint16"), name=name, axis_labels=tuple(axes))
    hand.click("fold_data")
    extent = hand.find("extent")
    extent.setCurrentIndex(extent.findText("Inside shapes"))
    dock = hand.dock.parentWidget()
    dock.setFloating(True)
    dock.resize(300, 700)
    qtbot.wait(300)
    controls, area = hand.find("controls"), hand.find("dock_scroll")
    assert hand.dock.width() <= 300
    assert controls.width() <= area.viewport().width()
    for child in ("noisy_layer_more", "draw_shape", f"axis_{len(axes) - 1}"):
        widget = hand.find(child)
        right = widget.mapTo(controls, widget.rect().topRight()).x()
        assert right < area.viewport().width()


def test_a_name_that_is_too_long_is_elided_not_cut(viewer, hand, noisy, qtbot):
    """The pixels of the box are those of a shorter name that ends in dots and fits."""
    layer = viewer.add_image(noisy, name="W" * 80)
    box = hand.find("noisy_layer")
    qtbot.wait(100)
    shown = box.grab().toImage()
    for letters in range(1, 80):
        layer.name = "W" * letters + "…"
        if box.grab().toImage() == shown:
            break
    assert box.fontMetrics().horizontalAdvance(layer.name) < box.width()


def test_only_noisy_images_are_offered_beside_the_noisy_one(viewer, hand, noisy):
    viewer.add_image(noisy, name="one")
    viewer.add_image(noisy, name="two")
    viewer.add_image(noisy, name="truth", metadata={REFERENCE: True})
    viewer.add_image(noisy, name="one denoised", metadata=result_mark("one"))
    offered = {}
    for role in ("noisy", "target"):
        menu = hand.find(f"{role}_layer_more").menu()
        menu.aboutToShow.emit()
        offered[role] = [one.text() for one in menu.actions()][:-3]
    assert offered["noisy"] == ["two"]  # "one" is chosen
    assert offered["target"] == ["one", "two", "truth", "one denoised"]
