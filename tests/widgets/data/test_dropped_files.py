"""What is dropped on the dock: it opens, or one sentence says why not."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import tifffile
from gestures import drag_of_files, drag_of_layers, drop, until_opened
from napari.layers import Image as ImageLayer
from PIL import Image
from qtpy.QtCore import QMimeData, QUrl

from napari_hush.careamist import CAREamist
from napari_hush.config import save_configuration
from napari_hush.io import write_tiff
from napari_hush.widgets.data import file_opener
from napari_hush.widgets.data.file_images import images_at
from napari_hush.widgets.data.helper_layers import MARK


def broken(path):
    path.write_bytes(b"II*\0 no image")


def empty(path):
    path.write_bytes(b"")


def folder_of_text(path):
    path.mkdir()
    (path / "notes.txt").write_text("notes")


def of_complex_numbers(path):
    tifffile.imwrite(path, np.ones((8, 9), "complex64"))


def link_to_nothing(path):
    path.symlink_to("gone.tif")


UNUSABLE = {
    "notes.docx": (empty, "cannot be opened as an image"),
    "notes.txt": (empty, "cannot be opened as an image"),
    "cells.7z": (empty, "cannot be opened as an image"),
    "run.py": (empty, "cannot be opened as an image"),
    "empty folder": (lambda path: path.mkdir(), "holds no image"),
    "folder": (folder_of_text, "holds no image"),
    "empty.zarr": (lambda path: path.mkdir(), "empty.zarr"),
    "broken.tif": (broken, "cannot be read as a TIFF file"),
    "empty.tif": (empty, "is empty (0 bytes)"),
    "broken.png": (broken, "cannot be read as a picture"),
    "waves.tif": (of_complex_numbers, "only real numbers can be used"),
    "link.tif": (link_to_nothing, "is a link to a file that cannot be found"),
    "gone.tif": (lambda path: None, "There is no file or folder"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_one_sentence_says_why_a_file_cannot_be_opened(
    viewer, hand, tmp_path, notifications, name
):
    make, sentence = UNUSABLE[name]
    make(tmp_path / name)
    assert drop(hand.find("noisy_layers"), drag_of_files(tmp_path / name))
    assert hand.status == f"Opening “{name}” …"
    until_opened(hand)
    (said,) = notifications()
    assert sentence in said
    assert "\n" not in said
    assert sentence in hand.status  # a toast vanishes
    assert not viewer.layers


def test_an_address_that_is_no_zarr_is_refused(hand, notifications):
    mime = QMimeData()
    mime.setUrls([QUrl("https://example.org/some%20cells.tif")])
    assert drop(hand.find("noisy_layers"), mime)
    until_opened(hand)
    (said,) = notifications()
    assert "'https://example.org/some%20cells.tif' is an address" in said


def test_several_files_that_cannot_be_opened_are_one_sentence(
    viewer, hand, noisy, tmp_path, notifications
):
    write_tiff(tmp_path / "cells.tif", noisy, "YX")
    broken(tmp_path / "b.tif")
    empty(tmp_path / "c.docx")
    names = ("cells.tif", "b.tif", "c.docx")
    drop(hand.find("noisy_layers"), drag_of_files(*(tmp_path / name for name in names)))
    until_opened(hand)
    (said,) = notifications()
    assert "b.tif" in said
    assert said.endswith("1 more cannot be opened either.")
    assert [layer.name for layer in viewer.layers] == ["cells"]
    assert "b.tif" in hand.status


def test_the_images_of_a_mixed_folder_open_and_the_rest_is_named(
    viewer, hand, noisy, tmp_path, notifications
):
    for number in range(3):
        write_tiff(tmp_path / f"{number}.tif", noisy, "YX")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / ".hidden").write_text("")
    Image.fromarray(noisy.astype("uint8")).save(tmp_path / "preview.png")
    broken(tmp_path / "broken.tif")
    drop(hand.find("noisy_layers"), drag_of_files(tmp_path))
    until_opened(hand)
    (layer,) = viewer.layers
    assert layer.data.shape == (3, 64, 72)
    name = tmp_path.name
    left = "notes.txt, preview.png, broken.tif"
    assert notifications() == [f"Left out of “{name}”: {left}."]


def test_files_of_a_plugin_that_hold_no_image_are_said_to_hold_none(
    viewer, hand, tmp_path, notifications
):
    (tmp_path / "spots.csv").write_text("index,axis-0,axis-1\n0,1,2\n1,2,3\n")
    drop(hand.find("noisy_layers"), drag_of_files(tmp_path / "spots.csv"))
    until_opened(hand)
    assert notifications() == [
        "“spots” is a Points layer; choose a layer of the type Image."
    ]


def test_layers_that_cannot_be_chosen_are_refused_in_a_sentence(
    viewer, hand, noisy, notifications
):
    cells = viewer.add_image(noisy, name="cells")
    labels = viewer.add_labels(np.zeros((64, 72), int), name="nuclei")
    view = viewer.add_image(noisy, name="swipe", metadata={MARK: True})
    for layer in (labels, view):
        assert drop(hand.find("noisy_layers"), drag_of_layers(viewer, layer))
    assert notifications() == [
        "“nuclei” is a Labels layer; choose a layer of the type Image.",
        "“swipe” only shows other layers; choose a layer of the type Image.",
    ]
    hand.find("noisy_layers").takeLayers([ImageLayer(noisy, name="elsewhere")])
    assert "“elsewhere” is in another window" in notifications()[-1]
    assert hand.find("noisy_layers").value() == [cells]
    drop(hand.find("mask_layers"), drag_of_layers(viewer, labels))
    assert hand.find("mask_layers").value() == [labels]
    assert len(notifications()) == 3


@pytest.mark.parametrize(
    ("mode", "shape", "rgb"), [("L", (20, 30), False), ("RGB", (20, 30, 3), True)]
)
def test_pictures_open(viewer, hand, tmp_path, mode, shape, rgb):
    pixels = np.random.default_rng(0).integers(0, 255, shape, "uint8")
    Image.fromarray(pixels, mode).save(tmp_path / "cells.png")
    drop(hand.find("noisy_layers"), drag_of_files(tmp_path / "cells.png"))
    until_opened(hand)
    (layer,) = viewer.layers
    assert (layer.rgb, hand.find("axes").value()) == (rgb, "YXC" if rgb else "YX")
    np.testing.assert_array_equal(layer.data, pixels)


def test_models_and_settings_may_be_dropped_on_a_field(
    hand, quick, tmp_path, noisy, notifications
):
    engine = CAREamist(source=quick())
    engine.train(train_source=noisy)
    engine.save(tmp_path / "cells.safetensors")
    save_configuration(quick(batch_size=3), tmp_path / "quick.yml")
    drop(hand.find("target_layers"), drag_of_files(tmp_path / "quick.yml"))
    assert hand.dock.value().data_config.batch_size == 3
    drop(hand.find("noisy_layers"), drag_of_files(tmp_path / "cells.safetensors"))
    hand.until(lambda: hand.dock.model is not None)
    assert not notifications()


def test_the_window_does_not_wait_for_files(hand, noisy, tmp_path, monkeypatch):
    """Files are read, and layers made, in another thread."""
    threads = []
    monkeypatch.setattr(
        file_opener,
        "images_at",
        lambda path: threads.append(threading.current_thread()) or images_at(path),
    )
    write_tiff(tmp_path / "cells.tif", noisy, "YX")
    began = time.thread_time()
    drop(hand.find("noisy_layers"), drag_of_files(tmp_path / "cells.tif"))
    assert time.thread_time() - began < 0.1
    until_opened(hand)
    assert threads
    assert threading.main_thread() not in threads
