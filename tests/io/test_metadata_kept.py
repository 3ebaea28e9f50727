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
    ZarrResult,
    open_images,
    read_image,
    read_metadata,
    read_record,
    write_tiff,
)
from napari_hush.io.formats import is_result
from napari_hush.io.image import select_channels
from napari_hush.io.zarr.ome import channel_labels

LENGTHS = ("nanometer", "micrometer", "millimeter", "meter")
NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), max_size=9)


def written(path, array, sizes):
    """The array as a result."""
    axes = AxesMap(sizes.axes, array.shape)
    image = ResultImage(axes, array.dtype, sizes)
    size = dict(zip(sizes.axes, array.shape, strict=True))
    inner = [slice(0, size[a]) for a in "ZYX" if a in size]
    if path.suffix == ".zarr":
        pytest.importorskip("zarr")
        result = ZarrResult(image, [side.stop for side in inner], path)
    else:
        result = TiffResult(image, path)
    result.begin(path)
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
    for axis in "ZYX":  # Zarr has none at 0
        place = pytest.approx(wanted.position.get(axis, 0), rel=1e-6, abs=1e-6)
        assert found.position.get(axis, 0) == place


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


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_a_zarr_result_has_the_metadata_of_its_source(tmp_path_factory, data):
    axes = "".join(data.draw(st.permutations("TCZYX")))
    array, metadata = images(data.draw, axes)
    path = written(tmp_path_factory.mktemp("it") / "a.ome.zarr", array, metadata)
    assert_same(read_metadata(path), metadata)
    assert_same(read_metadata(path / "0"), metadata)


def test_names_in_zarr_have_the_window_that_the_standard_asks_for(tmp_path):
    yaozarrs = pytest.importorskip("yaozarrs")
    array = np.stack([np.full((300, 400), value, "float32") for value in (1, 2)])
    array[0, 0, 0], array[1, :2, :2] = np.nan, 7
    metadata = ImageMetadata("CYX", channels=("DAPI", ""))
    path = written(tmp_path / "a.zarr", array, metadata)
    group = yaozarrs.validate_zarr_store(path)
    labels = group.attrs["ome"]["omero"]["channels"]
    assert [one["label"] for one in labels] == ["DAPI", ""]
    assert [one["window"]["start"] for one in labels] == [1, 2]
    assert [one["window"]["end"] for one in labels] == [2, 7]


def test_a_place_without_pixel_size_is_in_no_unit(tmp_path):
    metadata = ImageMetadata("YX", {"X": 2.0}, {"Y": "meter"}, (), {"Y": 5.0, "X": 3.0})
    path = written(tmp_path / "a.zarr", np.zeros((4, 4), "uint8"), metadata)
    assert read_metadata(path) == ImageMetadata("YX", {"Y": 1, "X": 2}, {}, (), {"X": 3})


@pytest.mark.parametrize(
    ("omero", "names"),
    [
        ({"channels": [{"label": "a"}, {"label": "b", "window": {}}]}, ("a", "b")),
        ({"channels": [{"label": 7}, {}]}, ("7", "")),
        ({"channels": [{"label": "a"}]}, ()),
        ({"channels": {"label": "a"}}, ()),
        ({"channels": ["a", "b"]}, ()),
        ([1], ()),
        (None, ()),
    ],
)
def test_display_settings_of_any_shape(omero, names):
    labels = channel_labels({"ome": {"omero": omero}})
    assert labels == channel_labels({"omero": omero})
    assert (
        ImageMetadata.of("CYX", {}, {}, channels=labels).for_channels(2).channels == names
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
    plane = pixels["Plane"]
    assert [plane[f"The{axis}"] for axis in "CZT"] == [0, 0, 0]
    assert [plane[f"Position{axis}"] for axis in "ZYX"] == [10, 20, -30]


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


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_a_long_movie_is_known_as_a_result(tmp_path, name):
    """Its metadata stay where results are recognized quickly."""
    record = {"source": {"name": "a" * 5000}, "model": {}, "software": {}}
    path = write_tiff(
        tmp_path / name,
        np.zeros((3000, 2, 2, 2), "uint8"),
        "TCYX",
        channels=["DAPI", "GFP"],
        position={"X": 1.0},
        scale={"X": 2.0},
        record=record,
    )
    assert is_result(path)
    assert read_record(path) == record
    assert read_metadata(path).channels == ("DAPI", "GFP")
    assert read_metadata(path).position == {"X": 1}


@pytest.mark.parametrize("side", [2, 3, 4])
@pytest.mark.parametrize("axes", ["YX", "ZYX", "CYX", "TCZYX"])
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_narrow_images_have_no_colors(tmp_path, name, axes, side):
    """A side of 3 or 4 pixels is not taken for colors."""
    shape = [side if a in "YX" else 2 for a in axes]
    array = np.arange(np.prod(shape), dtype="uint8").reshape(shape)
    path = write_tiff(tmp_path / name, array, axes)
    pixels, found = read_image(path)
    np.testing.assert_array_equal(pixels, array.transpose([axes.index(a) for a in found]))
