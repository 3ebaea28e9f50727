"""Layers and files dropped on the dock, and runs on what was chosen."""

from __future__ import annotations

import re
import threading

import dask.array as da
import numpy as np
import pytest
from gestures import drag_of_files, drag_of_layers, drop, until_opened
from qtpy.QtWidgets import QAbstractButton, QLabel

from napari_hush.config.training import PRESETS
from napari_hush.io import write_tiff
from napari_hush.widgets.jobs.tasks import LOADER
from napari_hush.widgets.results.pairing import result_mark
from napari_hush.widgets.settings.cost_estimate import LEAST_STEPS, Speed
from napari_hush.widgets.user_settings import load_setting, save_setting


def field(hand, role):
    return hand.find(f"{role}_layers")


def names(hand, role):
    return [layer.name for layer in field(hand, role).value()]


@pytest.fixture
def layers(viewer, noisy):
    return [
        viewer.add_image(noisy + np.uint16(n), name=name)
        for n, name in enumerate(["cells", "again", "third"])
    ]


def test_layers_dropped_on_a_field_are_chosen_and_stay_in_the_list(viewer, hand, layers):
    assert drop(field(hand, "noisy"), drag_of_layers(viewer, layers[2], layers[0]))
    assert names(hand, "noisy") == ["third", "cells"]
    assert len(viewer.layers) == 3
    assert "cells" in hand.find("noisy_layer_others").text()
    viewer.layers.remove("cells")
    assert names(hand, "noisy") == ["third"]
    shapes = viewer.add_shapes([np.array([[0, 0], [9, 9]])], shape_type="line")
    drop(field(hand, "noisy"), drag_of_layers(viewer, shapes))
    assert names(hand, "noisy") == ["third"]


def test_a_further_layer_that_changes_counts_at_once(viewer, hand, layers, noisy):
    field(hand, "noisy").setLayers(layers[:2])
    layers[1].name = "second"
    assert hand.find("noisy_layer_others").text() == "and second"
    assert hand.find("train").isEnabled()
    layers[1].data = np.stack([noisy] * 2)
    assert "“second” has other dimensions" in hand.status
    layers[1].data = noisy
    assert hand.find("train").isEnabled()


def test_files_dropped_on_a_field_become_layers_with_their_axes(
    viewer, hand, noisy, tmp_path, notifications
):
    movie = np.stack([noisy] * 3)
    write_tiff(
        tmp_path / "movie.tif",
        movie,
        "ZYX",
        scale={"Z": 0.5, "Y": 0.1, "X": 0.1},
        units=dict.fromkeys("ZYX", "micrometer"),
    )
    assert drop(field(hand, "noisy"), drag_of_files(tmp_path / "movie.tif"))
    until_opened(hand)
    (layer,) = viewer.layers
    assert np.array_equal(np.asarray(layer.data), movie)
    assert hand.find("axes").value() == "ZYX"
    assert np.allclose(layer.scale, (0.5, 0.1, 0.1))
    assert "µm" in hand.find("facts").text()
    (tmp_path / "broken.tif").write_text("no image")
    drop(field(hand, "target"), drag_of_files(tmp_path / "broken.tif"))
    until_opened(hand)
    assert len(viewer.layers) == 1
    assert "broken.tif" in notifications()[0]


def test_a_folder_of_alike_files_becomes_one_lazy_stack(viewer, hand, noisy, tmp_path):
    folder = tmp_path / "night"
    folder.mkdir()
    for number in range(3):
        write_tiff(folder / f"{number}.tif", noisy + np.uint16(number), "YX")
    assert drop(field(hand, "noisy"), drag_of_files(folder))
    until_opened(hand)
    (layer,) = viewer.layers
    assert layer.name == "night"
    assert isinstance(layer.data, da.Array)
    assert hand.find("axes").value() == "SYX"
    assert np.array_equal(np.asarray(layer.data[2]), noisy + 2)


def test_the_target_row_appears_for_pairs_and_the_same_layer_is_refused(
    hand, layers, quick
):
    hand.dock.setValue(quick())
    assert not hand.find("target_layer").isVisible()
    hand.click("method_3")
    assert hand.find("target_layer").isVisible()
    assert "target of “cells”" in hand.status
    drop_on = field(hand, "target")
    drop_on.setLayers([layers[0]])
    assert not hand.find("train").isEnabled()
    assert hand.find("train").toolTip() == hand.status
    assert "both the image and its target" in hand.status
    hand.find("target_layer").setCurrentIndex(2)
    hand.train()
    assert "Trained" in hand.status
    assert hand.dock.model.config.algorithm_config.algorithm == "n2n"


def test_several_layers_in_memory_and_not_are_one_training_set(
    viewer, hand, layers, noisy, quick, monkeypatch
):
    from napari_hush.careamist import CAREamist

    seen = []
    train = CAREamist.train
    monkeypatch.setattr(
        CAREamist,
        "train",
        lambda self, datamodule, **where: (
            seen.append(datamodule) or train(self, datamodule=datamodule, **where)
        ),
    )
    lazy = viewer.add_image(da.from_array(noisy, chunks=(16, 16)), name="lazy")
    hand.dock.setValue(quick())
    field(hand, "noisy").setLayers([layers[0], lazy])
    hand.train()
    assert "Trained" in hand.status
    assert seen[0].train_data[0] is layers[0].data
    assert type(seen[0].train_data[1]) is np.ndarray  # a copy, to go on with if need be


def test_a_run_inside_a_shape_learns_from_that_part_alone(viewer, hand, layers, quick):
    hand.dock.setValue(quick())
    box = np.array([[0, 0], [0, 20], [20, 20], [20, 0]])
    hand.click("fold_data")
    hand.find("extent").setCurrentIndex(3)
    assert "shape" in hand.status
    assert not hand.find("train").isEnabled()
    viewer.add_shapes([box, box + 30], shape_type="rectangle")
    hand.until_ready("train")
    hand.train()
    statistics = hand.dock.model.normalization
    parts = np.concatenate([layers[0].data[a : a + 20, a : a + 20] for a in (0, 30)])
    assert statistics.means[0] == pytest.approx(parts.mean(), rel=0.05)
    assert "Trained" in hand.status


READ_ONCE = (
    "axes",
    "target_layer",
    "validation_layer",
    "validation_target_layer",
    "mask_layer",
    "extent",
    "method_0",
    "preset_0",
    "fold_settings",
    "batch_size",
    "load_settings",
    "reset_all",
)
"""Controls that a training run has read before it begins."""


def times_of(hand):
    """All expected times and times left that a person can read in the dock."""
    texts = [one.text() for one in hand.dock.findChildren(QLabel) if one.isVisible()]
    texts += [b.text() for b in hand.dock.findChildren(QAbstractButton) if b.isVisible()]
    said = [re.findall(r"≈\s*([\w\s]+)|([\w\s]+)\sleft", text) for text in texts]
    return ["".join(one).strip() for found in said for one in found]


def test_the_cost_is_said_before_the_start_and_follows_the_preset(hand, layers):
    hand.click("fold_training")
    texts = []
    for place, preset in enumerate(PRESETS):
        hand.click(f"preset_{place}")
        texts.append(hand.find("cost").text())
        title = hand.find("fold_training").text()
        assert "N2V · ≈" in title
        assert title.endswith(f" · {preset.name}")
        times = times_of(hand)
        assert len(times) == 3  # button, title and preset
        assert len(set(times)) == 1
    assert len(set(texts)) == len(PRESETS)
    assert all("steps" in text and "MB" in text and "≈" in text for text in texts)


def test_a_run_shows_its_own_time_alone_and_corrects_the_next_estimate(hand, layers, quick):
    hand.dock.setValue(quick(num_steps=20_000))
    hand.click("fold_training")
    before = load_setting("speeds")["auto"]
    hand.click("train")
    assert "≈" not in hand.find("cost").text() + hand.find("fold_training").text()
    hand.until(lambda: "left" in hand.status and hand.dock.state.done >= LEAST_STEPS)
    assert len(times_of(hand)) == 1
    assert not any(hand.find(name).isEnabled() for name in READ_ONCE)
    assert hand.find("noisy_layer").isEnabled()  # to denoise another layer meanwhile
    hand.click("stop")
    hand.until_ready("train")
    training, also_training, _denoising = times_of(hand)
    assert training.startswith(also_training)  # the heading may be elided
    assert all(hand.find(name).isEnabled() for name in READ_ONCE)
    after = load_setting("speeds")["auto"]
    assert after["rate"] == before["rate"]
    assert list(after["ratios"]) == ["2D 8 x 2"]


def test_a_run_that_begins_before_the_device_is_measured_has_the_time_of_its_preset(
    hand, layers
):
    """A guess of the speed would make it too long on a slow device, or too short."""
    save_setting("speeds", {})
    hand.click("preset_0")
    loaded = threading.Event()
    threading.Thread(target=loaded.wait, name=LOADER).start()
    hand.click("train")
    Speed(rate=1e6, overhead=10.0).save("auto")  # as `load_engine` does at its end
    loaded.set()
    hand.until(lambda: hand.dock.state.total > 0)
    assert hand.dock.state.total == PRESETS[0].fewest
    hand.click("stop")
    hand.until_ready("train")


def test_the_preset_of_the_last_run_is_chosen_again(
    viewer, hand, layers, make_napari_viewer, open_dock
):
    hand.click("preset_2")
    hand.click("train")
    hand.click("stop")
    hand.until_ready("train")
    again = open_dock(make_napari_viewer())
    assert again.find("preset_2").isChecked()
    again.find("num_epochs").setValue(3)
    assert not again.find("preset_2").isChecked()


def test_after_a_result_the_image_that_is_opened_or_selected_is_chosen(
    viewer, hand, layers, noisy
):
    chooser = hand.find("noisy_layer")
    assert chooser.currentText() == "cells"
    viewer.add_image(noisy, name="result", metadata=result_mark(str(layers[0].unique_id)))
    assert chooser.currentText() == "cells"
    viewer.add_image(noisy, name="next")
    assert chooser.currentText() == "next"
    viewer.layers.selection.active = layers[0]
    viewer.add_points([[1, 2]])
    assert chooser.currentText() == "cells"
    hand.find("truth_layer").setCurrentText("again")
    viewer.layers.selection.active = layers[1]
    assert chooser.currentText() == "cells"
    chooser.setCurrentText("third")  # by hand
    viewer.add_image(noisy, name="fourth")
    assert chooser.currentText() == "third"
    viewer.layers.remove("third")
    viewer.layers.selection.active = viewer.layers["next"]
    assert chooser.currentText() == "next"
