"""Views that compare layers, by clicks on the dock and drags in a real canvas."""

from __future__ import annotations

import numpy as np
import pytest
from gestures import drag_in_canvas
from qtpy.QtWidgets import QApplication

from napari_hush.widgets.data.helper_layers import is_view
from napari_hush.widgets.data.layers import Origin, source_of
from napari_hush.widgets.results.pairing import result_mark

WAYS = ("swipe", "side_by_side", "residual", "blink")


@pytest.fixture
def pair(viewer, noisy):
    return _add_pair(viewer, noisy)


def _add_pair(viewer, noisy, **attributes):
    before = viewer.add_image(noisy, name="cells", **attributes)
    origin = Origin.of(before)
    clean = (noisy.astype(np.float32) + np.float32(25)) / 2
    after = viewer.add_image(
        clean, name="clean", metadata=result_mark(origin.source_id), **origin.appearance
    )
    return before, after


def _state(viewer) -> dict:
    """All that a view might change, except the camera."""
    attributes = ("visible", "opacity", "blending", "contrast_limits", "name", "mouse_pan")
    return {
        "layers": [layer.name for layer in viewer.layers],
        "selected": {layer.name for layer in viewer.layers.selection},
        "grid": viewer.canvas.grid.model_dump(),
        "look": [
            [str(getattr(layer, name, None)) for name in attributes]
            for layer in viewer.layers
        ],
        "clipping": [len(layer.experimental_clipping_planes) for layer in viewer.layers],
        "callbacks": len(viewer.mouse_drag_callbacks),
        "pixels": [np.asarray(source_of(layer)).sum() for layer in viewer.layers],
    }


def _open_view(hand) -> str:
    return next((way for way in WAYS if hand.find(f"compare_{way}").isChecked()), "")


def _show(hand, way):
    hand.compare(way)
    QApplication.processEvents()


def test_a_second_click_restores_everything(viewer, hand, pair):
    viewer.add_points([[1, 2]], name="points")
    before = _state(viewer)
    for way in WAYS:
        _show(hand, way)
        assert _open_view(hand) == way
        assert _state(viewer) != before
        _show(hand, way)
        assert _open_view(hand) == ""
        assert _state(viewer) == before


def test_another_view_replaces_the_first(viewer, hand, pair):
    before = _state(viewer)
    for way in (*WAYS, *reversed(WAYS)):
        if _open_view(hand) != way:
            _show(hand, way)
        assert _open_view(hand) == way
    _show(hand, way)
    assert _state(viewer) == before


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (0, 2, 1)])
def test_the_line_is_dragged_in_the_canvas_whatever_axes_are_shown(
    viewer, hand, noisy, order
):
    volume = np.stack([noisy + n for n in range(40)])
    _add_pair(viewer, volume, scale=(2, 0.5, 0.5), translate=(5, 3, 1))
    viewer.dims.order = order
    viewer.reset_view()
    _show(hand, "swipe")
    swipe = hand.find("compare").view
    axis = order[-1]
    assert swipe.axis == axis
    centre = viewer.scene.camera.center
    half = volume.shape[axis] // 2
    assert swipe.split == half
    drag_in_canvas(viewer, axis, order[-2], half, half // 2)
    assert swipe.split == pytest.approx(half // 2, abs=1.5)
    assert viewer.scene.camera.center == centre
    picture = viewer.layers["swipe: cells"]
    shown = np.asarray(picture.data)
    sides = np.moveaxis(shown, axis, 0)
    before, after = (
        np.moveaxis(np.asarray(viewer.layers[n].data), axis, 0) for n in ("cells", "clean")
    )
    assert np.array_equal(sides[: swipe.split], before[: swipe.split])
    assert np.array_equal(sides[swipe.split :], after[swipe.split :])


def test_a_drag_beside_the_line_does_not_move_it(viewer, hand, pair):
    _show(hand, "swipe")
    drag_in_canvas(viewer, 1, 0, 8, 20)
    assert hand.find("compare").view.split == 36


def test_side_by_side_shows_before_left_of_after_and_nothing_else(viewer, hand, pair):
    viewer.add_image(np.zeros((64, 72)), name="other")
    hand.find("noisy_layers").setLayers([pair[0]])
    _show(hand, "side_by_side")
    grid = viewer.canvas.grid
    layers = list(viewer.layers)
    assert grid.actual_shape(layers) == (1, 2)
    assert [grid.position(layers.index(layer), layers) for layer in pair] == [
        (0, 0),
        (0, 1),
    ]
    assert not viewer.layers["other"].visible


def test_the_residual_is_shown_around_zero_in_units_of_the_noise(viewer, hand, noisy):
    clean = np.repeat([20.0, 2000.0], 100) + np.zeros((200, 1))
    photons = np.random.default_rng(0).poisson(clean).astype(np.uint16)
    before = viewer.add_image(photons, name="cells")
    mark = result_mark(str(before.unique_id))
    viewer.add_image(clean.astype(np.float32), name="clean", metadata=mark)
    _show(hand, "residual")
    (residual,) = [layer for layer in viewer.layers if is_view(layer)]
    assert residual.contrast_limits == [-4, 4]
    assert residual.name == "residual ±4 SD: cells"
    middle = residual.colormap.map(np.array([0.5]))[0]
    assert np.ptp(middle[:3]) < 0.05  # no color where nothing was removed
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(float)
    rows = picture[picture.shape[0] // 2 - 50 : picture.shape[0] // 2 + 50]
    columns = np.flatnonzero(rows.mean((0, 2)) > 100)  # of the image
    spread = [
        float(half.std()) for half in np.array_split(rows[:, columns[2:-2]], 2, axis=1)
    ]
    assert spread[0] == pytest.approx(spread[1], rel=0.2)  # raw: ten times as much
    assert "Outlines: structure was lost" in hand.find("compare_residual").toolTip()


def test_removing_a_layer_closes_the_view(viewer, hand, pair):
    for way in WAYS:
        before, after = _add_pair(viewer, pair[0].data)
        hand.find("noisy_layers").setLayers([before])
        _show(hand, way)
        viewer.layers.remove(after)
        assert _open_view(hand) == ""
        assert not any(is_view(layer) for layer in viewer.layers)
        assert before.visible
        assert not viewer.canvas.grid.enabled
        assert not hand.find(f"compare_{way}").isEnabled()
        assert "Denoise first" in hand.find(f"compare_{way}").toolTip()
        hand.find("noisy_layers").setLayers([pair[0]])


def test_removing_the_added_layer_closes_the_view(viewer, hand, pair):
    for way in ("swipe", "residual", "blink"):
        _show(hand, way)
        viewer.layers.remove(next(layer for layer in viewer.layers if is_view(layer)))
        assert _open_view(hand) == ""
        assert len(viewer.layers) == 2


def test_added_layers_are_nothing_to_train_on(viewer, hand, pair):
    _show(hand, "residual")
    chooser = hand.find("noisy_layer")
    names = [chooser.itemText(index) for index in range(chooser.count())]
    assert names == ["cells", "clean"]


def test_closing_the_dock_closes_the_view(viewer, hand, pair):
    before = _state(viewer)
    _show(hand, "swipe")
    viewer.window.remove_dock_widget(hand.dock)
    assert _state(viewer) == before


def test_the_newest_result_is_compared(viewer, hand, pair):
    origin = Origin.of(pair[0])
    newer = viewer.add_image(
        pair[1].data + 1,
        name="newer",
        metadata=result_mark(origin.source_id, number=2),
        **origin.appearance,
    )
    assert hand.find("compare").pair == (pair[0], newer)
    hand.find("noisy_layers").setLayers([pair[1]])
    assert hand.find("compare").pair == pair


def test_rgb_layers_can_be_compared(viewer, hand, noisy):
    colours = np.stack([noisy, noisy + 20, noisy // 2], axis=-1).astype(np.uint8)
    before = viewer.add_image(colours, name="tissue", rgb=True)
    origin = Origin.of(before)
    viewer.add_image(
        colours // 2, metadata=result_mark(origin.source_id), **origin.appearance
    )
    for way in WAYS:
        _show(hand, way)
        _show(hand, way)
    assert len(viewer.layers) == 2
