"""Layers that napari opened have the axes and pixel sizes of their files."""

from __future__ import annotations

import threading

import dask.array as da
import numpy as np
import pytest
import tifffile
from napari.layers import Image

from napari_hush.io import ImageMetadata, write_tiff
from napari_hush.widgets.data import file_metadata
from napari_hush.widgets.data.file_metadata import Described, images_in, metadata_for
from napari_hush.widgets.data.layers import FILE, describe, infer_axes, pixel_size_of

MICROMETERS = {"scale": {"Y": 0.3, "X": 0.3}, "units": dict.fromkeys("YX", "micrometer")}
KNOWN = ImageMetadata(**MICROMETERS)


@pytest.mark.parametrize(
    ("shape", "axes", "sizes", "expected"),
    [
        ((5, 9, 2, 64, 72), "TZCYX", (5, 9, 2, 64, 72), "TZCYX"),
        ((5, 9, 64, 72), "TZCYX", (5, 9, 2, 64, 72), "TZYX"),  # a layer per channel
        ((9, 64, 72), "TZCYX", (1, 9, 1, 64, 72), "ZYX"),
        ((1, 9, 1, 64, 72), "ZYX", (9, 64, 72), "1Z1YX"),
        ((3, 1, 64, 72), "TZYX", (3, 1, 64, 72), "T1YX"),
        ((5, 2, 9, 64, 72), "TZCYX", (5, 9, 2, 64, 72), "TCZYX"),  # in another order
        ((4, 4, 64, 72), "TZYX", (4, 4, 64, 72), "TZYX"),
        ((64, 72, 3), "YXC", (64, 72, 3), "YXC"),
        ((3, 64, 72), "YX", (64, 72), "SYX"),  # a stack of files
        ((7, 3, 64, 72), "SYX", (3, 64, 72), "TSYX"),
        ((64, 64), "YX", (64, 64), "YX"),
    ],
)
def test_axes_are_those_of_the_file_where_shapes_match(shape, axes, sizes, expected):
    found = metadata_for(shape, [Described(axes, sizes, KNOWN)])
    assert found.axes == expected
    assert found.scale == KNOWN.scale


@pytest.mark.parametrize(
    ("shape", "axes", "sizes"),
    [
        ((4, 64, 72, 4), "CZYX", (4, 4, 64, 72)),  # C is at either end
        ((5, 64, 72), "?YX", (5, 64, 72)),
    ],
)
def test_axes_that_are_not_certain_are_left_to_a_guess(shape, axes, sizes):
    found = metadata_for(shape, [Described(axes, sizes, KNOWN)])
    assert found.axes is None
    assert found.scale == KNOWN.scale


def test_a_layer_of_other_pixels_has_nothing_from_the_file():
    assert metadata_for((32, 36), [Described("YX", (64, 72), KNOWN)]) is None


def test_the_image_of_the_same_shape_counts_of_several():
    other = ImageMetadata(scale={"X": 9.0}, units={"X": "micrometer"})
    images = [Described("ZYX", (3, 40, 50), other), Described("YX", (64, 72), KNOWN)]
    assert metadata_for((64, 72), images).scale == KNOWN.scale
    twins = [Described("YX", (64, 72), other), Described("YX", (64, 72), KNOWN)]
    assert metadata_for((64, 72), twins) == ImageMetadata("YX")


@pytest.mark.parametrize(
    ("own", "size"),
    [
        ({}, 0.3),
        ({"scale": (0.7, 0.7)}, 0.7),
        ({"scale": (0.7, 0.7), "units": ("nm", "nm")}, 0.0007),
        ({"scale": (1, 1), "units": ("um", "um")}, 1.0),
    ],
)
def test_the_scale_of_the_layer_wins(own, size):
    layer = Image(np.zeros((64, 72)), metadata={FILE: KNOWN}, **own)
    found = pixel_size_of(layer)
    factor = {"micrometer": 1, "nanometer": 1e-3}[found.units["X"]]
    assert found.scale["X"] * factor == pytest.approx(size)


# ---- in a window


@pytest.fixture
def movie(tmp_path):
    """A TIFF file TZCYX of 5 × 4 × 2 × 64 × 72 pixels of 0.3 µm."""
    path = tmp_path / "movie.tif"
    pixels = np.random.default_rng(0).integers(0, 999, (5, 4, 2, 64, 72), "uint16")
    return write_tiff(path, pixels, "TZCYX", channels=["DAPI", "GFP"], **MICROMETERS)


def open_file(viewer, path, **options):
    """As File > Open does, with the reader of napari."""
    return viewer.open(path, plugin="napari", **options)


def until_known(hand):
    hand.until(lambda: "Reading" not in hand.status, 10)


def test_a_file_that_napari_opened_has_the_axes_and_pixel_size_of_the_file(
    viewer, hand, movie
):
    (layer,) = open_file(viewer, movie)
    until_known(hand)
    assert hand.find("axes").value() == "TZCYX"
    size = "5 × 4 × 2 × 64 × 72 px · 0.3\N{NO-BREAK SPACE}µm"
    assert hand.find("facts").text().startswith(size)
    assert "guessed" not in hand.find("facts").text()
    assert tuple(layer.scale) == (1,) * 5  # other layers may lie over it
    assert layer.metadata["channels"] == ["DAPI", "GFP"]


def test_a_file_opened_before_the_dock_too(viewer, open_dock, movie):
    open_file(viewer, movie)
    hand = open_dock(viewer)
    until_known(hand)
    assert hand.find("axes").value() == "TZCYX"


def test_each_channel_as_a_layer(viewer, hand, movie):
    layers = open_file(viewer, movie, channel_axis=2)
    hand.until(lambda: all(FILE in layer.metadata for layer in layers), 10)
    assert [infer_axes(layer) for layer in layers] == ["TZYX"] * 2
    assert hand.find("axes").value() == "TZYX"
    assert "0.3\N{NO-BREAK SPACE}µm" in hand.find("facts").text()


def test_files_opened_as_a_stack(viewer, hand, noisy, tmp_path):
    paths = [write_tiff(tmp_path / f"{n}.tif", noisy, "YX", **MICROMETERS) for n in "123"]
    open_file(viewer, paths, stack=True)
    until_known(hand)
    assert hand.find("axes").value() == "SYX"
    assert "0.3\N{NO-BREAK SPACE}µm" in hand.find("facts").text()


def test_what_the_file_does_not_say_is_called_a_guess(viewer, hand, tmp_path, noisy):
    tifffile.imwrite(
        tmp_path / "plain.tif", np.stack([noisy] * 3), photometric="minisblack"
    )
    open_file(viewer, tmp_path / "plain.tif")
    until_known(hand)
    assert hand.find("axes").value() == "TYX"
    assert "3 × 64 × 72 px · axes guessed" in hand.find("facts").text()
    hand.find("axis_0").menu().actions()[3].trigger()  # Z
    assert hand.find("axes").value() == "ZYX"
    assert "guessed" not in hand.find("facts").text()


def test_edited_axes_stay_when_the_file_is_known_and_when_layers_are_switched(
    viewer, hand, movie, noisy, monkeypatch
):
    go = threading.Event()
    monkeypatch.setattr(
        file_metadata, "images_in", lambda path: go.wait(10) and images_in(path)
    )
    (layer,) = open_file(viewer, movie)
    assert hand.status == "Reading the axes of “movie” from its file …"
    assert not hand.find("train").isEnabled()
    hand.find("axes").setValue("STCYX")
    go.set()
    until_known(hand)
    assert hand.find("axes").value() == "STCYX"
    viewer.add_image(noisy, name="other")
    chooser = hand.find("noisy_layer")
    chooser.setCurrentIndex(1)
    assert hand.find("axes").value() == "YX"
    chooser.setCurrentIndex(0)
    assert hand.find("axes").value() == "STCYX"
    layer.axis_labels = ("t", "z", "c", "y", "x")
    assert hand.find("axes").value() == "TZCYX"


def test_a_result_has_the_pixel_size_of_the_file(viewer, hand, quick, tmp_path, noisy):
    open_file(viewer, write_tiff(tmp_path / "cells.tif", noisy, "YX", **MICROMETERS))
    until_known(hand)
    hand.dock.setValue(quick())
    hand.train()
    assert hand.dock.model.provenance.pixel_size.scale["X"] == 0.3
    hand.denoise()
    size = "64 × 72 px · 0.3\N{NO-BREAK SPACE}µm"
    assert describe(viewer.layers["cells denoised"]) == size


def test_what_follows_from_absurd_axes_is_no_estimate_but_a_sentence(viewer, hand):
    pixels = da.zeros((2, 900, 16, 256, 256), chunks=(1, 1, 16, 256, 256))
    viewer.add_image(pixels, contrast_limits=(0, 1), name="movie")
    assert hand.find("axes").value() == "TCZYX"  # C = 900
    assert "check the axes" in hand.find("facts").text()
    assert "≈" not in hand.find("cost").text() + hand.find("denoise_now").text()
    hand.find("axes").setValue("STZYX")
    assert "check the axes" not in hand.find("facts").text()
    assert "≈" in hand.find("cost").text()
