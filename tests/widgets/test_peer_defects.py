"""What is known to go wrong in docks of this kind, and does not here.

Others of these stand where they belong: a failed run and then a good one, training twice,
stopping and training at once, docks in two windows, axes that are wrong and layers that are
renamed or removed in test_denoise_dock.py and test_live_training.py.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_hush.config import N2VManipulateConfig
from napari_hush.widgets.jobs.run_state import Phase


@pytest.fixture
def training(viewer, hand, noisy, quick):
    """A training that would take for ever."""
    viewer.add_image(noisy, name="cells")
    hand.dock.setValue(quick(num_epochs=100_000))
    hand.click("train")
    hand.until(lambda: hand.find("loss_plot").history.steps != [])
    yield hand
    if hand.find("stop").isEnabled():
        hand.click("stop")
    hand.until(lambda: not hand.dock.state.busy)


def test_closing_the_window_asks_first_and_a_no_leaves_the_run_alone(
    viewer, training, monkeypatch
):
    asked = []

    class Dialog:
        def __init__(self, parent, *, extra_info="", **others) -> None:
            asked.append(extra_info)

        def exec_(self):
            return None  # no

    ignored = []
    event = SimpleNamespace(spontaneous=lambda: True, ignore=lambda: ignored.append(True))
    monkeypatch.setattr("napari._qt.qt_main_window.ConfirmCloseDialog", Dialog)
    viewer.window._qt_window.closeEvent(event)
    assert "training on “cells”" in asked[0]
    assert ignored == [True]
    done = training.dock.state.done
    training.until(lambda: training.dock.state.done > done)
    assert training.dock.state.phase is Phase.RUNNING


def test_a_new_training_begins_at_nought_and_its_epochs_are_the_new_ones(training, quick):
    training.click("stop")
    training.until_ready("train")
    training.dock.setValue(quick(num_epochs=3))
    training.train()
    assert training.find("loss_plot").history.steps == list(range(1, 10))
    assert "Trained" in training.status


def test_the_bar_is_empty_before_anything_runs(hand):
    assert hand.find("progress").value() == 0
    assert "-1" not in hand.status


def test_layers_of_several_sizes_are_denoised_one_after_the_other(
    viewer, hand, noisy, quick
):
    viewer.add_image(noisy, name="cells")
    small = viewer.add_image(noisy[:40, :50], name="small")
    hand.find("noisy_layer").setCurrentText("cells")
    hand.dock.setValue(quick())
    hand.train()
    viewer.layers.selection = {small, viewer.layers["cells"]}
    hand.find("scope").setCurrentText("Selected layers")
    hand.denoise()
    assert viewer.layers["cells denoised"].data.shape == (64, 72)
    assert viewer.layers["small denoised"].data.shape == (40, 50)


def test_a_multiscale_layer_is_learned_from_and_denoised_at_its_finest(
    viewer, hand, noisy, quick
):
    levels = [noisy, noisy[::2, ::2]]
    viewer.add_image(levels, name="pyramid", multiscale=True)
    hand.dock.setValue(quick())
    hand.train()
    hand.denoise()
    result = viewer.layers["pyramid denoised"]
    assert result.data.shape == noisy.shape
    assert not np.array_equal(result.data, noisy)


def test_a_number_that_is_out_of_range_cannot_be_typed(hand):
    hand.find("fold_settings").click()
    hand.find("fold_blind_spot").click()
    window = hand.find("all_roi_size")
    before = hand.dock.value()
    window.setValue(1)  # below what a window may be
    config = hand.dock.value().algorithm_config.n2v_config
    lowest = next(
        limit.ge for limit in N2VManipulateConfig.model_fields["roi_size"].metadata
        if hasattr(limit, "ge")
    )  # fmt: skip
    assert config.roi_size >= lowest
    assert before.algorithm_config.n2v_config.roi_size >= lowest


def test_the_train_button_says_what_it_does_not_what_another_does(viewer, hand, noisy):
    viewer.add_image(noisy, name="cells")
    tips = {name: hand.find(name).toolTip() for name in ("train", "denoise", "stop")}
    assert "alidation" not in tips["train"]
    assert len(set(tips.values())) == 3
