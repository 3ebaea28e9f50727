import numpy as np
import pytest

from napari_hush.errors import (
    ConfigurationError,
    DataError,
    MissingFileError,
    SourceTypeError,
    UnreadableFileError,
)
from napari_hush.io import (
    fingerprint_of,
    load_images,
    open_images,
    read_image,
    write_tiff,
)

IMAGE = np.arange(30, dtype="uint8").reshape(5, 6)


def load_npy(path, axes):
    return np.load(path)


def test_one_array_and_several():
    (one,) = load_images(IMAGE, "array", "YX")
    assert one.name == "the array"
    assert one.samples[0].shape == (1, 5, 6)
    two = load_images([IMAGE, IMAGE[:3]], "array", "YX")
    assert [image.data.shape for image in two] == [(5, 6), (3, 6)]


def test_files(tmp_path):
    write_tiff(tmp_path / "a.tif", IMAGE, "YX")
    (image,) = load_images(tmp_path, "tiff", "YX")
    np.testing.assert_array_equal(image.data, IMAGE)
    assert "a.tif" in image.name


def test_custom(tmp_path):
    np.save(tmp_path / "a.npy", IMAGE)
    asked = []

    def read(path, axes):
        asked.append((path.name, axes))
        return np.load(path)

    (image,) = load_images(tmp_path, "custom", "YX", read, "*.npy")
    np.testing.assert_array_equal(image.data, IMAGE)
    assert asked == [("a.npy", "YX")]


@pytest.mark.parametrize(
    ("source", "data_type", "error", "says"),
    [
        ("a.tif", "array", SourceTypeError, "path was given.*data_type is 'array'"),
        (IMAGE, "tiff", SourceTypeError, "array was given but data_type is 'tiff'"),
        ([IMAGE, "a.tif"], "array", SourceTypeError, "mixes arrays and paths"),
        ([], "array", SourceTypeError, "list of images is empty"),
        (3.0, "array", SourceTypeError, "given as float"),
        ("a.npy", "custom", ConfigurationError, "read_source_func is missing"),
    ],
)
def test_what_is_given_is_compared_with_data_type(source, data_type, error, says):
    with pytest.raises(error, match=says):
        load_images(source, data_type, "YX")


@pytest.mark.parametrize("dtype", [complex, "U3", object])
def test_only_real_numbers(dtype):
    with pytest.raises(DataError, match="only real numbers"):
        load_images(np.zeros((4, 4), dtype), "array", "YX")


def test_axes_that_do_not_fit_name_the_image(tmp_path):
    write_tiff(tmp_path / "deep.tif", np.stack([IMAGE] * 3), "ZYX")
    with pytest.raises(DataError, match=r"deep\.tif.*name 2 dimensions"):
        load_images(tmp_path, "tiff", "YX")


def test_a_reader_that_fails_is_named(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"nonsense")
    with pytest.raises(UnreadableFileError, match=r"load_npy could not read .*a\.npy"):
        load_images(tmp_path / "a.npy", "custom", "YX", load_npy, "*.npy")


def test_a_reader_that_returns_no_array(tmp_path):
    (tmp_path / "a.npy").touch()
    with pytest.raises(UnreadableFileError, match="returned list"):
        load_images(tmp_path / "a.npy", "custom", "YX", lambda p, a: [1], "*.npy")


def test_opened_files_stay_on_disk(tmp_path):
    for name in ("b.tif", "a.tif"):
        write_tiff(tmp_path / name, IMAGE + (name == "b.tif"), "YX")
    first, second = open_images(tmp_path, "tiff", "YX")
    assert not first.in_memory
    assert second.name.endswith("b.tif'")
    np.testing.assert_array_equal(second.samples[0][:, 1:4, 2:5][0], IMAGE[1:4, 2:5] + 1)
    loaded = load_images(tmp_path, "tiff", "YX")
    for lazy, eager in zip((first, second), loaded, strict=True):
        np.testing.assert_array_equal(lazy.loaded().data, eager.data)


def test_the_fingerprint_follows_the_file(tmp_path):
    path = write_tiff(tmp_path / "a.tif", IMAGE, "YX")
    first = fingerprint_of(open_images(path, "tiff", "YX")[0])
    assert first == fingerprint_of(open_images(str(path), "tiff", "yx")[0])
    write_tiff(path, IMAGE[:4], "YX", overwrite=True)
    assert fingerprint_of(open_images(path, "tiff", "YX")[0]) not in (None, first)
    assert fingerprint_of(load_images(path, "tiff", "YX")[0]) is None


def test_one_image_of_any_format(tmp_path):
    zarr, pillow = pytest.importorskip("zarr"), pytest.importorskip("PIL.Image")
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="w", zarr_format=2)
    group.create_array("0", data=IMAGE[None, None])
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": [{"name": name} for name in "tcyx"],
            "datasets": [{"path": "0"}],
        }
    ]
    pillow.fromarray(IMAGE).save(tmp_path / "a.png")
    for name in ("a.ome.zarr", "a.png"):
        pixels, axes = read_image(tmp_path / name)
        assert axes == "YX"
        np.testing.assert_array_equal(pixels, IMAGE)


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.ome.zarr", "a"])
def test_an_image_that_is_not_there(tmp_path, name):
    with pytest.raises(MissingFileError, match=name):
        read_image(tmp_path / name)
