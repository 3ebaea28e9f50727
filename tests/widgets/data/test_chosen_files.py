"""Training from files and folders that are not opened as layers."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
import torch
from gestures import drag_of_files, drop, until_opened
from PIL import Image
from qtpy.QtWidgets import QApplication

from napari_hush.careamist import CAREamist
from napari_hush.cli import main
from napari_hush.errors import HushError
from napari_hush.io import write_tiff
from napari_hush.widgets.data.chosen_data import ChosenData
from napari_hush.widgets.data.chosen_files import in_order_of, read_files

SIZES = {"scale": {"Y": 0.11, "X": 0.11}, "units": dict.fromkeys("YX", "micrometer")}


@pytest.fixture
def folder(noisy, tmp_path):
    """Three images of 64 × 72 pixels of 0.11 µm and a text."""
    folder = tmp_path / "night"
    folder.mkdir()
    for number in (1, 2, 10):
        write_tiff(folder / f"t{number}.tif", noisy + np.uint16(number), "YX", **SIZES)
    (folder / "notes.txt").write_text("notes")
    return folder


@pytest.fixture
def choose(hand, monkeypatch):
    """Choose a folder or files by the menu of a role."""

    def choose(chosen, role="noisy"):
        is_folder = not isinstance(chosen, list)
        dialog = "getExistingDirectory" if is_folder else "getOpenFileNames"
        given = str(chosen) if is_folder else ([str(path) for path in chosen], "")
        monkeypatch.setattr(f"qtpy.QtWidgets.QFileDialog.{dialog}", lambda *some: given)
        menu = hand.find(f"{role}_layer_more").menu()
        menu.aboutToShow.emit()
        words = "Folder from disk …" if is_folder else "Files from disk …"
        next(one for one in menu.actions() if one.text() == words).trigger()
        until_opened(hand)

    return choose


def test_a_folder_is_trained_on_and_no_layer_is_opened_before(
    viewer, hand, folder, quick, choose, notifications
):
    choose(folder)
    hand.dock.setValue(quick())
    assert not viewer.layers
    assert hand.find("noisy_layer").currentText() == "night (3 images)"
    assert hand.find("facts").text() == "3 images, 64 × 72 px · 0.11 µm"
    assert hand.status == "Ready to denoise “night”."
    assert "≈" in hand.find("denoise_now").text()
    assert notifications() == ["Left out of “night”: notes.txt."]
    assert not hand.find("extent").isEnabled()
    hand.until(lambda: "noise" in hand.find("noise").text().lower(), 30)

    hand.train()
    model = hand.dock.model
    assert model.provenance.num_sources == 3
    assert model.provenance.pixel_size.scale["X"] == pytest.approx(0.11)
    (layer,) = viewer.layers  # for the live preview
    assert layer.name == "t1"
    assert hand.find("noisy_layer").currentText() == "night (3 images)"
    assert hand.find("denoise").isEnabled()  # opens the dock for files
    assert "Denoise files" in hand.find("denoise").toolTip()


def test_denoise_now_trains_on_a_folder_once_and_opens_the_dock_for_files(
    viewer, hand, folder, quick, choose
):
    choose(folder)
    hand.dock.setValue(quick())
    for _ in range(2):
        hand.until_ready("denoise_now")
        hand.click("denoise_now")
        hand.until(lambda: len(viewer.window.dock_widgets) == 2)
        hand.until_ready("denoise_now")
    assert hand.dock.model.steps == 6
    assert len(viewer.window.dock_widgets) == 2


def test_copied_texts_train_the_same_model_from_the_folder(
    hand, folder, quick, choose, tmp_path, monkeypatch
):
    choose(folder)
    hand.dock.setValue(quick())
    texts = []
    for action in hand.find("copy_settings").menu().actions():
        action.trigger()
        texts.append(QApplication.clipboard().text())
    python, command = texts
    assert f"train_data=[{str(folder)!r}]" in python
    hand.train()
    monkeypatch.chdir(tmp_path)
    ran = {}
    exec(python, ran)  # noqa: S102
    (tmp_path / "quick.yml").write_text(command.partition("\n")[2].partition("END\n")[0])
    words = shlex.split(command.strip().rpartition("\n")[2])
    assert words[:3] == ["hush", "train", str(folder)]
    (tmp_path / "quick.safetensors").unlink()
    assert main(words[1:]) == 0
    expected = hand.dock.model.network.state_dict()
    for again in (ran["careamist"], CAREamist(source=tmp_path / "quick.safetensors")):
        weights = again.model.network.state_dict()
        assert all(torch.equal(weights[key], expected[key]) for key in expected)


def test_files_have_partners_by_their_names(hand, folder, quick, choose, tmp_path, noisy):
    clean = tmp_path / "clean"
    clean.mkdir()
    for number in (10, 1, 2):
        write_tiff(clean / f"t{number}.tif", noisy + np.uint16(number), "YX")
    choose(folder)
    hand.dock.setValue(quick())
    hand.click("method_3")  # CARE
    choose([clean / "t10.tif", clean / "t1.tif"], "target")
    assert "lack a partner of" in hand.status
    choose([clean / "t10.tif", clean / "t2.tif", clean / "t1.tif"], "target")
    assert hand.status == "Ready to denoise “night”."
    choose(folder, "target")
    assert "both the image and its target" in hand.status


def test_partners_are_in_the_order_of_their_images(folder, tmp_path, noisy):
    clean = [
        write_tiff(tmp_path / f"clean_t{number}.tif", noisy, "YX") for number in (10, 2, 1)
    ]
    images = read_files([folder]).images
    partners = in_order_of(images, read_files(clean).images)
    assert [one.name for one in images] == ["t1.tif", "t2.tif", "t10.tif"]
    assert [one.name for one in partners] == [f"clean_t{n}.tif" for n in (1, 2, 10)]
    with pytest.raises(HushError, match="partner"):
        in_order_of(images, read_files(clean[:2]).images)


def test_images_that_differ_in_size_are_used_and_in_axes_refused(tmp_path, noisy):
    write_tiff(tmp_path / "a.tif", noisy, "YX", **SIZES)
    write_tiff(tmp_path / "b.tif", noisy[:40], "YX", **SIZES)
    files = read_files([tmp_path])
    assert files.describe() == "2 images, of different sizes · 0.11 µm"
    data = ChosenData(files.images, "YX")
    assert data.problem(needs_targets=False) == ""
    assert data.smallest_size(data.windows(None)) == (40, 72)
    write_tiff(tmp_path / "c.tif", np.stack([noisy] * 3), "ZYX")
    data = ChosenData(read_files([tmp_path]).images, "YX")
    assert "same axes" in data.problem(needs_targets=False)


def test_layers_and_files_may_be_switched(viewer, hand, folder, choose, noisy):
    viewer.add_image(np.stack([noisy] * 3), name="movie")
    choose(folder)
    assert hand.find("axes").value() == "YX"
    hand.find("noisy_layer").setCurrentIndex(0)
    assert hand.find("axes").value() == "TYX"
    assert "movie" in hand.status
    assert hand.find("extent").isEnabled()
    choose(folder)
    texts = [hand.find("noisy_layer").itemText(n) for n in range(2)]
    assert texts == ["movie", "night (3 images)"]
    assert hand.find("noisy_layer").count() == 2


def test_a_dropped_folder_of_many_sizes_is_read_from_disk(viewer, hand, tmp_path):
    for side in range(40, 58):
        Image.new("L", (side, 60)).save(tmp_path / f"{side}.png")
    drop(hand.find("noisy_layers"), drag_of_files(tmp_path))
    until_opened(hand)
    assert not viewer.layers
    assert "18 images, of different sizes" in hand.find("facts").text()


def test_files_that_cannot_be_used_are_refused_in_a_sentence(
    hand, tmp_path, choose, notifications
):
    (tmp_path / "notes.docx").write_text("")
    choose([tmp_path / "notes.docx"])
    choose(tmp_path)
    said = notifications()
    assert len(said) == 2
    assert "cannot be opened as an image" in said[0]
    assert "holds no image" in said[1]
