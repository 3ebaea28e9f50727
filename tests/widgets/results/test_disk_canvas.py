"""Results that would not fit into memory."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest

from napari_hush.errors import OutOfMemoryError, UnwritableFileError
from napari_hush.widgets.results import canvas
from napari_hush.widgets.results.canvas import DiskCanvas, fits_into_memory, new_result_path


@pytest.fixture
def small_memory(monkeypatch):
    monkeypatch.setattr(canvas, "free_memory", lambda: 10_000)


def test_image_and_result_must_fit_together(small_memory):
    assert fits_into_memory(np.zeros(800, np.uint16))
    assert not fits_into_memory(np.zeros(900, np.uint16))


def test_the_file_holds_what_was_written(tmp_path):
    canvas = DiskCanvas((4, 5), np.uint16, tmp_path / "new" / "result.npy")
    canvas.out[1:3] = 7
    canvas.out.flush()
    again = np.load(canvas.path)
    assert again.dtype == np.uint16
    assert again.sum() == 70
    assert canvas.shown is canvas.out


def test_a_too_small_disk_raises_before_anything_is_written(tmp_path):
    with pytest.raises(OutOfMemoryError, match=r"only.*delete files there"):
        DiskCanvas((2**40, 2**20), np.float32, tmp_path / "result.npy")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_no_folder_raises(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnwritableFileError, match="make that folder writable"):
        DiskCanvas((4, 5), np.float32, tmp_path / "file" / "result.npy")


def test_results_are_next_to_their_source_under_new_names(tmp_path, monkeypatch):
    monkeypatch.setenv("HUSH_DATA_DIR", str(tmp_path / "data"))
    source = tmp_path / "cells: 1.tif"
    first = new_result_path("cells: 1", str(source))
    assert first.parent == tmp_path
    assert first.name.startswith("cells_ 1 denoised")
    first.write_text("")
    assert new_result_path("cells: 1", str(source)) != first
    assert new_result_path("cells", "").parent == tmp_path / "data" / "results"
    nowhere = new_result_path("cells", "/nowhere/a.tif")
    assert nowhere.parent == tmp_path / "data" / "results"


@pytest.mark.parametrize("keep_type", [False, True])
def test_a_result_too_large_for_memory_is_a_layer_on_a_file(
    viewer, hand, noisy, quick, tmp_path, monkeypatch, keep_type
):
    monkeypatch.setenv("HUSH_DATA_DIR", str(tmp_path))
    movie = np.stack([noisy, noisy + 1, noisy + 2])
    lazy = dask.array.from_array(movie, chunks=(1, 64, 72))
    viewer.add_image(lazy, name="movie", scale=(1, 0.5, 0.25))
    hand.dock.setValue(quick("TYX"))
    hand.train()
    hand.find("keep_type").setChecked(keep_type)
    hand.denoise()
    small = np.array(viewer.layers["movie denoised"].data)
    monkeypatch.setattr(canvas, "free_memory", lambda: 10_000)
    hand.denoise()
    result = viewer.layers["movie denoised 2"]
    assert isinstance(result.data, np.memmap)
    assert result.data.dtype == (np.uint16 if keep_type else np.float32)
    assert np.array_equal(result.data, small)
    assert tuple(result.scale) == (1, 0.5, 0.25)
    (file,) = (tmp_path / "results").iterdir()
    assert result.metadata["napari_hush"]["file"] == str(file)
    assert file.name in hand.status
