"""Runs copied as text: pasted elsewhere, they make the same model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from gestures import drag_of_files, drop
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication
from safetensors.numpy import load_file

from napari_hush.config import (
    create_care_configuration,
    create_n2v_configuration,
    load_configuration,
)
from napari_hush.errors import SourceTypeError
from napari_hush.io import write_tiff
from napari_hush.widgets.data.chosen_data import ChosenData
from napari_hush.widgets.data.open_as_layers import open_as_layers
from napari_hush.widgets.data.regions import Extent
from napari_hush.widgets.dock.as_script import as_command, as_python


@pytest.fixture
def file(noisy, tmp_path):
    return write_tiff(tmp_path / "cells it's.tif", noisy, "YX")


def action(hand, words):
    menu = hand.find("copy_settings").menu()
    next(one for one in menu.actions() if one.text() == words).trigger()
    return QApplication.clipboard().text()


def weights(path):
    return load_file(path)


@pytest.mark.process
def test_python_and_command_make_the_bits_of_the_dock(hand, viewer, quick, file, tmp_path):
    open_as_layers(viewer, file)
    hand.dock.setValue(quick())
    python = action(hand, "as Python")
    command = action(hand, "as command line")
    hand.train()
    hand.dock.saveModel(tmp_path / "dock.safetensors")
    hand.until_ready("train")
    docks = weights(tmp_path / "dock.safetensors")
    bin_folder = str(Path(sys.executable).parent)
    for name, run in (
        ("python", [sys.executable, "-c", python]),
        ("command", ["bash", "-c", f'PATH="{bin_folder}:$PATH"; {command}']),
    ):
        folder = tmp_path / name
        folder.mkdir()
        done = subprocess.run(run, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        again = weights(folder / "quick.safetensors")
        assert again.keys() == docks.keys()
        assert all(np.array_equal(again[key], docks[key]) for key in docks), name


@pytest.mark.process
def test_settings_saved_in_the_dock_make_its_bits_elsewhere(
    hand, viewer, quick, file, tmp_path, monkeypatch
):
    """What was set up in the window runs unchanged where no window is."""
    open_as_layers(viewer, file)
    hand.dock.setValue(quick(seed=5))
    path = tmp_path / "from the dock.yml"
    chosen = (str(path), "")
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getSaveFileName", lambda *given: chosen)
    hand.click("fold_settings")
    hand.click("save_settings")
    hand.train()
    hand.dock.saveModel(tmp_path / "dock.safetensors")
    hand.until_ready("train")
    command = [sys.executable, "-m", "napari_hush", "train", path, file]
    command += ["-o", "there.safetensors"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    docks, there = (weights(tmp_path / f"{name}.safetensors") for name in ("dock", "there"))
    assert there.keys() == docks.keys()
    assert all(np.array_equal(there[key], docks[key]) for key in docks)


def test_pixels_without_a_file_are_taken_from_the_viewer_part_by_part(noisy):
    model = ViewerModel()
    layer = model.add_image(noisy, name="cells")
    box = np.array([[0, 0], [0, 20], [24, 20], [24, 0]])
    shapes = model.add_shapes([box], shape_type="rectangle")
    data = ChosenData((layer,), "YX", extent=Extent.SHAPES, shapes=shapes)
    config = create_n2v_configuration("cells", "array", "YX", [16, 16], 2, 1, num_steps=1)
    text = as_python(config, data, model)
    assert "viewer.layers['cells'].data[0:24, 0:20]" in text
    ran = {"viewer": model}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_hush.careamist.CAREamist.save", lambda *given: None)
        exec(text, ran)  # noqa: S102
    assert ran["careamist"].is_trained


def test_what_the_command_line_cannot_do_is_refused_in_a_sentence(noisy, file):
    model = ViewerModel()
    memory = model.add_image(noisy, name="memory")
    config = create_n2v_configuration("cells", "array", "YX", [16, 16], 2)
    for data, said in (
        (ChosenData((memory,), "YX"), "“memory” is not such a file"),
        (ChosenData((memory,), "YX", extent=Extent.SLICE), "whole files"),
        (ChosenData((memory,), "YX", mask=(memory,)), "no masks"),
    ):
        with pytest.raises(SourceTypeError, match=said):
            as_command(config, data)


def test_pairs_of_any_format_are_a_command(noisy, tmp_path):
    model = ViewerModel()
    folders = [tmp_path / name for name in ("noisy.zarr", "clean.zarr")]
    layers = []
    for folder in folders:
        zarr.create_array(folder, data=noisy, dimension_names=("y", "x"))
        layers += open_as_layers(model, folder)
    config = create_care_configuration("cells", "array", "YX", [16, 16], 2)
    text = as_command(config, ChosenData((layers[0],), "YX", target=(layers[1],)))
    assert f"hush train {folders[0]} --target {folders[1]} --config cells.yml" in text
    assert "data_type: zarr" in text


def test_a_layer_of_one_channel_of_a_file_is_not_the_file(noisy, tmp_path):
    path = write_tiff(tmp_path / "two.tif", np.stack([noisy] * 2), "CYX")
    layer = ViewerModel().add_image(noisy, name="DAPI", metadata={"path": str(path)})
    config = create_n2v_configuration("cells", "array", "YX", [16, 16], 2)
    with pytest.raises(SourceTypeError, match="“DAPI” is not such a file"):
        as_command(config, ChosenData((layer,), "YX"))


# ---- Files and sessions


def test_settings_go_into_a_file_and_come_back(
    hand, viewer, noisy, quick, tmp_path, monkeypatch
):
    path = tmp_path / "mine.yml"
    viewer.add_image(noisy, name="cells")
    hand.dock.setValue(quick(seed=7))
    hand.click("fold_settings")
    chosen = (str(path), "")
    for dialog in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(f"qtpy.QtWidgets.QFileDialog.{dialog}", lambda *given: chosen)
    hand.click("save_settings")
    assert load_configuration(path) == quick(seed=7)
    hand.click("reset_all")
    assert hand.dock.value().data_config.seed == 0
    hand.click("load_settings")
    assert hand.dock.value() == quick(seed=7)


def test_a_file_of_nonsense_changes_nothing(hand, tmp_path, notifications):
    path = tmp_path / "mine.yml"
    path.write_text("epochs: many")
    before = hand.dock.value()
    drop(hand.dock, drag_of_files(path))
    assert hand.dock.value() == before
    assert "mine.yml" in notifications()[0]


def test_the_settings_of_the_last_run_are_there_in_the_next_session(
    viewer, hand, open_dock, noisy, quick
):
    viewer.add_image(noisy, name="cells")
    hand.dock.setValue(quick())
    hand.find("batch_size").setValue(3)
    hand.train()
    viewer.window.remove_dock_widget(hand.dock)
    again = open_dock(viewer)
    assert again.dock.value().data_config.batch_size == 3
    assert again.dock.value().training_config.num_steps == 3
