"""The card of the model, recent models, and model files dropped on the dock."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication

from napari_hush.careamist import CAREamist


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
    card = hand.find("model_card").text()
    for said in ("structN2V", "1 channel", "axes YX", "2 epochs", "6 steps", "16 × 16"):
        assert said in card
    assert "earlier" in hand.status
    hand.denoise()
    assert len(viewer.layers) == 2


def test_recent_models_are_offered_and_those_that_are_gone_are_not(
    hand, model_file, tmp_path
):
    hand.dock.loadModel(model_file)
    hand.until_ready("load_model")
    menu = hand.find("recent_models").menu()
    menu.aboutToShow.emit()
    (action,) = menu.actions()
    assert action.text() == "earlier"
    hand.dock._model = None
    action.trigger()
    hand.until_ready("save_model")
    model_file.unlink()
    menu.aboutToShow.emit()
    assert not menu.actions()[0].isEnabled()
    assert "not there any more" in menu.actions()[0].toolTip()
