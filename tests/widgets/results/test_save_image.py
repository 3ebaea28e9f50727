"""Save image …, by mouse and keys; what is in the files is read by tifffile and zarr."""

from __future__ import annotations

from pathlib import Path

import dask.array
import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QFileDialog, QLineEdit, QMessageBox

from napari_hush.io import ImageMetadata
from napari_hush.widgets.data.layers import FILE, Origin, infer_axes
from napari_hush.widgets.results.pairing import result_mark
from napari_hush.widgets.results.save_image import (
    FILTERS,
    SavingImage,
    layer_metadata,
    with_suffix,
)

TIFF, OME, ZARR = FILTERS
RECORD = {"source": {"axes": ""}, "model": {}, "software": {}}


def add_pair(viewer, pixels, axes="", *, name="cells", dtype="float32", path="", **look):
    """A layer and its result, twice its gray values, with units where axes are given."""
    if axes:
        letters = axes if not look.get("rgb") else axes.replace("C", "")
        size = {"T": (2.5, "second"), "Z": (0.7, "um"), "Y": (0.2, "um"), "X": (0.1, "um")}
        look |= {
            "axis_labels": letters.lower(),
            "scale": [size.get(a, (1, "pixel"))[0] for a in letters],
            "units": [size.get(a, (1, "pixel"))[1] for a in letters],
        }
    before = viewer.add_image(pixels, name=name, metadata={"path": str(path)}, **look)
    origin = Origin.of(before)
    record = RECORD | {"source": {"axes": axes or infer_axes(before)}}
    mark = result_mark(origin.source_id, provenance=record)
    after = viewer.add_image(
        (2 * np.asarray(pixels)).astype(dtype),
        name=f"{name} denoised",
        metadata=origin.metadata | mark,
        **origin.appearance,
    )
    return before, after


@pytest.fixture
def own_dialogs():
    """Qt's own dialogs, which can be typed into on each system."""
    native = Qt.ApplicationAttribute.AA_DontUseNativeDialogs
    before = QApplication.testAttribute(native)
    QApplication.setAttribute(native, True)
    yield
    QApplication.setAttribute(native, before)


class Answers:
    """Types into the dialog for files, and answers questions, as they open."""

    def __init__(self, name: str = "", kind: str = TIFF, replace: str = "Replace") -> None:
        self.name, self.kind, self.replace = name, kind, replace
        self.suggested = Path()
        self.asked: list[str] = []
        self._timer = QTimer()
        self._timer.timeout.connect(self._answer)
        self._timer.start(50)

    def stop(self) -> None:
        self._timer.stop()

    def _answer(self) -> None:
        dialog = QApplication.activeModalWidget()
        if isinstance(dialog, QFileDialog):
            line = dialog.findChild(QLineEdit, "fileNameEdit")
            self.suggested = Path(dialog.directory().absolutePath()) / line.text()
            dialog.findChild(QComboBox, "fileTypeCombo").setCurrentText(self.kind)
            if self.name:
                line.selectAll()
                QTest.keyClicks(line, self.name)
            QTest.keyClick(line, Qt.Key.Key_Return)
        elif isinstance(dialog, QMessageBox):
            self.asked.append(dialog.text())
            buttons = {
                button.text().replace("&", ""): button for button in dialog.buttons()
            }
            QTest.mouseClick(buttons[self.replace], Qt.MouseButton.LeftButton)


@pytest.fixture
def save(hand, own_dialogs):
    """Click Save image, answer the dialog, and wait for the end."""

    def press(*args, **more) -> Answers:
        answers = Answers(*args, **more)
        hand.click("save_image")
        answers.stop()
        hand.until(lambda: not hand.dock.state.busy, 20)
        return answers

    return press


def test_a_result_is_saved_next_to_its_source_by_a_click_and_enter(
    viewer, hand, save, noisy, tmp_path
):
    assert not hand.find("save_image").isVisible()
    add_pair(viewer, noisy, "YX", path=tmp_path / "cells.tif")
    answers = save()
    path = tmp_path / "cells denoised.tif"
    assert answers.suggested == path
    assert hand.status == "Saved the image as “cells denoised.tif”."
    with tifffile.TiffFile(path) as file:
        assert np.array_equal(file.asarray(), 2 * noisy)
        assert file.asarray().dtype == np.float32
        assert file.imagej_metadata["unit"] == "micron"
        tags = file.pages.first.tags
        x, y = (tags[f"{axis}Resolution"].value for axis in "XY")
        assert (x[0] / x[1], y[0] / y[1]) == pytest.approx((10, 5))
        assert '"model"' in file.imagej_metadata["Info"]
    assert answers.asked == []


@pytest.mark.parametrize("kind", [TIFF, OME, ZARR])
def test_stacks_of_channels_keep_axes_types_and_names(viewer, hand, save, tmp_path, kind):
    pixels = np.random.default_rng(0).integers(0, 900, (3, 4, 2, 32, 36)).astype(np.uint16)
    _, after = add_pair(viewer, pixels, "TZCYX", dtype="uint16", path=tmp_path / "a.tif")
    after.metadata["channels"] = ["DAPI", "GFP"]
    save(kind=kind)
    clean = 2 * pixels
    if kind == ZARR:
        zarr = pytest.importorskip("zarr")
        group = zarr.open_group(tmp_path / "cells denoised.ome.zarr", mode="r")
        scales = group.attrs["ome"]["multiscales"][0]
        assert [axis["name"] for axis in scales["axes"]] == [*"tczyx"]
        scale = scales["datasets"][0]["coordinateTransformations"][0]["scale"]
        assert scale == [2.5, 1, 0.7, 0.2, 0.1]
        there = group["0"][:].transpose(0, 2, 1, 3, 4)
        labels = [one["label"] for one in group.attrs["ome"]["omero"]["channels"]]
    else:
        name = "cells denoised.ome.tif" if kind == OME else "cells denoised.tif"
        with tifffile.TiffFile(tmp_path / name) as file:
            (series,) = file.series
            there = series.asarray()
            if kind == OME:
                assert series.axes == "TCZYX"
                there = there.transpose(0, 2, 1, 3, 4)
                known = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
                assert (known["TimeIncrement"], known["PhysicalSizeZ"]) == (2.5, 0.7)
                labels = [one["Name"] for one in known["Channel"]]
            else:
                assert series.axes == "TZCYX"
                known = file.imagej_metadata
                assert (known["finterval"], known["spacing"]) == (2.5, 0.7)
                labels = known["Labels"][:2]
    assert there.dtype == np.uint16
    assert np.array_equal(there, clean)
    assert labels == ["DAPI", "GFP"]


@pytest.mark.parametrize("channels", [3, 4])
def test_colors_are_saved_as_colors(viewer, hand, save, tmp_path, channels):
    colours = np.random.default_rng(0).integers(0, 120, (30, 40, channels)).astype(np.uint8)
    add_pair(viewer, colours, "YXC", rgb=True, dtype="uint8", path=tmp_path / "a.png")
    save()
    with tifffile.TiffFile(tmp_path / "cells denoised.tif") as file:
        assert file.pages.first.photometric == tifffile.PHOTOMETRIC.RGB
        assert np.array_equal(file.asarray(), 2 * colours[..., :3])
    assert ("alpha channel is left out" in hand.status) == (channels == 4)


def test_an_existing_file_is_replaced_only_after_a_question(viewer, save, noisy, tmp_path):
    add_pair(viewer, noisy, "YX", path=tmp_path / "a.tif")
    path = tmp_path / "cells denoised.tif"
    path.write_text("old")
    answers = save(replace="Cancel")
    assert answers.asked == ["“cells denoised.tif” already exists."]
    assert path.read_text() == "old"
    save()
    assert np.array_equal(tifffile.imread(path), 2 * noisy)


def test_the_file_of_the_source_is_never_replaced(
    viewer, save, noisy, tmp_path, notifications
):
    path = tmp_path / "raw.tif"
    tifffile.imwrite(path, noisy)
    add_pair(viewer, noisy, path=path)
    save("raw.tif")
    assert "choose another name" in notifications()[-1]
    assert np.array_equal(tifffile.imread(path), noisy)


def test_the_files_of_a_stack_are_never_replaced(
    viewer, save, noisy, tmp_path, notifications
):
    folder = tmp_path / "raw"
    folder.mkdir()
    for name, plane in zip("ab", noisy[:2], strict=True):
        tifffile.imwrite(folder / f"{name}.tif", plane)
    add_pair(viewer, noisy[:2], path=folder)
    save(str(folder / "b.tif"))
    assert "choose another name" in notifications()[-1]
    assert np.array_equal(tifffile.imread(folder / "b.tif"), noisy[1])
    for _ in range(2):  # an earlier result is no file of the stack
        answers = save(str(folder / "new.tif"))
    assert answers.asked == ["“new.tif” already exists."]


def test_what_a_partial_result_lacks_is_said(viewer, hand, save, noisy, tmp_path):
    _, after = add_pair(viewer, noisy, path=tmp_path / "raw.tif")
    after.metadata["napari_hush"]["partial"] = True
    after.name = "cells denoised (partial)"
    answers = save(replace="Cancel")
    assert list(tmp_path.iterdir()) == []
    assert "Only a part of “cells denoised (partial)” is denoised" in answers.asked[0]
    save(replace="Save anyway")
    name = "cells denoised (partial).tif"
    assert hand.status == f"Saved the image as “{name}”; only a part of it is denoised."
    with tifffile.TiffFile(tmp_path / name) as file:
        assert '"partial": true' in file.imagej_metadata["Info"]


def test_cancelled_half_way_nothing_is_left(viewer, hand, own_dialogs, tmp_path):
    movie = dask.array.zeros((4000, 128, 128), chunks=(1, 128, 128), dtype="float32")
    before = viewer.add_image(movie, name="cells", metadata={"path": str(tmp_path / "a")})
    mark = result_mark(str(before.unique_id))
    viewer.add_image(movie, metadata={"path": str(tmp_path / "a")} | mark, name="clean")
    answers = Answers()
    hand.click("save_image")
    hand.until(lambda: hand.find("progress").value() > 0, 20)
    assert hand.find("cancel").isVisible()
    hand.click("cancel")
    hand.until(lambda: not hand.dock.state.busy, 20)
    assert answers.suggested.name == "clean.tif"
    assert hand.status == "Cancelled; “clean.tif” is not written."
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said(viewer, hand, save, noisy, tmp_path, monkeypatch):
    def full(path):
        return type("Usage", (), {"free": 10})

    monkeypatch.setattr("shutil.disk_usage", full)
    add_pair(viewer, noisy, path=tmp_path / "raw.tif")
    save()
    assert "free some space" in hand.status
    assert list(tmp_path.iterdir()) == []


def test_sizes_come_from_the_layer_and_else_from_its_file(viewer, noisy):
    movie = np.stack([noisy] * 3)
    plain = viewer.add_image(movie)
    assert layer_metadata(plain, "TYX") == ImageMetadata()
    plain.scale = (1, 0.5, 0.25)  # set by hand, without a unit
    known = layer_metadata(plain, "TYX")
    assert (known.scale, known.units) == ({"Y": 0.5, "X": 0.25}, {})
    plain.metadata[FILE] = ImageMetadata.of(
        None, {"T": 3, "Y": 9, "X": 9}, {"T": "s", "Y": "um", "X": "um"}, channels=["GFP"]
    )
    known = layer_metadata(plain, "TYX")
    assert known.scale == {"T": 3, "Y": 0.5, "X": 0.25}
    assert known.units == {"T": "second", "Y": "micrometer", "X": "micrometer"}
    assert known.channels == ("GFP",)
    placed = viewer.add_image(
        movie, scale=(2, 1, 1), units=("ms", "nm", "nm"), translate=(9, 5, 7)
    )
    known = layer_metadata(placed, "TYX")
    assert known.scale == {"T": 2, "Y": 1, "X": 1}
    assert known.units == {"T": "millisecond", "Y": "nanometer", "X": "nanometer"}
    assert known.position == {"Y": 5, "X": 7}


@pytest.mark.parametrize(
    ("name", "wanted", "saved"),
    [
        ("a.tif", ".tif", "a.tif"),
        ("a.TIFF", ".tif", "a.TIFF"),
        ("a", ".tif", "a.tif"),
        ("a.b", ".ome.tif", "a.b.ome.tif"),
        ("a.tif", ".ome.tif", "a.ome.tif"),
        ("a.tif", ".ome.zarr", "a.ome.zarr"),
        ("a.zarr", ".tif", "a.zarr"),
        ("a.ome.tif", ".tif", "a.ome.tif"),
        ("a.ome.zarr", ".ome.zarr", "a.ome.zarr"),
    ],
)
def test_the_format_is_the_chosen_one_unless_the_name_says_another(name, wanted, saved):
    assert with_suffix(Path(name), wanted) == Path(saved)


def test_dimensions_of_size_1_do_not_matter(viewer, noisy, tmp_path):
    movie = np.stack([noisy, noisy + 1])[:, None]
    _, after = add_pair(viewer, movie)
    after.metadata["napari_hush"]["provenance"]["source"]["axes"] = "TYX"
    task = SavingImage.of(after, tmp_path / "a.tif")
    assert task.axes == "T1YX"
    task(lambda event: None, type("Stop", (), {"is_set": lambda self: False})())
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), 2 * movie[:, 0])


def test_only_results_of_the_chosen_image_are_saved(viewer, hand, noisy):
    source = viewer.add_image(noisy, name="cells")
    mark = {"napari_hush": {"source_id": str(source.unique_id), "number": 1}}
    result = viewer.add_image(noisy, name="cells denoised", metadata=mark)
    hand.find("noisy_layer").setCurrentText("cells")
    assert hand.find("save_image").isEnabled()
    viewer.add_image(noisy + 1, name="other")
    viewer.layers.remove(source)
    hand.find("noisy_layer").setCurrentText("other")
    assert not hand.find("save_image").isEnabled()
    viewer.layers.selection.active = result
    hand.until(lambda: hand.find("save_image").isEnabled())
