"""The dock as a person meets it: clicks on its controls in a real window."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QCheckBox, QDialog, QMessageBox, QPushButton
from scipy import ndimage
from tests.widgets.gestures import drag_of_files, drop

from napari_hush.careamist import CAREamist
from napari_hush.config import DataConfig
from napari_hush.events import TilesDone
from napari_hush.widgets.inspect import check_task
from napari_hush.widgets.jobs import run_state
from napari_hush.widgets.jobs.run_state import Activity
from napari_hush.widgets.user_settings import load_setting

CONTROLS = (
    "noisy_layer",
    "axes",
    "num_epochs",
    "num_steps",
    "batch_size",
    "patch_size",
    "train",
    "stop",
    "denoise",
    "cancel",
    "save_model",
    "load_model",
    "loss_plot",
    "progress",
)


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


def _actions(menu):
    for action in menu.actions():
        yield from _actions(action.menu()) if action.menu() else (action,)


# ---- Opening


def test_opens_from_the_plugins_menu_with_all_controls(viewer, drive):
    menu = viewer.window.plugins_menu
    menu.aboutToShow.emit()
    next(action for action in _actions(menu) if "Denoise" in action.text()).trigger()
    (frame,) = viewer.window.dock_widgets.values()
    hand = drive(frame)
    for name in CONTROLS:
        hand.find(name)
    assert hand.find("preset_1").isChecked()
    assert not hand.find("train").isEnabled()
    assert hand.status == hand.find("train").toolTip() != ""


@pytest.mark.process
def test_importing_the_dock_does_not_load_the_engine():
    lines = (
        "import sys, napari_hush.widgets.dock.denoise_dock",
        "heavy = {'torch', 'pytorch_lightning'} & set(sys.modules)",
        "sys.exit(f'loaded {heavy}' if heavy else 0)",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_is_wider_than_a_narrow_dock(viewer, hand, layer, theme):
    viewer.theme = theme
    hand.find("axes").setValue("ZYX")
    hand.dock.resize(300, 900)
    QApplication.processEvents()
    assert hand.find("controls").minimumSizeHint().width() <= 290


# ---- The whole way


def test_train_stop_denoise(viewer, ready, layer, quick, notifications):
    ready.train()
    history = ready.find("loss_plot").history
    assert history.steps == [1, 2, 3, 4, 5, 6]
    assert len(history.train) == 6
    assert history.val_steps == [3, 6]

    ready.dock.setValue(quick(num_epochs=1000))
    ready.click("train")
    ready.until(lambda: ready.find("loss_plot").history.steps[:1] == [1])
    ready.until(lambda: "of 3,000" in ready.status)
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
    assert ready.find("noisy_layer").currentText() == "cells"

    ready.denoise()
    assert len(viewer.layers) == 3  # beside the first result, not instead of it
    # trained for a moment, the model takes structure away
    assert all("In “cells”: Structure was lost" in message for message in notifications())
    record = result.metadata["napari_hush"]["provenance"]
    model = ready.dock.model
    assert record["model"]["sha256"] == model.sha256
    assert record["source"]["name"] == "cells"
    assert record["source"]["sha256"] == model.provenance.sources[0].sha256
    json.dumps(record)


def test_one_button_is_lit_and_a_grey_one_says_why(ready):
    def lit() -> list[str]:
        buttons = ready.dock.findChildren(QPushButton)
        return [button.objectName() for button in buttons if button.property("lit")]

    assert lit() == ["denoise_now"]
    assert ready.find("denoise").toolTip().startswith("There is no model yet")
    ready.click("train")
    assert lit() == ["stop"]
    ready.until_ready("train")
    assert lit() == ["denoise_now"]


def test_denoise_now_trains_and_denoises_and_then_uses_the_model(viewer, ready):
    ready.click("denoise_now")
    ready.until(ready.find("stop").isVisible)
    assert not ready.find("denoise_now").isVisible()
    ready.until(lambda: "cells denoised" in viewer.layers)
    ready.until_ready("denoise_now")
    assert ready.find("denoise_now").isVisible()
    model = ready.dock.model
    ready.click("denoise_now")
    ready.until(lambda: "cells denoised 2" in viewer.layers)
    ready.until_ready("denoise_now")
    assert ready.dock.model is model


def test_denoise_now_denoises_its_image_though_another_one_was_chosen_meanwhile(
    viewer, ready, noisy
):
    ready.click("denoise_now")
    ready.until(ready.find("stop").isVisible)
    other = viewer.add_image(noisy + 1, name="other")
    ready.find("noisy_layer").setCurrentText("other")
    ready.until(lambda: "Denoised into “cells denoised”." in ready.status)
    assert "other denoised" not in viewer.layers
    assert not np.array_equal(viewer.layers["cells denoised"].data, noisy)
    assert ready.find("noisy_layer").currentText() == other.name


def test_an_image_that_was_removed_meanwhile_is_said_and_its_result_saved(
    viewer, ready, layer, quick
):
    ready.dock.setValue(quick(num_epochs=100))
    ready.click("denoise_now")
    first = "cells denoised (before training)"
    ready.until(lambda: first in viewer.layers)
    ready.until(lambda: np.any(viewer.layers[first].data != layer.data))
    viewer.layers.remove(layer)
    assert ready.find("noisy_layer").currentText() == ""
    ready.until(lambda: not ready.dock.state.busy)
    assert "“cells” was removed in the meantime." in ready.status
    assert ready.find("save_image").isEnabled()
    assert ready.find("noisy_layer").count() == 1  # by hand it can be chosen


def test_a_method_that_is_chosen_is_not_replaced_by_that_of_the_model(viewer, ready):
    ready.train()
    assert ready.dock.model.config.algorithm_config.algorithm == "n2v"
    ready.click("method_1")
    ready.click("denoise_now")
    ready.until(lambda: "cells denoised" in viewer.layers)
    ready.until_ready("denoise_now")
    assert ready.dock.model.config.algorithm_config.model.n2v2


def test_sections_appear_with_their_content(viewer, hand, noisy, quick):
    def shown() -> set[str]:
        names = "loss_plot", "compare", "save_model"
        return {name for name in names if hand.find(name).isVisible()}

    assert shown() == set()
    viewer.add_image(noisy, name="cells")
    hand.dock.setValue(quick())
    assert shown() == set()
    hand.train()
    assert shown() == {"loss_plot", "save_model"}
    hand.denoise()
    assert shown() == {"loss_plot", "save_model", "compare"}


def test_stop_before_the_first_step_keeps_the_earlier_model(ready):
    ready.train()
    model = ready.dock.model
    ready.click("train")
    ready.click("stop")
    ready.until_ready("train")
    assert "Stopped" in ready.status
    assert ready.dock.model is model or ready.dock.state.done > 0
    assert ready.find("denoise").isEnabled()


# ---- Layers come and go


def test_a_layer_renamed_or_removed_during_a_run_breaks_nothing(
    viewer, ready, layer, quick
):
    ready.dock.setValue(quick(num_epochs=1000))
    ready.click("train")
    layer.name = "renamed"
    ready.until(lambda: ready.find("loss_plot").history.steps != [])
    viewer.layers.remove(layer)
    assert ready.find("noisy_layer").count() == 0
    ready.click("stop")
    ready.until(lambda: not ready.dock.state.busy)
    assert ready.find("save_model").isEnabled()
    assert "image" in ready.find("train").toolTip()


def test_data_and_labels_that_change_are_looked_at_again(hand, layer, noisy):
    assert hand.find("axes").value() == "YX"
    layer.axis_labels = ("x", "y")
    assert hand.find("axes").value() == "XY"
    layer.data = noisy[:7]
    assert not hand.find("train").isEnabled()
    layer.data = noisy
    assert hand.find("train").isEnabled()


def test_a_result_removed_while_it_fills_ends_the_job(viewer, ready, monkeypatch):
    ready.train()
    _hold_the_fourth_tile(monkeypatch)
    ready.click("denoise")
    ready.until(lambda: len(viewer.layers) == 2)
    viewer.layers.remove("cells denoised")
    ready.until_ready("denoise")
    assert [layer.name for layer in viewer.layers] == ["cells"]
    assert ready.status == "Cancelled."


def test_cancel_keeps_the_finished_part(viewer, ready, layer, monkeypatch):
    ready.train()
    _hold_the_fourth_tile(monkeypatch)
    ready.click("denoise")
    ready.until(lambda: ready.dock.state.done >= 2)
    ready.click("cancel")
    ready.until_ready("denoise")
    partial = viewer.layers["cells denoised (partial)"]
    same = partial.data == layer.data
    assert same.any()
    assert not same.all()


def _hold_the_fourth_tile(monkeypatch) -> None:
    """Let the engine denoise in tiles of 16 pixels, and wait for the cancel after three."""
    predict = CAREamist.predict

    def held(self, source, should_stop, **settings):
        report = self.on_progress

        def hold(event):
            report(event)
            if isinstance(event, TilesDone) and event.done >= 3:
                patience = time.monotonic() + 30
                while not should_stop() and time.monotonic() < patience:
                    time.sleep(0.01)

        self.on_progress = hold
        settings["tile_size"] = [16, 16]
        return predict(self, source, should_stop=should_stop, **settings)

    monkeypatch.setattr(CAREamist, "predict", held)


def test_an_rgb_layer_stays_rgb(viewer, hand, noisy, quick):
    colours = np.stack([noisy, noisy + 20, noisy // 2], axis=-1).astype(np.uint8)
    layer = viewer.add_image(colours, name="tissue", rgb=True)
    assert hand.find("axes").value() == "YXC"
    hand.dock.setValue(quick("YXC", n_channels=3))
    hand.train()
    hand.denoise()
    result = viewer.layers["tissue denoised"]
    assert result.rgb
    assert (result.data.dtype, result.data.shape) == (np.uint8, layer.data.shape)
    assert not np.array_equal(result.data, colours)


def test_a_stack_is_denoised_plane_by_plane_into_a_stack(viewer, hand, noisy, quick):
    viewer.add_image(np.stack([noisy, noisy + 1, noisy + 2]), name="movie")
    assert hand.find("axes").value() == "TYX"
    hand.dock.setValue(quick("TYX"))
    hand.train()
    hand.denoise()
    assert viewer.layers["movie denoised"].data.shape == (3, 64, 72)


# ---- Input that cannot be


@pytest.mark.parametrize("axes", ["ZYX", "YQ", "X", ""])
def test_wrong_axes_are_said_at_once_and_nothing_starts(ready, axes):
    ready.find("axes").setValue(axes)
    assert not ready.find("train").isEnabled()
    assert ready.status == ready.find("train").toolTip()
    assert "xes" in ready.status
    ready.find("axes").setValue("YX")
    assert ready.find("train").isEnabled()


def test_a_patch_cannot_be_larger_than_the_image(viewer, ready):
    ready.find("patch_size_yx").setValue(128)
    assert ready.dock.value().data_config.patch_size == (64, 72)
    assert ready.find("train").isEnabled()


def test_a_stack_of_few_planes_can_be_trained_on_as_a_volume(viewer, hand, noisy):
    stack = viewer.add_image(np.stack([noisy] * 5))
    hand.find("axes").setValue("ZYX")
    config = hand.dock.value()
    assert hand.find("train").isEnabled()
    assert config.data_config.patch_size == (5, 64, 64)
    assert config.algorithm_config.model.pool_z == (False, False)
    facts = hand.find("facts")
    assert "Patch size 5 × 64 × 64" in facts.text()
    hand.until(lambda: facts.height() >= facts.heightForWidth(facts.width()))
    box = hand.find("patch_size_z")
    assert (box.minimum(), box.maximum()) == (1, 5)
    stack.data = np.stack([noisy] * 20)
    assert hand.dock.value().data_config.patch_size == (16, 64, 64)
    assert "Patch size" not in hand.find("facts").text()


def test_the_patch_size_that_was_set_is_remembered(viewer, hand, quick):
    """Not the smaller one of a small image."""
    hand.dock.setValue(quick())
    hand.find("patch_size_yx").setValue(48)
    viewer.add_image(np.random.default_rng(0).random((20, 33)).astype("float32"))
    hand.train()
    assert hand.dock.model.config.data_config.patch_size == (20, 32)
    assert load_setting("configuration")["data_config"]["patch_size"] == [48, 48]


@pytest.mark.parametrize("spoil", ["nan", "inf", "constant"])
def test_bad_pixels_are_said_in_a_sentence_and_the_next_run_is_good(
    viewer, ready, layer, notifications, spoil, monkeypatch
):
    # of a large image on disk it is not known before
    monkeypatch.setattr(check_task, "_is_unusable", lambda image: False)
    data = layer.data.astype(np.float32)
    if spoil == "constant":
        data[:] = 5
    else:
        data[3, 4] = float(spoil)
    bad = viewer.add_image(data, name="bad", units=layer.units)
    ready.find("noisy_layer").setCurrentIndex(1)
    ready.train()
    assert notifications() == [ready.status]
    assert ready.status.endswith(".")
    assert "\n" not in ready.status
    assert ("“bad”" in ready.status) == (spoil != "constant")
    assert not ready.find("denoise").isEnabled()

    viewer.layers.remove(bad)
    ready.train()
    assert "Trained" in ready.status
    assert ready.find("denoise").isEnabled()


@pytest.mark.parametrize("spoil", ["nan", "inf", "constant", "constant channel"])
def test_an_image_that_cannot_be_trained_on_offers_nothing_to_click(viewer, hand, spoil):
    rng = np.random.default_rng(0)
    data = rng.normal(100, 10, (64, 72, 2)).astype(np.float32)
    if spoil.startswith("constant"):
        data[..., 1 if "channel" in spoil else slice(None)] = 5
    else:
        data[3, 4, 1] = float(spoil)
    viewer.add_image(data, name="bad", axis_labels=("y", "x", "c"))
    hand.until(lambda: not hand.find("denoise_now").isEnabled())
    assert hand.find("noise").text() == "✗ The noise cannot be measured"
    assert ("constant" if "constant" in spoil else "NaN or infinite") in hand.status
    assert hand.status == hand.find("denoise_now").toolTip()
    assert hand.find("denoise_now").text() == "Denoise now"  # no time of what cannot be
    assert not hand.find("train").isEnabled()
    if spoil == "constant channel":  # a part of it would be as bad, pixels that change not
        viewer.layers["bad"].data = rng.normal(100, 10, data.shape).astype(np.float32)
        hand.until_ready("denoise_now")


def test_a_model_is_not_used_unasked_on_pixels_that_are_not_finite(viewer, ready, layer):
    ready.train()
    spoiled = layer.data.astype(np.float32)
    spoiled[3, 4] = np.nan
    viewer.add_image(spoiled, name="bad")
    ready.find("noisy_layer").setCurrentText("bad")
    ready.until(lambda: "cannot be measured" in ready.find("noise").text())
    ready.until(lambda: not ready.find("denoise_now").isEnabled(), 5)
    assert "NaN" in ready.status


def test_denoise_now_before_the_check_of_a_constant_image_adds_no_layer(
    viewer, hand, notifications
):
    viewer.add_image(np.full((64, 72), 5.0, np.float32), name="bad")
    hand.click("denoise_now")
    hand.until(lambda: "constant" in hand.status)
    hand.until(lambda: not hand.dock.state.busy)
    assert [layer.name for layer in viewer.layers] == ["bad"]
    assert hand.find("status").property("kind") == "problem"


def test_stopped_after_its_image_was_removed_it_says_what_is_next(
    viewer, ready, layer, quick
):
    viewer.add_image(np.stack([layer.data] * 3, -1), name="other", rgb=False)
    ready.dock.setValue(quick(num_epochs=1000))
    ready.click("train")
    ready.until(lambda: "step" in ready.status)
    viewer.layers.remove(layer)
    ready.find("noisy_layer").setCurrentText("other")
    ready.find("axes").setValue("YXC")
    ready.click("stop")
    ready.until(lambda: not ready.dock.state.busy)
    assert "“cells” was removed in the meantime." in ready.status
    assert "Denoise now trains a new model on “other”." in ready.status
    assert "further" not in ready.status


def test_a_crash_is_told_and_the_next_run_is_good(ready, monkeypatch, notifications):
    def crash(self, **sources):
        raise ZeroDivisionError("unforeseen")

    with monkeypatch.context() as patch:
        patch.setattr(CAREamist, "train", crash)
        ready.train()
    assert notifications() == ["unforeseen"]
    assert ready.status == "ZeroDivisionError: unforeseen"
    ready.train()
    assert "Trained" in ready.status


def test_a_model_that_does_not_suit_the_layer_says_so_before_the_run(viewer, ready, noisy):
    ready.train()
    viewer.add_image(np.stack([noisy] * 9), name="volume", units=("um",) * 3)
    ready.find("noisy_layer").setCurrentIndex(1)
    for axes in ("TYX", "ZYX"):  # plane by plane
        ready.find("axes").setValue(axes)
        assert ready.find("denoise").isEnabled()
    ready.find("axes").setValue("CYX")
    assert not ready.find("denoise").isEnabled()
    assert "1 channel" in ready.find("denoise").toolTip()
    assert "volume" in ready.find("denoise").toolTip()
    ready.find("noisy_layer").setCurrentIndex(0)
    assert ready.find("denoise").isEnabled()


# ---- Models and files


def test_a_model_stopped_early_is_not_used_unasked_after_it_was_loaded(
    viewer, ready, quick, tmp_path, monkeypatch
):
    monkeypatch.setattr(run_state, "FEW", 10**6)  # the steps are fast
    ready.dock.setValue(quick(num_epochs=10_000))
    ready.click("train")
    ready.until(lambda: "step" in ready.status)
    ready.click("stop")
    ready.until_ready("train")
    assert "Stopped early" in ready.status
    ready.dock.saveModel(tmp_path / "m.safetensors")
    ready.until(lambda: "Saved" in ready.status)
    ready.until_ready("load_model")
    ready.dock.loadModel(tmp_path / "m.safetensors")
    ready.until(lambda: "Loaded" in ready.status)
    ready.until_ready("load_model")
    ready.find("num_epochs").setValue(2)
    assert "“m” was stopped early; Denoise now trains a new one." in ready.status
    # and that one is named after its image
    ready.click("denoise_now")
    ready.until(lambda: "cells denoised" in viewer.layers)
    ready.until_ready("denoise_now")
    assert ready.dock.model.config.experiment_name == "cells"
    assert not ready.dock.model.provenance.unfinished


def test_the_model_in_training_denoises_where_the_one_before_does_not_fit(
    viewer, ready, layer, quick
):
    ready.train()
    stack = viewer.add_image(np.stack([layer.data] * 2, -1), name="two", rgb=False)
    ready.find("noisy_layer").setCurrentText("two")
    stack.axis_labels = ("y", "x", "c")
    ready.dock.setValue(quick("YXC", num_epochs=10_000, n_channels=2))
    ready.click("train")
    ready.until_ready("denoise")
    ready.click("denoise")
    ready.until(lambda: "two denoised" in viewer.layers)
    ready.click("stop")
    ready.until_ready("train")


def test_a_dock_that_is_opened_again_shows_the_verdict(viewer, ready, open_dock):
    ready.click("denoise_now")
    ready.until(lambda: ready.find("verdict").text() not in ("", "Checking the result …"))
    ready.until_ready("denoise_now")
    said = ready.find("verdict").text()
    viewer.window.remove_dock_widget(ready.dock)
    again = open_dock(viewer)
    again.until(lambda: again.find("verdict").text() == said, 10)


def test_save_load_denoise_gives_the_same_bits(viewer, ready, quick, tmp_path, monkeypatch):
    path = tmp_path / "cells.safetensors"
    _choose(monkeypatch, "getSaveFileName", tmp_path / "cells")
    _choose(monkeypatch, "getOpenFileName", path)
    ready.train()
    ready.click("save_model")
    ready.until_ready("train")
    assert path.is_file()
    ready.denoise()

    _train_another(ready, quick)
    ready.click("load_model")
    ready.until_ready("denoise")
    assert ready.dock.value().training_config.num_epochs == 2
    assert ready.dock.value().data_config.image_means is None
    ready.denoise()
    first, second = viewer.layers[1].data, viewer.layers[2].data
    assert np.array_equal(first, second)


def test_saved_as_a_package_and_loaded_again(viewer, ready, quick, tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    path = tmp_path / "cells.zip"
    for dialog in ("getSaveFileName", "getOpenFileName"):
        _choose(monkeypatch, dialog, path)
    ready.train()
    ready.click("save_model")
    ready.click("export_ok")
    ready.until(lambda: path.is_file() and ready.find("train").isEnabled())
    ready.denoise()
    _train_another(ready, quick)
    ready.click("load_model")
    ready.until_ready("denoise")
    ready.denoise()
    first, second = viewer.layers[1].data, viewer.layers[2].data
    assert np.array_equal(first, second)


def test_a_file_that_is_no_model_is_said_in_a_sentence(
    ready, tmp_path, monkeypatch, notifications
):
    path = tmp_path / "holiday.safetensors"
    path.write_text("not a model")
    _choose(monkeypatch, "getOpenFileName", path)
    ready.click("load_model")
    ready.until_ready("load_model")
    assert notifications() == [ready.status]
    assert "holiday" in ready.status
    assert not ready.find("denoise").isEnabled()
    assert ready.find("train").isEnabled()


def test_closing_the_file_dialog_does_nothing(ready, monkeypatch):
    _choose(monkeypatch, "getOpenFileName", "")
    ready.click("load_model")
    assert ready.find("load_model").isEnabled()


def _train_another(ready, quick) -> None:
    """Replace the current model, and the settings."""
    ready.dock.setValue(quick(num_epochs=1))
    model = ready.dock.model
    ready.train()
    assert ready.dock.model is not model


def _choose(monkeypatch, dialog: str, path) -> None:
    chosen = (str(path), "")
    monkeypatch.setattr(f"qtpy.QtWidgets.QFileDialog.{dialog}", lambda *given: chosen)


# ---- Forms


@pytest.mark.parametrize("axes", ["YX", "SYX", "ZYX"])
def test_value_and_set_value_are_inverse(qtbot, hand, quick, axes):
    config = quick(axes, roi_size=5, seed=7)
    with qtbot.waitSignal(hand.dock.valueChanged):
        hand.dock.setValue(config)
    assert hand.dock.value() == config


def test_the_controls_edit_the_configuration(hand):
    hand.find("num_epochs").setValue(7)
    hand.find("num_steps").setValue(9)
    hand.find("batch_size").setValue(3)
    hand.find("patch_size_yx").setValue(32)
    hand.find("axes").setValue("ZYX")
    config = hand.dock.value()
    assert config.training_config.num_epochs == 7
    assert config.training_config.num_steps == 9
    assert config.data_config.batch_size == 3
    assert config.data_config.patch_size[1:] == (32, 32)
    assert config.algorithm_config.model.conv_dims == 3


def test_help_is_that_of_the_configuration(hand):
    for name in ("batch_size", "patch_size", "axes"):
        assert DataConfig.model_fields[name].description in hand.find(name).toolTip()


# ---- Two docks, and the end


def test_two_docks_are_independent(make_napari_viewer, open_dock, noisy, quick):
    viewers = make_napari_viewer(show=True), make_napari_viewer(show=True)
    first, second = map(open_dock, viewers)
    for viewer, hand, epochs in zip(viewers, (first, second), (1, 2), strict=True):
        viewer.add_image(noisy, name=f"cells {epochs}")
        hand.dock.setValue(quick(num_epochs=epochs))
    first.click("train")
    second.click("train")
    first.until_ready("train")
    second.until_ready("train")
    assert len(first.find("loss_plot").history.steps) == 3
    assert len(second.find("loss_plot").history.steps) == 6
    first.denoise()
    assert len(viewers[0].layers) == 2
    assert len(viewers[1].layers) == 1


def test_closing_the_dock_stops_the_job(viewer, ready, quick):
    ready.dock.setValue(quick(num_epochs=100_000))
    ready.click("train")
    ready.until(lambda: ready.find("loss_plot").history.steps != [])
    viewer.window.remove_dock_widget(ready.dock)
    ready.until(lambda: not ready.dock.state.busy)


def test_closing_the_window_lists_the_job_and_stops_it(viewer, ready, quick):
    ready.dock.setValue(quick(num_epochs=100_000))
    ready.click("train")
    ready.until(lambda: ready.find("loss_plot").history.steps != [])
    tasks = viewer.window._task_status_manager
    assert tasks.get_status() == ["napari-worker: Executing training on “cells”"]
    tasks.cancel_all()  # what closing the window does, once it was confirmed
    ready.until(lambda: not ready.dock.state.busy)
    QApplication.processEvents()


# ---- Denoise now


def test_denoise_now_waits_for_the_check_and_takes_its_method(viewer, hand, qtbot):
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 10, (128, 130))
    along_x = noise[:, 1:-1] + 0.9 * noise[:, :-2] + 0.9 * noise[:, 2:]
    signal = 100 + 50 * np.sin(np.mgrid[:128, :128][0] / 20)
    viewer.add_image((signal + along_x).astype(np.float32), name="lines")
    hand.find("num_epochs").setValue(1)
    hand.find("num_steps").setValue(2)
    hand.find("batch_size").setValue(1)
    hand.click("denoise_now")
    assert hand.status == "Checking the noise of “lines” …"
    hand.until(lambda: "lines denoised" in viewer.layers)
    hand.until_ready("denoise_now")
    masking = hand.dock.model.config.algorithm_config.n2v_config
    assert masking.struct_mask_axis == "horizontal"


def enlarged():
    coarse = np.random.default_rng(0).normal(100, 10, (32, 32))
    return ndimage.gaussian_filter(np.kron(coarse, np.ones((6, 6))), 3)


def stamp():
    return np.random.default_rng(0).normal(100, 10, (12, 12))


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (enlarged, "correlated in all directions"),
        (stamp, "There are only 144 pixels to train on"),
    ],
)
def test_denoise_now_asks_before_a_training_that_cannot_work(
    viewer, hand, qtbot, image, sentence
):
    viewer.add_image(image().astype(np.float32))
    said = []

    def answer() -> None:
        box = hand.dock.findChild(QMessageBox, "confirm")
        said.append(box.text())
        qtbot.keyClick(box, Qt.Key.Key_Escape)

    QTimer.singleShot(3000, answer)
    hand.click("denoise_now")
    hand.until(lambda: bool(said), 20)
    assert sentence in said[0]
    assert not hand.dock.state.busy
    assert hand.find("denoise_now").isEnabled()


def test_the_verdict_is_in_the_status_line_which_never_scrolls(viewer, ready):
    ready.train()
    ready.denoise()
    ready.until(lambda: ready.find("verdict").text() not in ("", "Checking the result …"))
    said, verdict = ready.status.split("\n")
    assert said == "Denoised into “cells denoised”."
    assert verdict == ready.find("verdict").text()
    assert "“cells denoised”" in ready.find("verdict").toolTip()


def test_closing_the_dock_during_training_asks(viewer, ready, quick, qtbot):
    ready.dock.setValue(quick(num_epochs=1000))
    ready.click("train")
    ready.until(lambda: ready.find("loss_plot").history.steps != [])
    cross = ready.dock.parentWidget().findChild(QPushButton, "QTitleBarCloseButton")

    def press_and_answer(key) -> str:
        said = []

        def answer() -> None:
            box = ready.dock.findChild(QMessageBox, "confirm")
            said.append(box.text())
            qtbot.keyClick(box.buttons()[0 if key == Qt.Key.Key_Space else 1], key)

        QTimer.singleShot(200, answer)
        cross.click()
        return said[0]

    assert "“cells”" in press_and_answer(Qt.Key.Key_Escape)
    assert ready.dock.isVisible()
    assert ready.dock.state.busy
    press_and_answer(Qt.Key.Key_Space)
    assert len(viewer.window.dock_widgets) == 0


def test_the_question_on_closing_follows_what_it_asks_about(viewer, ready, quick, qtbot):
    """Training ends while it is open: then the model is not lost without another one."""
    ready.dock.setValue(quick(num_epochs=2))
    ready.click("train")
    cross = ready.dock.parentWidget().findChild(QPushButton, "QTitleBarCloseButton")
    said = []

    def answer() -> None:
        box = ready.dock.findChild(QMessageBox, "confirm")
        said.append(box.text())
        if len(said) == 1:
            ready.until(lambda: not ready.dock.state.busy)
            QTimer.singleShot(200, answer)
        key = Qt.Key.Key_Space if len(said) == 1 else Qt.Key.Key_Escape
        qtbot.keyClick(box.buttons()[0], key)

    QTimer.singleShot(200, answer)
    cross.click()
    assert "stops the training" in said[0]
    assert "is not saved" in said[1]
    assert ready.dock.isVisible()
    assert ready.dock.model is not None


@pytest.mark.parametrize("trained", [False, True])
def test_quitting_asks_for_a_training_and_for_a_model(
    viewer, ready, quick, qtbot, monkeypatch, trained
):
    class Accepted:
        def __init__(self, *args, **others) -> None: ...

        def exec_(self):
            return QDialog.DialogCode.Accepted

    monkeypatch.setattr("napari._qt.qt_main_window.ConfirmCloseDialog", Accepted)
    ready.dock.setValue(quick(num_epochs=1 if trained else 100_000))
    if trained:
        ready.train()
    else:
        ready.click("train")
        ready.until(lambda: ready.find("loss_plot").history.steps != [])
    said = []

    def answer() -> None:
        box = ready.dock.findChild(QMessageBox, "confirm")
        said.append(box.text())
        qtbot.keyClick(box, Qt.Key.Key_Escape)

    QTimer.singleShot(200, answer)
    viewer.window._qt_window.close(quit_app=True, confirm_need=True)  # Ctrl+Q
    assert ("is not saved" if trained else "stops the training") in said[0]
    assert ready.dock.isVisible()
    assert ready.dock.state.busy != trained


def test_a_model_that_lost_structure_is_not_used_again(viewer, ready, quick):
    """For the image whose structure it lost; there its result is not offered first."""
    viewer.add_image(viewer.layers["cells"].data[:48], name="other")
    ready.find("noisy_layer").setCurrentText("cells")
    ready.train()
    ready.denoise()
    ready.until(lambda: ready.find("verdict").text() != "Checking the result …")
    quality = viewer.layers["cells denoised"].metadata["napari_hush"]["quality"]
    for verdict, does in (
        ("look closer", "Denoise with the current model"),
        ("structure lost", "train a new one"),
    ):
        quality["verdict"] = verdict
        ready.find("noisy_layer").setCurrentText("other")
        assert "Denoise with the current model" in ready.find("denoise_now").toolTip()
        ready.find("noisy_layer").setCurrentText("cells")
        assert does in ready.find("denoise_now").toolTip()
    assert ready.status == (
        "The model “cells” lost structure of “cells”; Denoise now trains a new one."
    )


def test_where_an_unsaved_model_is_once_it_is_replaced(viewer, ready, quick):
    ready.dock.setValue(quick(num_epochs=1))
    ready.train()
    assert "Snapshots" not in ready.status
    viewer.add_image(viewer.layers["cells"].data + 1, name="other")
    ready.find("noisy_layer").setCurrentText("other")
    ready.train()
    assert "“cells”, is under Snapshots" in ready.status
    assert ready.find("snapshots").isEnabled()


def test_denoise_files_opens_the_other_dock_with_the_model(viewer, ready):
    ready.train()
    ready.click("denoise_files")
    ready.until(lambda: len(viewer.window.dock_widgets) == 2)
    alone = viewer.window._qt_window.findChild(QCheckBox, "files_network_alone")
    assert not alone.isChecked()
    ready.click("network_alone")
    ready.click("denoise_files")
    QApplication.processEvents()
    assert len(viewer.window.dock_widgets) == 2
    assert alone.isChecked()


def test_no_model_is_loaded_while_another_is_trained(
    viewer, hand, noisy, quick, tmp_path, notifications
):
    """Neither from the menu of recent models nor by a drop."""
    viewer.add_image(noisy, name="cells")
    hand.dock.setValue(quick())
    assert hand.find("recent_models").isEnabled()
    hand.train()
    path = tmp_path / "cells.safetensors"
    hand.dock.saveModel(path)
    hand.until(lambda: path.exists() and not hand.dock.state.busy)
    hand.dock.setValue(quick(num_epochs=100_000))
    hand.click("train")
    assert not hand.find("recent_models").isEnabled()
    assert drop(hand.dock, drag_of_files(path))
    hand.until(lambda: "busy" in " ".join(notifications()))
    assert hand.dock.state.is_running(Activity.TRAINING)
    hand.until(hand.find("stop").isEnabled)
    hand.click("stop")
    hand.until(lambda: not hand.dock.state.busy)
    assert hand.find("recent_models").isEnabled()
