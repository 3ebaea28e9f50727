"""The part to train on: drawn with the mouse, and followed as it changes."""

from __future__ import annotations

import numpy as np
import pytest
from gestures import drag_on_canvas
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

NO_SHAPE = "There is no shape on the image"


@pytest.fixture
def cells(viewer, hand, quick, noisy):
    """An image of 64 × 72 pixels of 0.5 µm, with the data section open."""
    viewer.window._qt_window.resize(1200, 900)
    layer = viewer.add_image(
        noisy, name="cells", scale=(0.5, 0.5), translate=(3, 4), units=("um", "um")
    )
    hand.dock.setValue(quick())
    hand.click("fold_data")
    return layer


def choose(hand, words):
    extent = hand.find("extent")
    extent.setCurrentIndex(extent.findText(words))


def test_inside_shapes_lets_the_mouse_draw_and_follows_the_shape(
    viewer, hand, cells, noisy
):
    choose(hand, "Inside shapes")
    shapes = viewer.layers["cells region"]
    assert (shapes.mode, viewer.layers.selection.active) == ("add_rectangle", shapes)
    assert NO_SHAPE in hand.status
    assert not hand.find("train").isEnabled()

    drag_on_canvas(viewer, cells, (10, 20), (40, 60))
    assert NO_SHAPE not in hand.status
    assert hand.find("train").isEnabled()
    (corners,) = shapes.data
    assert np.allclose(corners.min(0), (10, 20), atol=1.5)
    assert np.allclose(corners.max(0), (40, 60), atol=1.5)

    QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Delete)
    assert len(shapes.data) == 0
    assert NO_SHAPE in hand.status
    assert not hand.find("train").isEnabled()

    drag_on_canvas(viewer, cells, (10, 20), (40, 60))
    hand.train()
    mean = noisy[10:40, 20:60].mean()
    assert hand.dock.model.normalization.means[0] == pytest.approx(mean, rel=0.02)


def test_a_shape_that_is_moved_off_the_image_or_back_counts_at_once(viewer, hand, cells):
    choose(hand, "Inside shapes")
    shapes = viewer.layers["cells region"]
    drag_on_canvas(viewer, cells, (10, 10), (50, 50))
    assert hand.find("train").isEnabled()
    viewer.scene.camera.zoom /= 4
    shapes.mode = "select"
    drag_on_canvas(viewer, cells, (30, 30), (30, 130))
    assert NO_SHAPE in hand.status
    cells.translate = (3, 54)
    assert NO_SHAPE not in hand.status
    viewer.layers.remove(shapes)
    assert NO_SHAPE in hand.status
    hand.click("draw_shape")
    drag_on_canvas(viewer, cells, (10, 10), (50, 50))
    assert hand.find("train").isEnabled()


def test_shapes_in_a_layer_of_the_person_count(viewer, hand, cells):
    choose(hand, "Inside shapes")
    mine = viewer.add_shapes(name="mine", scale=(0.5, 0.5), translate=(3, 4))
    mine.mode = "add_rectangle"
    drag_on_canvas(viewer, cells, (10, 20), (40, 60))
    assert hand.find("train").isEnabled()
    assert hand.find("shapes_layer").currentText() == "mine"
    choose(hand, "Whole layer")
    assert mine.mode == "pan_zoom"
    choose(hand, "Inside shapes")
    assert mine.mode == "pan_zoom"  # there is a shape already


def test_the_view_counts_once_it_has_settled(viewer, hand, cells):
    choose(hand, "Visible region")
    assert hand.find("train").isEnabled()
    home = viewer.scene.camera.center
    viewer.scene.camera.center = (0, 500, 500)
    hand.until(lambda: not hand.find("train").isEnabled(), 5)
    assert "The image is not visible" in hand.status
    viewer.scene.camera.center = home
    hand.until(hand.find("train").isEnabled, 5)
