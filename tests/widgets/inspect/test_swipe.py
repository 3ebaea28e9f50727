"""The line of Swipe is where people look, as the pixels of the canvas show."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_hush.widgets.data.layers import Origin
from napari_hush.widgets.results.pairing import result_mark


def _open(viewer, hand, shape, **look):
    """A black layer and its white result."""
    before = viewer.add_image(
        np.zeros(shape, np.float32), name="cells", contrast_limits=(0, 1), **look
    )
    origin = Origin.of(before)
    after = viewer.add_image(
        np.ones(shape, np.float32),
        metadata=result_mark(origin.source_id),
        **origin.appearance,
    )
    hand.find("noisy_layers").setLayers([before])
    hand.until(lambda: viewer.canvas.size == _canvas(viewer).shape)  # laid out
    viewer.reset_view()
    return before, after


def _canvas(viewer) -> np.ndarray:
    QApplication.processEvents()
    return viewer.screenshot(canvas_only=True, flash=False)[..., :3].mean(-1) / 255


def _white(viewer) -> float:
    """White share of the part of the canvas that the layers cover, line and grip aside."""
    swiped = _canvas(viewer)
    for layer in viewer.layers:
        layer.visible = layer is viewer.layers[1]
    covered = _canvas(viewer) > 0.5
    for layer in viewer.layers:
        layer.visible = True
    return float((swiped[covered] > 0.5).mean())


def _line(viewer) -> float:
    """Column of the canvas where the result begins, as a share of its width."""
    row = _canvas(viewer)[viewer.canvas.size[0] // 2 - 40]  # above the grip
    return float(np.argmax(row > 0.5) / len(row))


def _middle(viewer) -> tuple[float, float]:
    """The same of the middle of what is visible, and half a pixel of the layer."""
    axis = viewer.dims.displayed[-1]
    camera, width = viewer.scene.camera, viewer.canvas.size[1]
    low, high = viewer.layers.extent.world[:, axis]
    step = viewer.layers[0].scale[axis]
    half = width / camera.zoom / 2
    first = max(low - step / 2, camera.center[-1] - half)
    last = min(high + step / 2, camera.center[-1] + half)
    place = (first + last) / 2 - camera.center[-1]
    return 0.5 + place / (2 * half), step / (4 * half)


@pytest.mark.parametrize(
    ("zoom", "center"),
    [(1, (32, 100)), (6, (10, 20)), (6, (50, 190)), (25, (3, 197)), (0.3, (32, 100))],
)
def test_the_line_starts_in_the_middle_of_the_view(viewer, hand, zoom, center):
    _open(viewer, hand, (64, 200), scale=(0.5, 0.5), translate=(10, -20))
    camera = viewer.scene.camera
    camera.zoom *= zoom
    camera.center = (10 + center[0] / 2, -20 + center[1] / 2)
    middle, pixel = _middle(viewer)
    hand.compare("swipe")
    if zoom >= 1:
        assert _line(viewer) == pytest.approx(middle, abs=pixel + 0.01)
    assert _white(viewer) == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (0, 2, 1)])
def test_the_middle_of_the_view_of_a_stack_along_any_axes(viewer, hand, order):
    _open(viewer, hand, (50, 60, 70), scale=(2, 0.5, 0.5))
    viewer.dims.order = order
    viewer.reset_view()
    viewer.scene.camera.zoom *= 4
    viewer.scene.camera.center = (6, 6)
    middle, pixel = _middle(viewer)
    hand.compare("swipe")
    assert _line(viewer) == pytest.approx(middle, abs=pixel + 0.01)


def test_a_rotated_and_sheared_layer_is_halved(viewer, hand):
    _open(viewer, hand, (60, 200), rotate=30, shear=[0.3])
    viewer.scene.camera.zoom *= 3
    viewer.scene.camera.center = viewer.layers[0].data_to_world((45, 160))
    hand.compare("swipe")
    assert _white(viewer) == pytest.approx(0.5, abs=0.15)


def test_an_image_that_is_out_of_view_is_halved(viewer, hand):
    _open(viewer, hand, (64, 200))
    viewer.scene.camera.center = (32, 90_000)
    hand.compare("swipe")
    viewer.reset_view()
    assert _white(viewer) == pytest.approx(0.5, abs=0.05)


def test_the_line_stays_in_view_when_people_zoom_and_pan(viewer, hand):
    _open(viewer, hand, (64, 200))
    hand.compare("swipe")
    viewer.scene.camera.zoom *= 8
    for column, share in ((100, 0.5), (160, 0.0), (190, 0.0), (40, 1.0), (10, 1.0)):
        viewer.scene.camera.center = (32, column)
        QApplication.processEvents()
        hand.until(lambda share=share: abs(_line(viewer) - share) < 0.12, 5)
        assert 0.02 < _line(viewer) < 0.98


def test_each_side_has_the_contrast_of_its_layer(viewer, hand):
    before, after = _open(viewer, hand, (64, 64))
    before.data, after.data = before.data + 0.5, after.data * 7000
    after.contrast_limits = (6000, 8000)
    hand.compare("swipe")
    at = viewer.canvas.size[0] // 2 - 40

    def sides() -> list[float]:
        row = _canvas(viewer)[at, viewer.canvas.size[1] // 8 : -viewer.canvas.size[1] // 8]
        return [float(np.median(half)) for half in np.array_split(row, 2)]

    assert sides() == pytest.approx([0.5, 0.5], abs=0.02)
    after.contrast_limits = (7000, 9000)
    hand.until(lambda: sides() == pytest.approx([0.5, 0], abs=0.02), 5)
    before.contrast_limits = (0, 0.5)
    hand.until(lambda: sides() == pytest.approx([1, 0], abs=0.02), 5)
