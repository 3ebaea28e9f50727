"""While a model is training: preview, pause, denoising, further training, snapshots."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLabel

from napari_hush.careamist import CAREamist
from napari_hush.widgets.data.helper_layers import is_view
from napari_hush.widgets.jobs.previewer import MIN_PIXELS
from napari_hush.widgets.jobs.run_state import Phase
from napari_hush.widgets.results import save_image


@pytest.fixture
def layer(viewer, noisy):
    return viewer.add_image(noisy, name="cells", scale=(0.5, 0.25), translate=(3, 4))


@pytest.fixture
def endless(hand, quick):
    """Starts a training run that would take for ever."""

    def start(axes="YX"):
        hand.dock.setValue(quick(axes, num_epochs=100_000))
        hand.click("train")
        hand.until(lambda: hand.find("loss_plot").history.steps != [])
        return hand

    yield start
    if hand.find("stop").isEnabled():
        hand.click("stop")
    hand.until(lambda: not hand.dock.state.busy)


@pytest.fixture
def training(endless, layer, monkeypatch):
    """A training run with previews as often as possible."""
    from napari_hush.lightning import PreviewCallback

    often = partial(PreviewCallback, share=1.0, every_s=0.0)
    monkeypatch.setattr("napari_hush.lightning.PreviewCallback", often)
    monkeypatch.setattr("napari_hush.widgets.jobs.previewer.SHARE", 0.5)
    return endless()


def _previews(viewer):
    return [layer for layer in viewer.layers if is_view(layer)]


def _is_complete(viewer):
    """Whether there is a preview with its frame, which is drawn last."""
    return any(one.bounding_box.visible for one in _previews(viewer))


def _pause(hand):
    hand.click("pause")
    assert "paus" in hand.status  # at once
    hand.until(lambda: hand.dock.state.phase is Phase.PAUSED)


def _steps(hand):
    return hand.dock.state.done


def test_the_preview_follows_the_view_and_is_switched_off_by_a_click(
    viewer, training, layer
):
    training.until(lambda: _is_complete(viewer))
    (preview,) = _previews(viewer)
    assert preview.visible
    window = training.dock.window()
    (caption,) = window.findChildren(QLabel, "preview_caption")
    assert caption.isVisible()
    assert caption.text() == preview.name
    ends = np.array([[0, 0], np.array(preview.data.shape) - 1])
    shown = np.array([layer.world_to_data(preview.data_to_world(end)) for end in ends])
    assert np.allclose(shown, np.round(shown))
    assert (shown >= 0).all()
    assert (shown <= np.array(layer.data.shape) - 1).all()
    first = np.array(preview.data)
    training.until(lambda: not np.array_equal(preview.data, first))  # it is refreshed
    training.click("live_preview")
    assert _previews(viewer) == []
    training.click("live_preview")
    training.until(lambda: _is_complete(viewer))
    viewer.layers.remove(_previews(viewer)[0])
    training.until(lambda: not training.find("live_preview").isChecked())


def test_pause_and_resume(training):
    _pause(training)
    assert training.find("pause").text() == "Resume"
    done = training.dock.state.done
    assert training.status == f"Training “cells” · N2V · paused after step {done:,}"
    done = training.dock.state.done
    training.click("pause")
    training.until(lambda: training.dock.state.done > done)
    assert training.find("pause").text() == "Pause"


def test_a_paused_training_can_be_stopped_and_its_model_used_at_once(viewer, training):
    _pause(training)
    training.click("stop")
    training.until_ready("denoise")
    assert "Stopped" in training.status
    training.denoise()
    assert "cells denoised" in viewer.layers
    assert _previews(viewer) == []  # there is something better to see


def test_a_paused_training_denoises_with_the_weights_of_its_step(
    viewer, endless, layer, noisy
):
    """Not with those of a few seconds before: the true stripes come out of the noise."""
    training = endless()
    training.until(lambda: _steps(training) > 300)
    _pause(training)
    step = _steps(training)
    training.until_ready("denoise")
    training.denoise()
    assert f"with the model after step {step:,}" in training.status
    result = viewer.layers["cells denoised"]
    truth = 20 + 10 * np.sin(np.mgrid[:64, :72][0] / 5)
    assert np.corrcoef(result.data.ravel(), truth.ravel())[0, 1] > 0.9
    record = result.metadata["napari_hush"]["provenance"]
    assert record["model"]["steps"] == step
    training.click("stop")
    training.until_ready("save_model")
    assert training.dock.model.steps == step
    assert np.array_equal(CAREamist(training.dock.model).predict(noisy), result.data)


def test_the_end_of_training_is_said_though_something_was_denoised_meanwhile(
    viewer, training
):
    training.until_ready("denoise")
    training.click("denoise")
    training.until(lambda: "Denoised into" in training.status)
    training.click("stop")
    training.until_ready("denoise")
    stopped, denoised = training.status.splitlines()
    assert re.match(r"Stopped (early, )?after step [\d,]+( of [\d,]+)?[.;] ", stopped)
    assert "“cells denoised” with the model after step" in denoised
    training.denoise()
    assert "Stopped" not in training.status


def test_the_end_of_training_is_said_though_a_result_was_saved_meanwhile(
    viewer, training, tmp_path, monkeypatch
):
    training.until_ready("denoise")
    training.click("denoise")
    training.until_ready("save_image")
    monkeypatch.setattr(save_image, "ask_where_to", lambda *_: tmp_path / "clean.tif")
    training.click("stop")  # and while it ends:
    training.click("save_image")
    training.until(lambda: (tmp_path / "clean.tif").exists())
    training.until_ready("denoise")
    stopped, saved = training.status.splitlines()
    assert stopped.startswith("Stopped ")
    assert "clean.tif" in saved


def test_a_paused_training_is_previewed_where_the_person_looks(viewer, endless, noisy):
    """Frames, zoom and pan are followed though no step is done."""
    viewer.add_image(np.stack([noisy + n for n in range(5)]), name="movie")
    training = endless("TYX")
    training.until(lambda: _is_complete(viewer))
    _pause(training)
    (preview,) = _previews(viewer)
    for frame in (4, 1):
        viewer.dims.set_current_step(0, frame)
        training.until(lambda frame=frame: preview.translate[0] == frame)
    whole = preview.data.shape
    viewer.scene.camera.zoom *= 6
    training.until(lambda: preview.data.shape[1] < whole[1])
    before = np.array(preview.translate)
    y, x = viewer.scene.camera.center[-2:]
    viewer.scene.camera.center = (y + 12, x - 12)
    training.until(lambda: not np.array_equal(preview.translate, before))
    assert preview.translate[1] > before[1]
    assert preview.translate[2] < before[2]
    assert preview.name == f"preview, step {_steps(training):,}"


def test_a_newer_result_takes_the_place_of_the_preview(viewer, training):
    training.until(lambda: _is_complete(viewer))
    training.click("denoise")
    training.until(lambda: "Denoised into" in training.status)
    training.until(lambda: _previews(viewer) == [])
    viewer.layers["cells denoised"].visible = False
    training.until(lambda: _is_complete(viewer))


def test_a_volume_is_trained_and_denoised_however_it_is_displayed(
    viewer, endless, noisy, notifications
):
    """In 2D, in 3D, with axes in another order, and changed in the middle.

    The volume has no more pixels than the smallest preview, that of a slow machine.
    """
    volume = np.stack([noisy[:32, :36] + n for n in range(8)])
    assert volume.size <= MIN_PIXELS[3]
    viewer.add_image(volume, name="volume", axis_labels=("z", "y", "x"), scale=(3, 1, 1))
    training = endless("ZYX")
    training.until(lambda: _is_complete(viewer))
    (preview,) = _previews(viewer)
    assert preview.data.shape == (1, 32, 36)
    viewer.dims.ndisplay = 3
    training.until(lambda: preview.data.shape == (8, 32, 36))
    viewer.dims.ndisplay = 2
    viewer.dims.roll()
    training.until(lambda: preview.data.shape == (8, 32, 1))
    viewer.dims.transpose()
    viewer.dims.ndisplay = 3
    training.click("denoise")
    training.until(lambda: "volume denoised" in viewer.layers)
    for ndisplay in (2, 3, 2, 3):
        viewer.dims.ndisplay = ndisplay
        viewer.dims.roll()
    training.until(lambda: "Denoised into" in training.status)
    result = viewer.layers["volume denoised"]
    assert result.data.shape == volume.shape
    assert np.array_equal(result.scale, (3, 1, 1))
    assert np.isfinite(result.data).all()
    assert result.data.std() > 0
    assert not [said for said in notifications() if "Error" in said]


def test_the_preview_waits_while_a_grid_shows_other_layers(viewer, endless, layer):
    viewer.canvas.grid.shape, viewer.canvas.grid.enabled = (1, 2), True
    training = endless()
    training.until(lambda: _is_complete(viewer))
    (preview,) = _previews(viewer)
    (caption,) = training.dock.window().findChildren(QLabel, "preview_caption")
    assert not preview.visible
    assert not caption.isVisible()
    viewer.canvas.grid.enabled = False
    training.until(lambda: preview.visible)
    assert caption.isVisible()
    preview.visible = False
    assert not caption.isVisible()


def test_there_is_no_preview_while_the_loss_falls_steeply(viewer, training):
    """The first ones would be blank squares over the image."""
    training.until(lambda: _is_complete(viewer))
    (preview,) = _previews(viewer)
    assert int(re.sub(r"\D", "", preview.name)) > 30
    training.click("stop")
    training.until_ready("train")
    assert _previews(viewer) == []


def test_denoising_while_training(viewer, training):
    training.until_ready("denoise")
    done = training.dock.state.done
    training.click("denoise")
    training.until(lambda: "Denoised into" in training.status)
    assert training.dock.state.phase is Phase.RUNNING
    result = viewer.layers["cells denoised"]
    assert not np.array_equal(result.data, viewer.layers["cells"].data)
    training.until(lambda: training.dock.state.done > done)


def test_the_source_layer_can_be_removed_during_training(viewer, training, layer):
    training.until(lambda: _is_complete(viewer))
    layer.name = "renamed"
    layer.data = layer.data[:32]
    viewer.layers.remove(layer)
    assert _previews(viewer) == []
    assert training.status.startswith("Training “cells” · N2V · step ")
    done = training.dock.state.done
    training.until(lambda: training.dock.state.done > done)
    assert _previews(viewer) == []
    training.click("stop")
    training.until_ready("save_model")


def test_closing_the_dock_saves_the_model_in_training(
    viewer, training, tmp_path, monkeypatch
):
    from napari_hush.careamist import CAREamist

    monkeypatch.setenv("HUSH_DATA_DIR", str(tmp_path))
    viewer.window.remove_dock_widget(training.dock)
    training.until(lambda: not training.dock.state.busy)
    (kept,) = (tmp_path / "recovered").iterdir()
    assert kept.name.startswith("cells")
    assert CAREamist(source=kept).is_trained
    assert _previews(viewer) == []


def test_training_on_a_model_and_restoring_its_snapshot(hand, layer, quick):
    hand.dock.setValue(quick())
    hand.train()
    assert hand.find("loss_plot").history.steps == [1, 2, 3, 4, 5, 6]
    hand.click("train_on")
    hand.until_ready("train_on")
    history = hand.find("loss_plot").history
    assert history.steps == list(range(1, 13))
    assert hand.dock.model.steps == 12
    hand.click("snapshots")
    menu = QApplication.activePopupWidget()
    oldest = next(a for a in reversed(menu.actions()) if "step" in a.text())
    QTest.mouseClick(
        menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(oldest).center()
    )
    steps = hand.dock.model.steps
    assert 0 < steps < 12
    assert f"after {steps} step" in hand.status
    hand.denoise()
    hand.click("train_on")
    hand.until_ready("train_on")
    plot = hand.find("loss_plot")
    assert plot.history.steps == list(range(1, steps + 7))  # never backwards
    assert plot.runs[0].steps == list(range(1, 13))


def test_the_curve_of_a_model_goes_with_it(hand, layer, quick, tmp_path):
    hand.dock.setValue(quick())
    hand.train()
    hand.dock.saveModel(tmp_path / "kept.safetensors")
    hand.until_ready("load_model")
    hand.dock.loadModel(tmp_path / "kept.safetensors")
    hand.until(lambda: "Loaded" in hand.status)
    plot = hand.find("loss_plot")
    assert plot.history.steps == []
    hand.click("train_on")
    hand.until_ready("train_on")
    assert plot.history.steps == list(range(7, 13))


def test_a_second_training_is_new_and_keeps_the_first_curve(hand, layer, quick):
    hand.dock.setValue(quick())
    hand.train()
    hand.train()
    plot = hand.find("loss_plot")
    assert plot.history.steps == [1, 2, 3, 4, 5, 6]
    assert [run.steps for run in plot.runs[:-1]] == [[1, 2, 3, 4, 5, 6]]
    assert hand.dock.model.steps == 6


def test_train_right_after_stop(training):
    training.click("stop")
    assert not training.find("train").isEnabled()
    training.until_ready("train")
    training.click("train")
    training.until(lambda: training.dock.state.done > 0)
    assert training.dock.state.phase is Phase.RUNNING
