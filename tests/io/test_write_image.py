"""Whole images written region by region, read back by tifffile and zarr themselves."""

from __future__ import annotations

import os
from dataclasses import replace

import dask.array
import numpy as np
import pytest
import tifffile

from napari_hush.errors import ExistingFileError, UnwritableFileError
from napari_hush.io import Image, ImageMetadata, read_record, save_image, write_image

zarr = pytest.importorskip("zarr")

SIZES = ImageMetadata.of(
    None,
    {"T": 2.5, "Z": 0.7, "Y": 0.2, "X": 0.1},
    {"T": "second", "Z": "micrometer", "Y": "micrometer", "X": "micrometer"},
    channels=["DAPI", "GFP"],
    position={"X": 3.0, "Y": 4.0},
)
SHAPES = {
    "YX": (40, 50),
    "ZYX": (6, 40, 50),
    "TYX": (5, 40, 50),
    "CYX": (2, 40, 50),
    "TZCYX": (3, 4, 2, 40, 50),
}


def made(axes, dtype, *, lazy=False) -> tuple[np.ndarray, Image]:
    shape = SHAPES[axes]
    pixels = np.random.default_rng(0).integers(0, 60_000, shape).astype(dtype)
    data = dask.array.from_array(pixels, chunks=(*[1] * (len(shape) - 2), 16, 50))
    image = Image.from_array(data if lazy else pixels, axes)
    return pixels, replace(image, metadata=SIZES)


def ordered(pixels, axes, order) -> np.ndarray:
    """The pixels with the axes of `order`, of size 1 where they are missing."""
    missing = [a for a in order if a not in axes]
    named = pixels[(None,) * len(missing)]
    letters = [*missing, *axes]
    return named.transpose([letters.index(a) for a in order])


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("axes", SHAPES)
def test_imagej_opens_it_with_its_sizes(tmp_path, monkeypatch, axes, dtype, lazy):
    monkeypatch.setattr(save_image, "_AT_ONCE", 2000)
    pixels, image = made(axes, dtype, lazy=lazy)
    path = tmp_path / "a.tif"
    assert write_image(path, image, record={"model": "m"})
    with tifffile.TiffFile(path) as file:
        assert file.is_imagej
        known, page = file.imagej_metadata, file.pages.first
        assert file.series[0].dtype == dtype
        there = file.asarray()
        resolution = [page.tags[n].value for n in ("XResolution", "YResolution")]
    assert np.array_equal(there, ordered(pixels, axes, "TZCYX").squeeze())
    assert [a / b for a, b in resolution] == pytest.approx([10, 5])
    assert known["unit"] == "micron"
    assert known.get("spacing") == (0.7 if "Z" in axes else None)
    assert known.get("finterval") == (2.5 if "T" in axes else None)
    assert known.get("channels", 1) == (2 if "C" in axes else 1)
    if "C" in axes:
        assert known["Labels"][:2] == ["DAPI", "GFP"]
    assert '"model": "m"' in known["Info"]


@pytest.mark.parametrize(
    ("axes", "name", "dtype"),
    [
        ("TZCYX", "a.ome.tif", "uint16"),
        ("ZYX", "a.tif", "int32"),
        ("YX", "a.ome.tiff", "f8"),
    ],
)
def test_ome_tiff_has_its_metadata(tmp_path, axes, name, dtype):
    pixels, image = made(axes, dtype)
    assert write_image(tmp_path / name, image)
    with tifffile.TiffFile(tmp_path / name) as file:
        assert file.is_ome
        assert file.series[0].dtype == np.dtype(dtype)
        there, own = file.series[0].asarray(), file.series[0].axes
        known = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert np.array_equal(there, ordered(pixels, axes, own))
    assert (known["PhysicalSizeX"], known["PhysicalSizeY"]) == (0.1, 0.2)
    assert known["PhysicalSizeXUnit"] == "µm"
    if "C" in axes:
        assert [one["Name"] for one in known["Channel"]] == ["DAPI", "GFP"]
        assert (known["TimeIncrement"], known["TimeIncrementUnit"]) == (2.5, "s")


@pytest.mark.parametrize("axes", SHAPES)
@pytest.mark.parametrize("lazy", [False, True])
def test_ome_zarr_has_its_metadata(tmp_path, axes, lazy):
    pixels, image = made(axes, "uint16", lazy=lazy)
    path = tmp_path / "a.ome.zarr"
    assert write_image(path, image, record={"model": "m"})
    group = zarr.open_group(path, mode="r")
    scales = group.attrs["ome"]["multiscales"][0]
    own = "".join(axis["name"] for axis in scales["axes"]).upper()
    assert own == "".join(a for a in "TCZYX" if a in axes)
    assert np.array_equal(group["0"][:], ordered(pixels, axes, own))
    assert group["0"].dtype == np.uint16
    scale = scales["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert dict(zip(own, scale, strict=True)) == {a: SIZES.scale.get(a, 1) for a in own}
    assert {a["name"]: a.get("unit") for a in scales["axes"]}["x"] == "micrometer"
    if "C" in axes:
        labels = [one["label"] for one in group.attrs["ome"]["omero"]["channels"]]
        assert labels == ["DAPI", "GFP"]
    assert group.attrs["napari_hush"] == {"model": "m"}


@pytest.mark.parametrize("axes", ["YXC", "TYXC", "ZYXC"])
@pytest.mark.parametrize(
    ("name", "dtype", "kind"),
    [
        ("a.tif", "uint8", "imagej"),
        ("a.ome.tif", "uint8", "ome"),
        ("a.tif", "uint16", "ome"),
        ("a.tif", "float32", "ome"),
    ],
)
def test_colors_stay_colors(tmp_path, axes, name, dtype, kind):
    shape = (3, 20, 30, 3)[-len(axes) :]
    pixels = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    image = replace(Image.from_array(pixels, axes), metadata=SIZES.for_channels(3))
    assert write_image(tmp_path / name, image, colors=True)
    with tifffile.TiffFile(tmp_path / name) as file:
        assert (file.is_imagej, file.is_ome) == (kind == "imagej", kind == "ome")
        assert file.pages.first.photometric == tifffile.PHOTOMETRIC.RGB
        assert np.array_equal(file.asarray(), pixels)
        if kind == "ome":
            known = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
            assert known["PhysicalSizeX"] == 0.1
        else:
            assert file.pages.first.tags["XResolution"].value == (10, 1)


def test_colors_in_zarr_are_shown_in_their_colors(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 200, (20, 30, 3)).astype(np.uint8)
    sizes = ImageMetadata.of(None, {}, {}, channels=["red", "green", "blue"])
    image = replace(Image.from_array(pixels, "YXC"), metadata=sizes)
    assert write_image(tmp_path / "a.zarr", image, colors=True)
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    assert np.array_equal(group["0"][:], pixels.transpose(2, 0, 1))
    shown = [one["color"] for one in group.attrs["ome"]["omero"]["channels"]]
    assert shown == ["FF0000", "00FF00", "0000FF"]


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
@pytest.mark.parametrize("there", [False, True])
def test_what_is_stopped_or_fails_leaves_nothing_and_changes_nothing(tmp_path, name, there):
    pixels, image = made("TYX", "uint16")
    path = tmp_path / name
    if there:
        assert write_image(path, image)
    before = sorted(os.listdir(tmp_path))
    asked = iter([False, False, True])
    assert not write_image(path, image, overwrite=True, should_stop=lambda: next(asked))
    assert sorted(os.listdir(tmp_path)) == before

    def broken(block):
        raise OSError(28, "No space left on device")

    lazy = dask.array.from_array(pixels, chunks=(1, 40, 50)).map_blocks(
        broken, dtype="uint16", meta=pixels[:0]
    )
    failing = replace(image, data=Image.from_array(lazy, "TYX").data)
    with pytest.raises(Exception, match="No space left"):
        write_image(path, failing, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == before
    if there:
        assert read_record(path) is None


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_existing_files_are_replaced_only_if_wanted(tmp_path, name):
    _, image = made("YX", "uint16")
    path = tmp_path / name
    assert write_image(path, image)
    with pytest.raises(ExistingFileError):
        write_image(path, image)
    seen = []
    write_image(path, image, overwrite=True, on_progress=lambda *done: seen.append(done))
    assert seen == [(1, 1)]
    assert os.listdir(tmp_path) == [name]


def test_a_folder_of_other_files_is_never_replaced(tmp_path):
    _, image = made("YX", "uint16")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "raw.tif").write_text("")
    with pytest.raises(ExistingFileError, match="is a folder"):
        write_image(tmp_path / "a", image, overwrite=True)
    assert (tmp_path / "a" / "raw.tif").exists()


def test_a_file_in_place_of_the_folder_is_said(tmp_path):
    _, image = made("YX", "uint16")
    (tmp_path / "b").write_text("")
    with pytest.raises(UnwritableFileError):
        write_image(tmp_path / "b" / "a.tif", image)
