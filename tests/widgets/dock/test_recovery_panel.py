"""The dock offers to resume an interrupted training."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QMessageBox

from napari_hush.events import StepsDone
from napari_hush.widgets.data.training_data import TrainingData
from napari_hush.widgets.jobs.crash_recovery import interrupted_runs
from napari_hush.widgets.jobs.tasks import StopRequest, Training


class Crash(Exception):
    """What nobody expects."""


def crash(event) -> None:
    if isinstance(event, StepsDone) and event.first_step + len(event.losses) >= 4:
        raise Crash


@pytest.fixture
def interrupted(quick, noisy):
    """A training on "cells" of 6 steps, interrupted after 3 or more."""

    def crashed(name: str = "cells"):
        config = quick()
        training = config.training_config.replace(checkpoint_every=0)
        config = config.replace(training_config=training)
        task = Training(config, TrainingData((noisy,)), name)
        with pytest.raises(Crash):
            task(crash, StopRequest())
        return interrupted_runs()[0]

    return crashed


@pytest.fixture
def offered(viewer, open_dock):
    """Opens a dock, which offers something."""

    def opened():
        hand = open_dock(viewer)
        hand.until(hand.find("interrupted").isVisible, 20)
        return hand

    return opened


@pytest.fixture
def answer(monkeypatch):
    """Answers the question whether to discard, with what is set."""
    said = {"now": QMessageBox.StandardButton.Yes, "asked": []}

    def question(parent, title, words):
        said["asked"].append(words)
        return said["now"]

    monkeypatch.setattr(QMessageBox, "question", question)
    return said


def test_nothing_is_offered_without_an_interrupted_training(hand):
    assert not hand.find("interrupted").isVisible()


def test_it_resumes_with_one_click_and_no_layer(interrupted, viewer, offered):
    interrupted()
    hand = offered()
    offer = hand.find("interrupted")
    words = hand.find("interrupted_words").text()
    assert words.startswith("Training on “cells” was interrupted today at ")
    hand.click("interrupted_resume")
    assert not offer.isVisible()
    assert hand.dock.state.subject == "cells"
    hand.until_ready("save_model")
    assert hand.status.startswith("Trained on “cells” in")
    assert not offer.isVisible()
    assert hand.dock.model.steps == 6
    assert hand.find("model_name").text() == "cells"
    assert hand.find("loss_plot").history.steps == [1, 2, 3, 4, 5, 6]
    assert interrupted_runs() == []


def test_it_shows_previews_on_the_layer_of_that_name(
    interrupted, viewer, offered, noisy, monkeypatch
):
    interrupted()
    viewer.add_image(noisy, name="cells")
    hand = offered()
    trained = []
    train = hand.dock._run.train
    monkeypatch.setattr(
        hand.dock._run,
        "train",
        lambda task, layer, *rest, **more: (
            trained.append(layer),
            train(task, layer, *rest, **more),
        ),
    )
    hand.click("interrupted_resume")
    hand.until_ready("save_model")
    assert trained == [viewer.layers["cells"]]
    hand.denoise()
    assert viewer.layers["cells denoised"].data.shape == noisy.shape


def test_a_layer_of_other_dimensions_is_another_one(interrupted, viewer, offered, noisy):
    interrupted()
    viewer.add_image(np.stack([noisy] * 2), name="cells")
    hand = offered()
    hand.click("interrupted_resume")
    hand.until_ready("save_model")
    assert hand.dock.model.steps == 6


@pytest.mark.process
def test_it_resumes_in_a_separate_process(interrupted, viewer, offered):
    interrupted()
    hand = offered()
    hand.find("apart").setChecked(True)
    hand.click("interrupted_resume")
    hand.until_ready("save_model")
    assert hand.dock.model.steps == 6
    assert interrupted_runs() == []


def test_its_model_can_be_used_and_the_rest_discarded(
    interrupted, viewer, offered, noisy, answer
):
    interrupted("cells, 0.5 uM")
    viewer.add_image(noisy, name="other")
    hand = offered()
    hand.click("interrupted_use_model")
    hand.until_ready("save_model")
    assert hand.dock.model.steps >= 3
    assert hand.find("model_name").text() == "cells, 0.5 uM"
    assert "Loaded the model “cells, 0.5 uM”." in hand.status
    hand.denoise()
    assert hand.find("interrupted").isVisible()
    answer["now"] = QMessageBox.StandardButton.No
    hand.click("interrupted_discard")
    assert hand.find("interrupted").isVisible()
    answer["now"] = QMessageBox.StandardButton.Yes
    hand.click("interrupted_discard")
    assert not hand.find("interrupted").isVisible()
    assert interrupted_runs() == []
    assert len(answer["asked"]) == 2
    assert "“cells, 0.5 uM”" in answer["asked"][0]


def test_several_are_counted_and_come_one_after_the_other(
    interrupted, viewer, offered, answer
):
    interrupted("one")
    interrupted("two")
    hand = offered()
    words = hand.find("interrupted_words")
    assert words.text().endswith(" It is the latest of 2 such runs.")
    first = words.text()
    hand.click("interrupted_discard")
    assert hand.find("interrupted").isVisible()
    assert words.text() != first
    assert "more" not in words.text()


def test_without_its_pixels_only_the_model_is_left(
    interrupted, viewer, offered, monkeypatch
):
    from napari_hush.widgets.jobs import pixel_copies

    monkeypatch.setattr(pixel_copies, "MAX_BYTES", 100)
    interrupted()
    hand = offered()
    assert not hand.find("interrupted_resume").isEnabled()
    assert "too large to be copied" in hand.find("interrupted_resume").toolTip()
    assert hand.find("interrupted_use_model").isEnabled()


def test_damaged_pixels_are_reported(interrupted, viewer, offered, notifications):
    run = interrupted()
    hand = offered()
    (run.folder / "noisy-0.npy").unlink()
    hand.click("interrupted_resume")
    assert any("use its model" in said for said in notifications())
    assert not hand.dock.state.busy


def test_a_training_that_fails_is_offered_again(
    interrupted, viewer, offered, notifications
):
    from napari_hush.lightning.checkpoint import FILE

    run = interrupted()
    hand = offered()
    (run.folder / FILE).write_bytes(b"nothing of the kind")
    hand.click("interrupted_resume")
    hand.until(lambda: not hand.dock.state.busy)
    assert any("start a new run" in said for said in notifications())
    assert hand.find("interrupted").isVisible()
