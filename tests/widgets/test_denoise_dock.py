"""The dock as a person meets it: clicks on its controls in a real window."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

CONTROLS = (
    "noisy_layer axes num_epochs num_steps batch_size patch_size train stop denoise cancel "
    "save_model load_model loss_plot progress"
).split()


@pytest.fixture
def layer(viewer, noisy):
    return viewer.add_image(
        noisy,
        name="cells",
        scale=(0.25, 0.5),
        translate=(3, 4),
        rotate=10,
        units=("um", "um"),
        axis_labels=("y", "x"),
        colormap="magma",
        blending="additive",
        gamma=0.8,
    )


@pytest.fixture
def ready(hand, layer, quick):
    """The dock with a layer to train on and quick settings."""
    hand.dock.setValue(quick())
    return hand


def test_opens_from_the_plugins_menu_with_all_controls(viewer, drive):
    menu = viewer.window.plugins_menu
    menu.aboutToShow.emit()
    action = next(a for a in _actions(menu) if "Denoise" in a.text())
    action.trigger()
    frame = next(iter(viewer.window.dock_widgets.values()))
    hand = drive(frame)
    for name in CONTROLS:
        hand.find(name)


def _actions(menu):
    for action in menu.actions():
        yield from _actions(action.menu()) if action.menu() else (action,)


def test_train_stop_denoise(viewer, ready, layer, quick):
    ready.train()
    history = ready.find("loss_plot").history
    assert history.steps == [1, 2, 3, 4, 5, 6]
    assert len(history.train) == 6
    assert history.val_steps == [3, 6]

    ready.dock.setValue(quick(num_epochs=1000))
    ready.click("train")
    ready.until(lambda: 0 < len(ready.find("loss_plot").history.steps) < 6)
    ready.click("stop")
    ready.until_ready("train")
    assert "Stopped" in ready.status

    ready.denoise()
    result = viewer.layers["cells denoised"]
    assert result.data.shape == layer.data.shape
    assert np.isfinite(result.data).all()
    assert not np.array_equal(result.data, layer.data)
    for name in ("scale", "translate", "rotate", "shear", "units", "axis_labels"):
        assert np.array_equal(getattr(result, name), getattr(layer, name)), name
    assert np.array_equal(result.affine.affine_matrix, layer.affine.affine_matrix)
    for name in ("blending", "gamma", "contrast_limits"):
        assert getattr(result, name) == getattr(layer, name), name
    assert result.colormap.name == "magma"


