"""Where the pixels live, and why."""

import numpy as np
import pytest
import torch

from napari_hush.dataset import choose_storage, collection
from napari_hush.io import Image, open_images, write_tiff


@pytest.fixture
def file(tmp_path):
    """An image on disk of 1000 bytes."""
    path = write_tiff(tmp_path / "a.tif", np.zeros((20, 25), np.uint16), "YX")
    return open_images(path, "tiff", "YX")


@pytest.fixture
def free(monkeypatch):
    return lambda count: monkeypatch.setattr(collection, "free_memory", lambda: count)


def test_arrays_are_where_they_are(free):
    free(0)
    found = choose_storage([Image.from_array(np.zeros((9, 9)), "YX")], wish_memory=False)
    assert found.in_memory
    assert "arrays" in found.reason


@pytest.mark.parametrize(("count", "fits"), [(1249, False), (1250, False), (1251, True)])
def test_less_than_80_percent_of_what_is_free(file, free, count, fits):
    free(count)
    found = choose_storage(file, wish_memory=True)
    assert found.in_memory is fits
    assert ("less than 80%" in found.reason) is fits
    assert ("are loaded" in found.reason) is fits
    assert "each process" not in found.reason


def test_processes_share_what_is_free(file, free):
    free(3 * 1251)
    assert choose_storage(file, wish_memory=True, processes=3).in_memory
    assert not choose_storage(file, wish_memory=True, processes=4).in_memory
    assert "to each process" in choose_storage(file, wish_memory=True, processes=2).reason


def test_arrays_among_files_take_no_more(file, free):
    free(1251)
    array = Image.from_array(np.zeros((999, 999)), "YX")
    assert choose_storage([array, *file], wish_memory=True).in_memory


def test_as_asked(file, free):
    free(10**9)
    found = choose_storage(file, wish_memory=False)
    assert not found.in_memory
    assert "stay on disk, as asked" in found.reason
    assert "1 KB" in found.reason


def test_a_processor_has_no_memory_of_its_own():
    assert not collection.fits_on(torch.device("cpu"), 1)


@pytest.mark.parametrize(("free_bytes", "fits"), [(200, False), (201, True)])
def test_half_of_what_a_gpu_has_free(monkeypatch, free_bytes, fits):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free_bytes, 10**9))
    assert collection.fits_on(torch.device("cuda"), 100) is fits
