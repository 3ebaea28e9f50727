"""Results have the metadata of their sources."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_hush.axes import AxesMap
from napari_hush.errors import DataError
from napari_hush.io import (
    ImageMetadata,
    ResultImage,
    TiffResult,
    open_images,
    read_metadata,
    write_tiff,
)
from napari_hush.io.image import select_channels

LENGTHS = ("nanometer", "micrometer", "millimeter", "meter")
NAMES = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=9
)


def written(path, array, sizes):
    """The array as a result."""
    axes = AxesMap(sizes.axes, array.shape)
    result = TiffResult(ResultImage(axes, array.dtype, sizes), path)
    result.begin(path)
    inner = [
        slice(0, n) for a, n in zip(sizes.axes, array.shape, strict=True) if a in "ZYX"
    ]
    for sample, pixels in enumerate(axes.samples(array)):
        result.write(sample, inner, pixels)
    result.finish()
    result.close()
    return path


def images(draw, axes):
    """Pixels, and metadata as files of one kind can have them."""
    lengths = draw(st.sampled_from(LENGTHS))
    sizes = st.floats(0.01, 100).map(lambda size: round(size, 4))
    metadata = ImageMetadata(
        axes,
        {a: draw(sizes) for a in axes if a != "C"},
        {a: "second" if a == "T" else lengths for a in axes if a != "C"},
        tuple(draw(st.lists(NAMES.map(str.strip), min_size=2, max_size=2))),
        {a: draw(st.floats(-1e4, 1e4)) for a in "ZYX"},
        draw(st.booleans()),
    )
    shape = [{"T": 2, "C": 2, "Z": 3, "Y": 4, "X": 5}[a] for a in axes]
    array = np.arange(
        np.prod(shape), dtype=draw(st.sampled_from(["uint16", "float32", "int16"]))
    )
    if not any(metadata.channels):
        metadata = replace(metadata, channels=())
    return array.reshape(shape), metadata


def assert_same(found, wanted):
    assert set(found.axes) == set(wanted.axes)
    assert found.scale == pytest.approx(wanted.scale, rel=1e-6)
    assert found.units == wanted.units
    assert found.channels == wanted.channels
    assert found.position == pytest.approx(wanted.position, rel=1e-6, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_tiff_result_has_the_metadata_of_its_source(tmp_path_factory, data):
    axes = "".join(data.draw(st.permutations("TCZYX")))
    array, metadata = images(data.draw, axes)
    name = data.draw(st.sampled_from(["a.tif", "a.ome.tif"]))
    path = written(tmp_path_factory.mktemp("it") / name, array, metadata)
    found = read_metadata(path)
    assert_same(found, metadata)
    assert found.is_ome == (
        metadata.is_ome or name == "a.ome.tif" or array.dtype == "int16"
    )
    back = open_images(path, "tiff", found.axes)[0].data[...]
    np.testing.assert_array_equal(
        back, array.transpose([axes.index(a) for a in found.axes])
    )


def test_other_programs_find_them_in_ome(tmp_path):
    array = np.zeros((2, 3, 4, 5), "uint16")
    metadata = ImageMetadata.of(
        "CZYX",
        {"Z": 2, "Y": 0.5, "X": 0.5},
        dict.fromkeys("ZYX", "micrometer"),
        channels=["DAPI", 'a<b&"c"'],
        position={"Z": 10, "Y": 20, "X": -30},
    )
    path = written(tmp_path / "a.ome.tif", array, metadata)
    with tifffile.TiffFile(path) as file:
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert [one["Name"] for one in pixels["Channel"]] == ["DAPI", 'a<b&"c"']
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeXUnit"]) == (0.5, "µm")
    assert [plane["PositionZ"] for plane in pixels["Plane"]] == [10, 12, 14] * 2
    assert {plane["PositionX"] for plane in pixels["Plane"]} == {-30}


def test_other_programs_find_them_in_imagej(tmp_path):
    path = write_tiff(
        tmp_path / "a.tif",
        np.zeros((2, 3, 4, 5), "uint16"),
        "CZYX",
        scale={"Y": 0.5, "X": 0.25},
        units={"Y": "µm", "X": "µm"},
        channels=["DAPI", "GFP"],
        position={"Y": 2, "X": -1},
    )
    with tifffile.TiffFile(path) as file:
        known = file.imagej_metadata
    assert known["Labels"] == ["DAPI", "GFP"] * 3
    assert (known["xorigin"], known["yorigin"]) == (4, -4)


def test_names_of_another_number_of_channels(tmp_path):
    with pytest.raises(DataError, match="3 channel names were given for an image with 2"):
        write_tiff(
            tmp_path / "a.tif", np.zeros((2, 4, 4), "uint8"), "CYX", channels=list("abc")
        )


@pytest.mark.parametrize("size", [1e-25, 1e-10, 1e12, 1e25])
def test_a_size_of_any_magnitude_is_kept(tmp_path, size):
    for name in ("a.tif", "b.ome.tif"):
        path = write_tiff(
            tmp_path / name, np.zeros((4, 4), "uint8"), "YX", scale={"X": size, "Y": size}
        )
        assert read_metadata(path).scale == pytest.approx({"X": size, "Y": size}, rel=1e-6)


@pytest.mark.parametrize("unit", ["Å", "Ω", "a=b", "furlong"])
def test_units_of_any_kind_are_kept(tmp_path, unit):
    sizes = {"scale": {"X": 0.5, "Y": 0.5}, "units": {"X": unit, "Y": unit}}
    path = write_tiff(tmp_path / "a.tif", np.zeros((4, 4), "uint8"), "YX", **sizes)
    back = read_metadata(path)
    assert back.scale == sizes["scale"]
    assert set(back.units.values()) == {{"Å": "angstrom"}.get(unit, unit)}


def test_chosen_channels_keep_their_names(tmp_path):
    path = write_tiff(
        tmp_path / "a.tif", np.zeros((3, 4, 4), "uint8"), "CYX", channels=["a", "b", "c"]
    )
    (image,) = open_images(path, "tiff", "CYX")
    assert select_channels(image, [2, 0]).metadata.channels == ("c", "a")
    assert image.metadata.channels == ("a", "b", "c")


def test_what_does_not_fit_a_result_is_left_out():
    known = ImageMetadata(
        "CZYX", {"Z": 2.0, "X": 0.5}, {"Z": "meter", "X": "meter"}, ("a", "b"), {"Z": 1.0}
    )
    assert known.for_axes("YX", (4, 5)) == ImageMetadata("YX", {"X": 0.5}, {"X": "meter"})


def test_an_unfinished_result_of_another_kind_is_finished_as_it_is(tmp_path):
    """Earlier versions wrote the results of OME-TIFF files for ImageJ."""
    array = np.arange(2 * 3 * 4 * 5, dtype="uint16").reshape(2, 3, 4, 5)
    sizes = ImageMetadata("CZYX")
    path = written(tmp_path / "a.tif", np.zeros_like(array), sizes)
    axes = AxesMap("CZYX", array.shape)
    result = TiffResult(ResultImage(axes, array.dtype, replace(sizes, is_ome=True)), path)
    assert result.axes == "CZYX"
    result.reopen(path)
    assert result.axes == "TZCYX"
    result.write(0, [slice(0, 3), slice(0, 4), slice(0, 5)], array)
    result.close()
    np.testing.assert_array_equal(tifffile.imread(path), array.transpose(1, 0, 2, 3))
