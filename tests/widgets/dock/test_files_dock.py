"""The dock for images on disk, by clicks in a real window."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QDesktopServices
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QProgressBar, QScrollArea, QWidget
from tests.widgets.gestures import drag_of_files, drop

from napari_hush.careamist import CAREamist
from napari_hush.io import read_record, write_tiff
from napari_hush.widgets.dock.files_dock import CHECK_AFTER_MS
from napari_hush.widgets.jobs.files_task import FilesRequest
from napari_hush.widgets.user_settings import add_recent_model, load_setting


@pytest.fixture
def files(viewer, drive):
    _, dock = viewer.window.add_plugin_dock_widget("napari-hush", "Denoise files")
    return drive(dock)


@pytest.fixture
def folder(tmp_path, noisy):
    folder = tmp_path / "raw"
    folder.mkdir()
    for number in range(3):
        tifffile.imwrite(folder / f"cells {number}.tif", noisy + number)
    return folder


@pytest.fixture
def model(tmp_path, noisy, quick):
    engine = CAREamist(quick())
    engine.train(train_source=noisy)
    return engine.save(tmp_path / "cells.safetensors")


def fill(files, folder, model, output=None):
    for name, path in (
        ("files_source", folder), ("files_model", model), ("files_output", output)
    ):  # fmt: skip
        if path is not None:
            files.find(name).setText(str(path))


def denoise(files):
    files.click("files_start")
    files.until(files.find("files_start").isVisible)


def states(files):
    """Name and state of each line, and the reason below it."""
    found, tree = {}, files.find("files_list")
    for number in range(tree.topLevelItemCount()):
        item = tree.topLevelItem(number)
        reasons = [item.child(n).text(0) for n in range(item.childCount())]
        found[item.text(0)] = " ".join([item.text(1), *reasons])
    return found


def double_click(files, name):
    tree = files.find("files_list")
    (item,) = tree.findItems(name, Qt.MatchFlag.MatchExactly)
    place = tree.visualItemRect(item).center()
    QTest.mouseClick(tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseDClick(tree.viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_a_folder_is_denoised_into_another(files, folder, model, tmp_path, noisy):
    assert "Choose the folder" in files.status
    assert not files.find("files_start").isEnabled()
    fill(files, folder, model, tmp_path / "clean")
    denoise(files)
    assert files.status == "3 of 3 denoised into “clean”."
    results = sorted((tmp_path / "clean").iterdir())
    assert [path.stem for path in results] == ["cells 0", "cells 1", "cells 2"]
    expected = CAREamist(model).predict(noisy + 1)
    assert np.allclose(tifffile.imread(results[1]), expected, atol=1e-4)


def test_the_button_says_how_many_and_results_go_next_to_the_images(files, folder, model):
    fill(files, folder, model)
    files.until(lambda: files.find("files_start").text() == "Denoise 3 files")
    assert files.find("files_output").text() == str(folder.with_name("raw denoised"))
    assert states(files) == dict.fromkeys(
        ["cells 0.tif", "cells 1.tif", "cells 2.tif"], "waiting"
    )
    files.find("files_source").setText(str(folder / "cells 1.tif"))
    files.until(lambda: files.find("files_start").text() == "Denoise 1 file")
    assert files.find("files_output").text() == str(folder / "denoised")
    files.find("files_output").setText(str(folder / "mine"))
    files.find("files_source").setText(str(folder))
    assert files.find("files_output").text() == str(folder / "mine")


def test_results_that_exist_are_skipped_or_replaced(files, folder, model, tmp_path):
    clean = tmp_path / "clean"
    clean.mkdir()
    (clean / "cells 1.tif").write_text("mine")
    fill(files, folder, model, clean)
    files.until(lambda: files.find("files_start").text() == "Denoise 2 files")
    assert files.status == "3 files; 1 already done."
    denoise(files)
    assert files.status == "2 of 3 denoised into “clean”; 1 already done."
    assert (clean / "cells 1.tif").read_text() == "mine"
    assert states(files)["cells 1.tif"] == "already done"
    files.click("files_replace")
    files.until(lambda: files.find("files_start").text() == "Denoise 3 files")
    denoise(files)
    assert files.status == "3 of 3 denoised into “clean”."
    assert tifffile.imread(clean / "cells 1.tif").shape == (64, 72)


def test_one_series_of_each_file(files, model, tmp_path, noisy):
    with tifffile.TiffWriter(tmp_path / "run.tif") as file:
        file.write(noisy)
        file.write(noisy[:40] + 50)
    fill(files, tmp_path / "run.tif", model, tmp_path / "clean")
    files.until(lambda: files.find("files_start").text() == "Denoise 2 images")
    files.click("files_options")
    assert not files.find("files_image_number").isVisible()
    files.find("files_images").setCurrentText("series")
    files.find("files_image_number").setValue(1)
    assert files.find("files_image_number").isVisible()
    denoise(files)
    (result,) = (tmp_path / "clean").iterdir()
    assert tifffile.imread(result).shape == (40, noisy.shape[1])


def test_format_data_type_and_the_network_alone_can_be_chosen(
    files, folder, model, tmp_path
):
    zarr = pytest.importorskip("zarr")
    fill(files, folder / "cells 1.tif", model, tmp_path / "clean")
    files.click("files_options")
    files.find("files_format").setCurrentText("OME-Zarr")
    files.click("files_keep_type")
    files.click("files_network_alone")
    denoise(files)
    result = tmp_path / "clean" / "cells 1.ome.zarr"
    assert zarr.open_group(str(result), mode="r")["0"].dtype == np.uint16
    assert read_record(result)["settings"]["own_value"] == "off"


def test_images_and_models_can_be_dropped(files, folder, model):
    field = files.find("files_source").parent()
    assert drop(field, drag_of_files(folder))
    assert files.find("files_source").text() == str(folder)
    both = [folder / "cells 0.tif", folder / "cells 2.tif"]
    assert drop(files.dock, drag_of_files(*both, model))
    assert files.find("files_model").text() == str(model)
    files.until(lambda: files.find("files_start").text() == "Denoise 2 files")
    assert list(states(files)) == ["cells 0.tif", "cells 2.tif"]


@pytest.mark.parametrize("name", ["notes.docx", "gone.tif", "texts"])
def test_what_is_no_image_is_refused_at_once(files, tmp_path, model, notifications, name):
    (tmp_path / "notes.docx").write_bytes(b"PK")
    (tmp_path / "texts").mkdir()
    fill(files, tmp_path / name, model)
    files.until(lambda: name in files.status, 2)
    assert not files.find("files_start").isEnabled()
    assert files.find("files_start").toolTip() == files.status
    assert "data_type" not in files.status
    assert notifications() == []


def test_a_failing_image_does_not_stop_the_others(files, folder, model, tmp_path):
    (folder / "broken.tif").write_bytes(b"no image")
    write_tiff(folder / "colors.tif", np.ones((2, 64, 72), np.uint8), "CYX")
    fill(files, folder, model, tmp_path / "clean")
    files.until(lambda: files.status == "5 files; 2 cannot be denoised.")
    assert "give the axes as SYX" in states(files)["colors.tif"]
    denoise(files)
    assert files.status == "3 of 5 denoised into “clean”; 2 failed."
    assert states(files)["cells 2.tif"].startswith("done")
    assert states(files)["broken.tif"].startswith("failed “broken.tif” ")
    assert len(list((tmp_path / "clean").iterdir())) == 3


def test_a_model_that_is_none_is_said(files, folder, tmp_path):
    (tmp_path / "no.safetensors").write_bytes(b"no model")
    fill(files, folder, tmp_path / "no.safetensors")
    files.until(lambda: "not a model file" in files.status)
    assert not files.find("files_start").isEnabled()


def test_progress_is_that_of_all_images(files, folder, model, tmp_path, noisy):
    for number in range(3):
        tifffile.imwrite(folder / f"large {number}.tif", np.tile(noisy, (12, 12)))
    fill(files, folder, model, tmp_path / "clean")
    bar, seen = files.dock.findChild(QProgressBar, "progress"), []
    bar.valueChanged.connect(seen.append)
    files.click("files_start")
    files.until(lambda: re.search(r"[2-6] of 6", files.status))
    assert files.find("files_cancel").isVisible()
    assert not files.find("files_start").isVisible()
    files.until(files.find("files_start").isVisible)
    values = [value for value in seen if value]
    assert values == sorted(values)
    assert values


def test_cancel_keeps_what_is_done(files, folder, model, tmp_path, noisy):
    for number in range(20):
        tifffile.imwrite(folder / f"large {number}.tif", np.tile(noisy, (12, 12)))
    fill(files, folder, model, tmp_path / "clean")
    files.click("files_start")
    files.until(lambda: any("done" in state for state in states(files).values()))
    files.click("files_cancel")
    files.until(files.find("files_start").isVisible)
    done = [name for name, state in states(files).items() if "done" in state]
    kept = [p.name for p in (tmp_path / "clean").iterdir() if not p.name.startswith(".")]
    assert sorted(kept) == sorted(done)
    assert files.status.startswith(f"Cancelled: {len(done)} of 23 denoised")
    assert len([state for state in states(files).values() if state == "waiting"]) > 0


def test_a_check_that_ends_after_the_job_changes_nothing(
    files, folder, model, tmp_path, monkeypatch
):
    asked, released = threading.Event(), threading.Event()
    whole = FilesRequest.found

    def delayed(request, report, should_stop=None):
        if should_stop is None:  # a check
            asked.set()
            return whole(request, lambda event: released.wait(60) and report(event))
        return whole(request, report, should_stop)

    monkeypatch.setattr(FilesRequest, "found", delayed)
    fill(files, folder, model, tmp_path / "clean")
    files.until(asked.is_set)
    denoise(files)
    assert files.status == "3 of 3 denoised into “clean”."
    released.set()
    files.until(lambda: not files.dock._check.state.busy)
    QTest.qWait(2 * CHECK_AFTER_MS)
    assert all(state.startswith("done") for state in states(files).values())
    assert files.status == "3 of 3 denoised into “clean”."


def test_a_finished_image_opens_with_its_metadata(files, viewer, model, tmp_path, noisy):
    sizes = {"scale": {"Y": 0.5, "X": 0.25}, "units": dict.fromkeys("YX", "micrometer")}
    write_tiff(tmp_path / "cells.tif", noisy, "YX", **sizes)
    fill(files, tmp_path / "cells.tif", model, tmp_path / "clean")
    files.until(lambda: "cells.tif" in states(files))
    double_click(files, "cells.tif")
    assert len(viewer.layers) == 0  # it is not done
    denoise(files)
    double_click(files, "cells.tif")
    files.until(lambda: len(viewer.layers) == 1)
    assert viewer.layers[0].scale == pytest.approx((0.5, 0.25))
    assert np.array_equal(
        np.asarray(viewer.layers[0].data), tifffile.imread(tmp_path / "clean" / "cells.tif")
    )


def test_the_folder_can_be_opened(files, folder, model, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    fill(files, folder, model, tmp_path / "clean")
    assert not files.find("files_open_folder").isVisible()
    denoise(files)
    files.click("files_open_folder")
    assert [url.toLocalFile() for url in opened] == [str(tmp_path / "clean")]


def test_a_warning_about_all_images_is_said_once(
    files, folder, model, tmp_path, noisy, notifications
):
    for number in range(3):
        tifffile.imwrite(folder / f"cells {number}.tif", noisy * 50)
    fill(files, folder, model, tmp_path / "clean")
    denoise(files)
    said = files.find("files_warnings")
    assert said.isVisible()
    (line,) = [line for line in said.text().splitlines() if "brighter" in line]
    assert "“cells 0.tif”" in line
    assert line.endswith("The same in “cells 1.tif”, “cells 2.tif”.")
    assert str(tmp_path) not in said.text()
    assert notifications() == []


def test_recent_models_and_the_current_one_are_offered(
    files, viewer, open_dock, folder, model, tmp_path
):
    def entries():
        menu = files.find("files_model_recent").menu()
        menu.aboutToShow.emit()
        return {action.text(): action for action in menu.actions() if action.text()}

    add_recent_model(model)
    assert list(entries()) == ["cells"]
    entries()["cells"].trigger()
    assert files.find("files_model").text() == str(model)
    main = open_dock(viewer)
    main.dock.loadModel(model)
    main.until(lambda: main.dock.model is not None)
    assert list(entries()) == ["Current model “cells”", "cells"]
    entries()["Current model “cells”"].trigger()
    files.find("files_source").setText(str(folder))
    files.until(lambda: files.find("files_start").text() == "Denoise 3 files")
    denoise(files)
    assert files.status == "3 of 3 denoised into “raw denoised”."


def test_a_model_that_was_used_is_recent(files, folder, model, tmp_path):
    fill(files, folder, model, tmp_path / "clean")
    denoise(files)
    assert load_setting("models") == [str(model)]


def test_it_is_opened_with_a_model(viewer, drive, folder, model):
    from napari_hush.widgets.dock.files_dock import open_files_dock

    engine = CAREamist(model)
    for _ in range(2):
        files = drive(open_files_dock(viewer, "FISH", engine.model, folder))
    assert len(viewer.window.dock_widgets) == 1
    assert files.find("files_model").text() == "Current model “FISH”"
    files.until(lambda: files.find("files_start").text() == "Denoise 3 files")
    denoise(files)
    assert files.status == "3 of 3 denoised into “raw denoised”."


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_is_cut_in_a_narrow_dock(files, viewer, folder, model, qtbot, theme):
    viewer.theme = theme
    viewer.window._qt_window.resize(1366, 768)
    fill(files, folder, model)
    files.until(lambda: len(states(files)) == 3)
    files.click("files_options")
    frame, window = files.dock.parentWidget(), viewer.window._qt_window
    window.resizeDocks([frame], [300], Qt.Orientation.Horizontal)
    files.until(lambda: files.dock.width() <= 300)
    scroll = files.dock.findChild(QScrollArea, "files_scroll")
    for control in files.dock.findChildren(QWidget):
        if control.isVisible() and control.objectName().startswith("files_"):
            left = control.mapTo(files.dock, QPoint(0, 0)).x()
            assert left >= 0, control.objectName()
            assert left + control.width() <= files.dock.width(), control.objectName()
    start = files.find("files_start")
    below = start.mapTo(files.dock, QPoint(0, start.height())).y()
    assert below <= files.dock.height()
    assert scroll.widget().width() <= scroll.viewport().width()
