import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from napari_hush.errors import DataError
from napari_hush.io import ImageMetadata, open_images, read_metadata, write_tiff
from napari_hush.io.metadata import convert, fitting_dimensions, letters_of, unit_name


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
    ("named", "given", "fits"),
    [
        ("ZCYX", "ZCYX", True),
        ("ZCYX", "CZYX", False),
        ("ZYX", "TYX", True),
        ("TYX", "SYX", True),
        ("TZYX", "SZYX", True),
        ("TZYX", "ZTYX", False),
        ("ZYX", "CYX", False),
        ("CYX", "ZYX", False),
        ("YXC", "YXC", True),
        ("YXC", "CYX", False),
        ("YX", "XY", False),
        ("???", "CYX", True),
        ("???", "XYZ", True),
        ("??C", "CYX", False),
    ],
)
def test_file_and_user_have_to_agree(named, given, fits):
    shape = (5, 4, 3, 2)[-len(named) :]
    if fits:
        assert fitting_dimensions("a.tif", named, shape, given) == tuple(range(len(shape)))
    else:
        with pytest.raises(DataError, match=f"axes of a.tif are.*'{given}'"):
            fitting_dimensions("a.tif", named, shape, given)


@given(st.permutations("TCZYX"), st.data())
def test_dimensions_of_size_one_may_stay_unnamed(order, data):
    named = "".join(order)
    left_out = data.draw(st.sets(st.sampled_from("TCZ")))
    shape = [1 if a in left_out else 2 for a in named]
    axes = "".join(a for a in named if a not in left_out)
    kept = fitting_dimensions("it", named, shape, axes)
    assert "".join(named[i] for i in kept) == axes


def test_one_stack_axis_stays_for_a_renamed_one():
    assert fitting_dimensions("it", "TCZYX", (1, 1, 1, 8, 8), "SYX") == (0, 3, 4)


def test_the_message_says_what_to_do(tmp_path):
    write_tiff(tmp_path / "a.tif", np.zeros((3, 2, 5, 6), "uint16"), "ZCYX")
    says = (
        r"a\.tif' are 'ZCYX' \(Z = 3, C = 2, Y = 5, X = 6\) but they were given as 'CZYX'; "
    )
    with pytest.raises(DataError, match=says + "give the axes of the file"):
        open_images(tmp_path, "tiff", "CZYX")
    assert open_images(tmp_path, "tiff", "TCYX")[0].axes.axes == "TCYX"


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
