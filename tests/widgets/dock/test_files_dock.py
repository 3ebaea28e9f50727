"""The dock for batches, by clicks in a real window."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent

from napari_hush.careamist import CAREamist


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


def _fill(files, folder, model, output):
    for name, path in (
        ("files_source", folder), ("files_model", model), ("files_output", output)
    ):  # fmt: skip
        files.find(name).setText(str(path))


def test_a_folder_is_denoised_into_another(files, folder, model, tmp_path, noisy):
    assert "Choose the folder" in files.status
    assert not files.find("files_start").isEnabled()
    _fill(files, folder, model, tmp_path / "clean")
    files.click("files_start")
    files.until_ready("files_start")
    assert files.status == "3 files are denoised in “clean”."
    results = sorted((tmp_path / "clean").iterdir())
    assert [path.stem for path in results] == ["cells 0", "cells 1", "cells 2"]
    expected = CAREamist(model).predict(noisy + 1)
    assert np.allclose(tifffile.imread(results[1]), expected, atol=1e-4)


def test_nothing_is_replaced_and_the_next_run_is_good(
    files, folder, model, tmp_path, notifications
):
    clean = tmp_path / "clean"
    clean.mkdir()
    (clean / "cells 1.tif").write_text("mine")
    _fill(files, folder, model, clean)
    files.click("files_start")
    files.until_ready("files_start")
    assert "exists already" in files.status
    assert notifications() == [files.status]
    assert (clean / "cells 1.tif").read_text() == "mine"
    assert len(list(clean.iterdir())) == 1
    files.find("files_output").setText(str(tmp_path / "elsewhere"))
    files.click("files_start")
    files.until_ready("files_start")
    assert "3 files are denoised" in files.status


def test_only_what_is_missing(files, folder, model, tmp_path):
    clean = tmp_path / "clean"
    clean.mkdir()
    (clean / "cells 1.tif").write_text("mine")
    _fill(files, folder, model, clean)
    files.click("files_resume")
    files.click("files_start")
    files.until_ready("files_start")
    assert files.status == "3 files are denoised in “clean”."
    assert (clean / "cells 1.tif").read_text() == "mine"
    assert len(list(clean.iterdir())) == 3


def test_one_series_of_each_file(files, model, tmp_path, noisy):
    with tifffile.TiffWriter(tmp_path / "run.tif") as file:
        file.write(noisy)
        file.write(noisy[:40] + 50)
    _fill(files, tmp_path / "run.tif", model, tmp_path / "clean")
    assert not files.find("files_image_number").isVisible()
    files.find("files_images").setCurrentText("series")
    files.find("files_image_number").setValue(1)
    assert files.find("files_image_number").isVisible()
    files.click("files_start")
    files.until_ready("files_start")
    (result,) = (tmp_path / "clean").iterdir()
    assert tifffile.imread(result).shape == (40, noisy.shape[1])


def test_a_folder_can_be_dropped(files, folder):
    field = files.find("files_source").parent()
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(folder))])
    field.dropEvent(
        QDropEvent(
            QPointF(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
    )  # fmt: skip
    assert field.value() == folder
