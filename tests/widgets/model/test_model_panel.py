"""The card of the model, recent models, and model files dropped on the dock."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QMenu

from napari_hush.careamist import CAREamist
from napari_hush.config.methods import method_of
from napari_hush.models import Model, UNet, save_model
from napari_hush.models.normalization import Normalization
from napari_hush.widgets.model.current_model import CurrentModel


@pytest.fixture
def model_file(quick, noisy, tmp_path):
    """A model of another program run, saved as a file."""
    careamist = CAREamist(quick(struct_n2v_axis="horizontal"))
    careamist.train(train_source=noisy)
    return careamist.save(tmp_path / "earlier.safetensors")


def test_a_model_file_dropped_on_the_dock_is_loaded_and_described(
    viewer, hand, noisy, model_file
):
    viewer.add_image(noisy, name="cells")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(model_file))])
    common = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    copy = Qt.DropAction.CopyAction
    over = QDragEnterEvent(QPoint(5, 5), copy, mime, *common)
    QApplication.sendEvent(hand.dock, over)
    assert over.isAccepted()
    QApplication.sendEvent(hand.dock, QDropEvent(QPointF(5, 5), copy, mime, *common))
    hand.until_ready("denoise")
    assert not hand.find("model_card").isVisible()
    hand.click("fold_model")
    assert hand.find("model_card").isVisible()
    card = hand.find("model_card").text().replace("\N{NO-BREAK SPACE}", " ")
    for said in ("structN2V", "1 channel", "axes YX", "2 epochs", "6 steps", "16 × 16"):
        assert said in card
    assert "earlier" in hand.status
    hand.denoise()
    assert len(viewer.layers) == 2


def test_recent_models_are_listed_and_missing_ones_disabled(hand, model_file, tmp_path):
    hand.dock.loadModel(model_file)
    hand.until_ready("load_model")
    menu = hand.find("recent_models").menu()
    menu.aboutToShow.emit()
    (action,) = menu.actions()
    assert action.text() == "earlier"
    hand.dock._model = CurrentModel()
    action.trigger()
    hand.until_ready("save_model")
    model_file.unlink()
    menu.aboutToShow.emit()
    assert not menu.actions()[0].isEnabled()
    assert "no longer exists" in menu.actions()[0].toolTip()


def test_a_loaded_model_can_be_trained_on(viewer, hand, noisy, model_file):
    viewer.add_image(noisy, name="cells")
    hand.dock.loadModel(model_file)
    hand.until_ready("train_on")
    hand.click("train_on")
    hand.until_ready("train_on")
    assert hand.dock.model.steps == 12
    assert hand.find("loss_plot").history.steps == list(range(7, 13))


def test_the_menu_restores_the_model_before(viewer, hand, noisy, quick, model_file):
    viewer.add_image(noisy, name="cells")
    hand.dock.loadModel(model_file)
    hand.until_ready("train")
    loaded = hand.dock.model
    hand.dock.setValue(quick(num_epochs=1))
    hand.train()
    assert hand.dock.model.steps == 3
    hand.click("snapshots")
    menu = hand.dock.findChild(QMenu, "snapshot_menu")
    menu.actions()[-1].trigger()
    menu.close()
    assert hand.dock.model is loaded
    assert "“earlier” after 6 steps" in hand.status
    assert "6 steps" in hand.find("model_card").text()


def test_a_package_is_written_and_read_back_to_the_bit(
    viewer, hand, noisy, quick, tmp_path, monkeypatch
):
    viewer.add_image(noisy, name="cells")
    hand.dock.setValue(quick())
    hand.train()
    path = (str(tmp_path / "shared.zip"), "")
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getSaveFileName", lambda *given: path)
    hand.click("save_model")
    hand.click("export_ok")
    hand.until_ready("save_model")
    assert "shared.zip" in hand.status
    with zipfile.ZipFile(tmp_path / "shared.zip") as package:
        test_input = np.load(io.BytesIO(package.read("test_input.npy")))
    top, left = (256 - 64) // 2, (256 - 72) // 2  # the whole layer, in the middle
    assert np.array_equal(test_input[0, 0, top:-top, left:-left], noisy)
    hand.denoise()
    hand.dock.loadModel(tmp_path / "shared.zip")
    hand.until_ready("denoise")
    assert "shared.zip" in hand.status
    hand.denoise()
    first, second = (viewer.layers[n].data for n in (1, 2))
    assert np.array_equal(first, second)


def untrained_file(path, config, mean=20.0):
    """A model of random weights, for images of that mean."""
    network = config.algorithm_config.model
    scaling = Normalization((mean,) * network.in_channels, (10.0,) * network.in_channels)
    return save_model(Model(config, UNet(network).eval(), scaling), path)


def loaded(hand, path):
    hand.dock.loadModel(path)
    hand.until_ready("load_model")


def test_a_2d_model_on_a_stack_says_that_it_takes_planes(
    viewer, hand, noisy, quick, tmp_path
):
    viewer.add_image(np.stack([noisy] * 3), name="stack", axis_labels=("z", "y", "x"))
    loaded(hand, untrained_file(tmp_path / "flat.safetensors", quick()))
    assert "Loaded" in hand.status
    assert "“stack” plane by plane" in hand.status
    assert "the current model, which fits" in hand.find("denoise_now").toolTip()
    hand.denoise()
    assert viewer.layers[-1].data.shape == (3, *noisy.shape)


def test_a_model_of_other_intensities_is_not_used_unasked(
    viewer, hand, noisy, quick, tmp_path
):
    viewer.add_image(noisy, name="cells")  # about 20
    loaded(hand, untrained_file(tmp_path / "bright.safetensors", quick(), mean=5000.0))
    hand.until(lambda: "the current model" not in hand.find("denoise_now").toolTip())
    viewer.add_image(noisy + 4980, name="bright cells")
    hand.find("noisy_layer").setCurrentText("bright cells")
    hand.until(lambda: "the current model" in hand.find("denoise_now").toolTip())
    hand.find("noisy_layer").setCurrentText("cells")
    hand.until(lambda: "trained on other intensities" in hand.status)
    assert hand.find("denoise").isEnabled()  # whoever wants it


@pytest.mark.parametrize(
    ("axes", "said"),
    [("ZYX", "denoises stacks, but “cells” has"), ("CYX", "of 2 channels, but “cells”")],
)
def test_a_model_that_does_not_fit_says_so_in_the_status_line(
    viewer, hand, noisy, quick, tmp_path, axes, said
):
    viewer.add_image(noisy, name="cells")
    count = {"n_channels": 2} if "C" in axes else {}
    loaded(hand, untrained_file(tmp_path / "other.safetensors", quick(axes, **count)))
    assert said in hand.status
    assert hand.find("status").property("kind") == "problem"
    assert "press Denoise now for a new model" in hand.status
    assert "train a new one" in hand.find("denoise_now").toolTip()
    viewer.add_image(np.stack([noisy] * 2), name="more", axis_labels=tuple(axes.lower()))
    hand.find("noisy_layer").setCurrentText("more")
    hand.until_ready("denoise")
    assert hand.find("status").property("kind") == "plain"


def test_another_method_is_not_ignored_when_training_further(
    viewer, hand, noisy, quick, tmp_path
):
    viewer.add_image(noisy, name="cells")
    loaded(hand, untrained_file(tmp_path / "n2v.safetensors", quick()))
    hand.click("method_1")
    reason = hand.find("not_trained")
    assert reason.isVisible()
    assert "trained with N2V; choose N2V" in reason.text()
    assert not hand.find("train_on").isEnabled()
    assert hand.find("train").isEnabled()
    hand.click("method_4")  # CARE, without a target; the model itself still fits
    assert "target" in reason.text()
    assert not hand.find("train").isEnabled()
    assert hand.find("denoise_now").isEnabled()
    hand.click("method_2")
    assert not reason.isVisible()
    hand.click("train_on")
    hand.until_ready("train_on")
    assert method_of(hand.dock.model.config).label == "structN2V"


def test_training_further_takes_the_learning_rate_that_is_set(
    viewer, hand, noisy, quick, tmp_path
):
    viewer.add_image(noisy, name="cells")
    loaded(hand, untrained_file(tmp_path / "n2v.safetensors", quick()))
    hand.dock.setValue(quick(optimizer_params={"lr": 5e-4}))
    hand.click("train_on")
    hand.until_ready("train_on")
    assert hand.dock.model.config.algorithm_config.optimizer.learning_rate == 5e-4
