import warnings

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from napari_hush.errors import DataError
from napari_hush.io import ImageMetadata, open_images, read_metadata, write_tiff
from napari_hush.io.metadata import (
    convert,
    equivalent_axes,
    fitting_dimensions,
    letters_of,
    unit_name,
)


@pytest.mark.parametrize(
    ("unit", "name"),
    [
        ("µm", "micrometer"),
        ("\\u00B5m", "micrometer"),
        ("micron", "micrometer"),
        ("um", "micrometer"),
        ("nm", "nanometer"),
        ("micrometer", "micrometer"),
        ("sec", "second"),
        ("pixel", ""),
        ("furlong", "furlong"),
    ],
)
def test_units_are_spelt_in_one_way(unit, name):
    assert unit_name(unit) == name


def test_conversion():
    assert convert(500, "nm", "µm") == pytest.approx(0.5)
    assert convert(2, "min", "second") == 120
    assert convert(3, "", "micron") == 3
    with pytest.raises(ValueError, match="'second' cannot be converted to 'micrometer'"):
        convert(1, "s", "µm")


@pytest.mark.parametrize(
    ("names", "letters"),
    [
        (("time", "channel", "z", "y", "x"), "TCZYX"),
        (("Y", "X"), "YX"),
        (("frame", "row", "column"), "TYX"),
        (("angle", "y", "x"), None),
        (("y", "rows"), None),
    ],
)
def test_names_of_dimensions(names, letters):
    assert letters_of(names) == letters


def test_sizes_that_make_no_sense_are_left_out():
    found = ImageMetadata.of(
        "?YX", {"Y": 0, "X": 0.5, "Z": None}, {"X": "pixel", "Y": "nm"}
    )
    assert found == ImageMetadata(None, {"X": 0.5}, {})


@pytest.mark.parametrize(
    ("named", "given", "fits", "overrides"),
    # whether inherited axes fit, and what those of the user override; None: refused as well
    [
        ("ZCYX", "ZCYX", True, ""),
        ("ZCYX", "CZYX", False, "ZCYX"),
        ("ZYX", "TYX", True, ""),
        ("TYX", "SYX", True, ""),
        ("TZYX", "SZYX", True, ""),
        ("TZYX", "ZTYX", False, "TZYX"),
        ("ZYX", "CYX", False, "ZYX"),
        ("CYX", "ZYX", False, "CYX"),
        ("CYX", "TYX", False, "CYX"),
        ("YXC", "YXC", True, ""),
        ("YXC", "YXZ", False, "YXC"),
        ("YXC", "CYX", False, None),
        ("YX", "XY", False, None),
        ("CYX", "CXY", False, None),
        ("???", "CYX", True, ""),
        ("???", "XYZ", True, ""),
        ("??C", "CYX", False, "??C"),
        ("C??", "TYX", False, "C??"),
    ],
)
def test_axes_of_the_user_override_those_of_a_file(named, given, fits, overrides):
    shape = (5, 4, 3, 2)[-len(named) :]
    kept = tuple(range(len(shape)))
    if fits:
        found = fitting_dimensions("a.tif", named, shape, given, inherited=True)
        assert found == (kept, "")
    else:
        with pytest.raises(DataError, match=f"axes of a.tif are.*'{given}'"):
            fitting_dimensions("a.tif", named, shape, given, inherited=True)
    if overrides is None:
        with pytest.raises(DataError, match="give Y and X where the file has them"):
            fitting_dimensions("a.tif", named, shape, given)
    else:
        assert fitting_dimensions("a.tif", named, shape, given) == (kept, overrides)


def test_a_dimension_of_size_one_makes_room_for_the_axes_of_the_user():
    """A stack of 20 planes that is called one plane of 20 channels."""
    shape = (1, 20, 64, 64)
    assert fitting_dimensions("it", "ZCYX", shape, "ZYX") == ((1, 2, 3), "CYX")
    with pytest.raises(DataError, match="'ZCYX'"):
        fitting_dimensions("it", "ZCYX", shape, "ZYX", inherited=True)


@pytest.mark.parametrize(
    ("named", "axes", "advice"),
    [
        ("ZYX", "YX", "use planes one by one, give the axes as SYX"),
        ("TZYX", "TYX", "use planes one by one, give the axes as TSYX"),
        ("CYX", "YX", "use channels one by one, give the axes as SYX"),
        ("ZCYX", "YX", "use planes and channels one by one, give the axes as STYX"),
        ("TZCYX", "YX", "use images with the same axes.$"),
    ],
)
def test_images_with_more_axes_than_a_model_can_be_taken_one_by_one(named, axes, advice):
    shape = (3,) * len(named)
    with pytest.raises(DataError, match=advice):
        fitting_dimensions("it", named, shape, axes, inherited=True)


@pytest.mark.parametrize(
    ("named", "shape", "axes", "own"),
    [
        ("ZCYX", (4, 2, 8, 8), "CZYX", "ZCYX"),
        ("TCYX", (4, 2, 8, 8), "CYX", "TCYX"),
        ("TCZYX", (4, 1, 1, 8, 8), "YX", "TYX"),
        ("STYX", (2, 3, 8, 8), "YX", "STYX"),
        ("YX", (8, 8), "TYX", "YX"),
        ("ZYX", (4, 8, 8), "TYX", "TYX"),  # T and Z stand for each other
        ("ZYX", (4, 8, 8), "YX", "YX"),
        ("CYX", (4, 8, 8), "ZYX", "ZYX"),
        ("??YX", (3, 4, 8, 8), "ZYX", "ZYX"),
    ],
)
def test_axes_of_another_order_are_those_of_the_file(named, shape, axes, own):
    assert equivalent_axes(named, shape, axes) == own


@given(st.permutations("TCZYX"), st.data())
def test_dimensions_of_size_one_may_stay_unnamed(order, data):
    named = "".join(order)
    left_out = data.draw(st.sets(st.sampled_from("TCZ")))
    shape = [1 if a in left_out else 2 for a in named]
    axes = "".join(a for a in named if a not in left_out)
    kept, _ = fitting_dimensions("it", named, shape, axes)
    assert "".join(named[i] for i in kept) == axes


def test_one_stack_axis_stays_for_a_renamed_one():
    assert fitting_dimensions("it", "??YX", (1, 1, 8, 8), "YX").kept == (2, 3)
    assert fitting_dimensions("it", "?TYX", (1, 3, 8, 8), "TYX").kept == (1, 2, 3)
    assert fitting_dimensions("it", "????", (1, 8, 8, 1), "TYX").kept == (0, 1, 2)
    assert fitting_dimensions("it", "?" * 40, (1,) * 38 + (8, 8), "YX").kept == (38, 39)
    assert fitting_dimensions("it", "TCZYX", (1, 1, 1, 8, 8), "SYX").kept == (0, 3, 4)


def test_the_messages_say_what_to_do(tmp_path, caplog):
    for name in "ab":
        write_tiff(tmp_path / f"{name}.tif", np.zeros((3, 2, 5, 6), "uint16"), "ZCYX")
    says = (
        r"a\.tif' are 'ZCYX' \(Z = 3, C = 2, Y = 5, X = 6\) but those of the training "
        r"images are 'CZYX'; .*--axes CZYX"
    )
    with pytest.raises(DataError, match=says):
        open_images(tmp_path, "tiff", "CZYX", inherited=True)
    assert open_images(tmp_path, "tiff", "TCYX")[0].axes.axes == "TCYX"
    assert not caplog.records
    assert open_images(tmp_path, "tiff", "CZYX")[0].axes.canonical_shape == (1, 3, 2, 5, 6)
    (record,) = caplog.records
    said = "a.tif' are ZCYX, and 1 other images disagree as well; read as CZYX, as given."
    assert said in record.getMessage()


@pytest.mark.parametrize(
    ("shape", "axes"), [((3, 24, 24), "TYX"), ((4, 24, 24), "ZYX"), ((24, 24, 3), "YXT")]
)
def test_frames_that_tifffile_takes_for_colors(tmp_path, shape, axes):
    pixels = np.random.default_rng(0).integers(0, 99, shape, dtype="uint8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tifffile.imwrite(tmp_path / "a.tif", pixels)
    assert "C" in read_metadata(tmp_path / "a.tif").axes
    image = open_images(tmp_path / "a.tif", "tiff", axes)[0].loaded()
    assert image.axes.axes == axes
    np.testing.assert_array_equal(image.data, pixels)


def test_a_file_without_names_takes_any(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((2, 5, 6), "uint8"), photometric="minisblack"
    )
    for axes in ("CYX", "ZYX", "SYX", "TXY"):
        assert open_images(tmp_path, "tiff", axes)[0].axes.axes == axes
    assert read_metadata(tmp_path / "a.tif") == ImageMetadata()


def test_sizes_of_ome_tiff(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        np.zeros((2, 3, 5, 6), "uint8"),
        photometric="minisblack",
        metadata={
            "axes": "TZYX",
            "PhysicalSizeX": 65,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeZ": 0.3,
            "TimeIncrement": 20,
            "TimeIncrementUnit": "ms",
        },
    )
    assert read_metadata(tmp_path / "a.ome.tif") == ImageMetadata(
        "TZYX",
        {"T": 20, "Z": 0.3, "X": 65},
        {"T": "millisecond", "Z": "micrometer", "X": "nanometer"},
    )


def test_other_files_say_nothing(tmp_path):
    (tmp_path / "a.npy").touch()
    assert read_metadata(tmp_path / "a.npy") == ImageMetadata()


def test_images_of_one_name_have_their_own_metadata(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for size in (0.2, 0.4):
            known = {"axes": "YX", "Name": "Position", "PhysicalSizeX": size}
            file.write(np.zeros((8, 9), "uint16"), metadata=known)
    for number, size in enumerate((0.2, 0.4)):
        assert read_metadata(tmp_path / f"a.ome.tif#{number}").scale == {"X": size}


def test_dimensions_that_a_file_lacks_have_size_1(tmp_path):
    stack = np.arange(3 * 8 * 9, dtype="uint16").reshape(3, 8, 9)
    for name, planes in (("a", stack), ("b", stack[:1])):
        known = {"axes": "ZYX"}
        tifffile.imwrite(tmp_path / f"{name}.ome.tif", planes, ome=True, metadata=known)
    several, one = open_images(tmp_path, "tiff", "ZYX")
    assert several.axes.shape == (3, 8, 9)
    assert one.axes.shape == (1, 8, 9)
    np.testing.assert_array_equal(one.data[...], stack[:1])
    np.testing.assert_array_equal(one.data[0, 2:4, 1], stack[0, 2:4, 1])
    assert one.samples[0].shape == (1, 1, 8, 9)
