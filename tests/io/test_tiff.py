import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from napari_hush.errors import DataError, ExistingFileError, UnreadableFileError
from napari_hush.io import read_image, read_tiff, write_tiff


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "int32"])
def test_pixels_survive(tmp_path, dtype):
    array = np.arange(30, dtype=dtype).reshape(5, 6)
    np.testing.assert_array_equal(
        read_tiff(write_tiff(tmp_path / "a.tif", array, "YX")), array
    )


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
    with pytest.raises(DataError, match=r"\(4, 5, 6\).*name the axes"):
        read_image(tmp_path / "a.tif")


def test_nothing_is_replaced_unasked(tmp_path):
    first = write_tiff(tmp_path / "a.tif", np.zeros((4, 4), "uint8"), "YX")
    with pytest.raises(ExistingFileError, match="exists already"):
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
