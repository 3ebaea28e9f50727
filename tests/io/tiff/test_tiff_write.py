import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_hush.errors import DataError, ExistingFileError, UnreadableFileError
from napari_hush.io import read_image, read_metadata, read_tiff, write_tiff


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "int32"])
def test_pixels_survive(tmp_path, dtype):
    array = np.arange(30, dtype=dtype).reshape(5, 6)
    np.testing.assert_array_equal(
        read_tiff(write_tiff(tmp_path / "a.tif", array, "YX")), array
    )


@settings(max_examples=30, deadline=None)
@given(st.permutations("TZCYX"))
def test_axes_survive_in_any_order(tmp_path_factory, order):
    size = {"T": 2, "Z": 3, "C": 4, "Y": 5, "X": 6}
    axes = "".join(order)
    array = np.random.default_rng(0).random([size[a] for a in axes]).astype("float32")
    path = tmp_path_factory.mktemp("tiff") / "a.tif"
    back, read_axes = read_image(write_tiff(path, array, axes))
    assert read_axes == "TZCYX"
    np.testing.assert_array_equal(back, array.transpose([axes.index(a) for a in "TZCYX"]))


def test_the_colours_of_rgb_are_channels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 6, 3), "uint8"), photometric="rgb")
    assert read_image(tmp_path / "a.tif")[1] == "YXC"


def test_dimensions_without_a_name(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((4, 5, 6), "uint8"),
        metadata=None,
        photometric="minisblack",
    )
    with pytest.raises(DataError, match=r"do not name all.* give the axes"):
        read_image(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif", axes="zyx")[1] == "ZYX"


def test_nothing_is_replaced_unasked(tmp_path):
    first = write_tiff(tmp_path / "a.tif", np.zeros((4, 4), "uint8"), "YX")
    with pytest.raises(ExistingFileError, match="already exists"):
        write_tiff(first, np.ones((4, 4), "uint8"), "YX")
    assert read_tiff(first).max() == 0
    write_tiff(first, np.ones((4, 4), "uint8"), "YX", overwrite=True)
    assert read_tiff(first).max() == 1


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        args[0].write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full)
    with pytest.raises(OSError, match="No space"):
        write_tiff(tmp_path / "a.tif", np.zeros((4, 4), "uint8"), "YX")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"not an image at all", b"II*\x00\xff\xff\xff\x7f"]
)
def test_what_is_no_tiff_is_named(tmp_path, content):
    path = tmp_path / "broken.tif"
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError, match=r"broken\.tif"):
        read_tiff(path)


def test_a_truncated_tiff(tmp_path):
    path = write_tiff(tmp_path / "cut.tif", np.ones((64, 64), "uint16"), "YX")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UnreadableFileError, match=r"cut\.tif"):
        read_tiff(path)


@settings(max_examples=30, deadline=None)
@given(st.permutations("TZCYX"), st.sampled_from(["uint16", "float64"]), st.data())
def test_sizes_and_units_survive(tmp_path_factory, order, dtype, data):
    axes = "".join(order)
    size = st.floats(0.01, 100).map(lambda x: round(x, 4))
    scale = {a: data.draw(size) for a in "TZYX"}
    length = data.draw(st.sampled_from(["nanometer", "micrometer", "millimeter"]))
    units = {"T": "second", **dict.fromkeys("ZYX", length)}
    path = tmp_path_factory.mktemp("tiff") / "a.tif"
    write_tiff(path, np.zeros((2,) * 5, dtype), axes, scale=scale, units=units)
    back = read_metadata(path)
    assert back.axes == ("TZCYX" if dtype == "uint16" else "TCZYX")  # ImageJ, OME
    assert back.scale == pytest.approx(scale, rel=1e-5)
    assert back.units == units


def test_imagej_has_one_unit_of_length(tmp_path):
    write_tiff(
        tmp_path / "a.tif",
        np.zeros((2, 4, 4), "uint8"),
        "ZYX",
        scale={"Z": 500, "Y": 0.1, "X": 0.1, "T": 20},
        units={"Z": "nm", "Y": "µm", "X": "µm", "T": "ms"},
    )
    back = read_metadata(tmp_path / "a.tif")
    assert back.scale == pytest.approx({"T": 0.02, "Z": 0.5, "Y": 0.1, "X": 0.1}, rel=1e-5)
    assert set(back.units.values()) == {"micrometer", "second"}


def test_units_that_imagej_cannot_say_are_kept_in_another_kind_of_tiff(tmp_path):
    sizes = {"scale": {"X": 1.0, "Y": 2.0}, "units": {"X": "micrometer", "Y": "second"}}
    pixels = np.arange(16, dtype="uint8").reshape(4, 4)
    path = write_tiff(tmp_path / "a.tif", pixels, "YX", **sizes)
    back = read_metadata(path)
    assert (back.axes, back.scale, back.units) == ("YX", sizes["scale"], sizes["units"])
    np.testing.assert_array_equal(read_tiff(path), pixels)


def test_without_sizes_none_are_invented(tmp_path):
    for number, dtype in enumerate(["uint8", "float64"]):
        path = write_tiff(tmp_path / f"{number}.tif", np.zeros((4, 4), dtype), "YX")
        assert read_metadata(path).scale == {}


def test_samples_of_other_types_stay_samples(tmp_path):
    path = write_tiff(tmp_path / "a.tif", np.zeros((3, 4, 5)), "SYX")
    assert read_image(path)[1] == "SYX"
