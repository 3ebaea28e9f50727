import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from napari_hush.errors import DataError, SourceTypeError, UnreadableFileError
from napari_hush.io import (
    Image,
    axes_of,
    fingerprint_of,
    load_images,
    open_images,
    select_channels,
)

IMAGE = np.random.default_rng(0).random((3, 20, 30))


def dask_array():
    return pytest.importorskip("dask.array").from_array(IMAGE, chunks=(1, 8, 8))


def zarr_array():
    return pytest.importorskip("zarr").array(IMAGE, chunks=(1, 8, 8))


def labelled_dask_array():
    return pytest.importorskip("xarray").DataArray(dask_array(), dims=["t", "y", "x"])


def plain_array():
    return IMAGE


@pytest.mark.parametrize(
    ("make", "chunks"),
    [
        (dask_array, (1, 1, 8, 8)),
        (zarr_array, (1, 1, 8, 8)),
        (labelled_dask_array, (1, 1, 8, 8)),
    ],
)
def test_arrays_that_are_elsewhere_stay_there(make, chunks):
    (image,) = open_images(make(), "array", "ZYX")
    assert not image.in_memory
    (sample,) = image.samples
    assert sample.chunks == chunks
    np.testing.assert_array_equal(sample[:, 1:3, 5:19, 4:22][0], IMAGE[1:3, 5:19, 4:22])
    loaded = load_images(make(), "array", "ZYX")[0].data
    assert type(loaded) is np.ndarray
    np.testing.assert_array_equal(loaded, IMAGE)


def test_numpy_arrays_stay_what_they_are():
    (image,) = open_images(IMAGE, "array", "ZYX")
    assert image.data is IMAGE
    assert fingerprint_of(image) is None


def test_labels_around_numpy():
    xarray = pytest.importorskip("xarray")
    (image,) = open_images(xarray.DataArray(IMAGE, dims=[*"zyx"]), "array", "ZYX")
    assert image.in_memory
    assert image.data is IMAGE


def test_labels_around_a_file():
    xarray = pytest.importorskip("xarray")
    array = xarray.DataArray(IMAGE, dims=[*"zyx"])
    array.encoding["source"] = "somewhere.nc"
    (image,) = open_images(array, "array", "ZYX")
    assert not image.in_memory
    np.testing.assert_array_equal(image.data[1:, 3:9, 4], IMAGE[1:, 3:9, 4])


def test_axes_that_arrays_name():
    xarray = pytest.importorskip("xarray")
    assert axes_of(IMAGE) is None
    assert axes_of(labelled_dask_array()) == "TYX"
    assert axes_of(xarray.DataArray(IMAGE, dims=["lat", "y", "x"])) is None
    channels = xarray.DataArray(IMAGE, dims=["channel", "y", "x"])
    with pytest.raises(DataError, match=r"axes of the array are 'CYX'"):
        open_images(channels, "array", "ZYX", inherited=True)
    assert open_images(channels, "array", "ZYX")[0].overridden == "CYX"
    with pytest.raises(DataError, match="name 2 dimensions"):
        open_images(channels, "array", "YX")


def test_axes_that_zarr_arrays_name():
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array({}, shape=(2, 3), dtype="u1", dimension_names=["y", "x"])
    assert axes_of(array) == "YX"
    assert axes_of(zarr_array()) is None


def test_a_zarr_array_in_memory_travels_whole():
    (image,) = open_images(zarr_array(), "array", "ZYX")
    moved = pickle.loads(pickle.dumps(image.data))  # noqa: S301
    np.testing.assert_array_equal(moved[1], IMAGE[1])
    assert fingerprint_of(image) is None


def test_a_group_with_one_array_is_that_array():
    zarr = pytest.importorskip("zarr")
    group = zarr.group()
    with pytest.raises(SourceTypeError, match=r"a Group, which is empty"):
        open_images(group, "array", "ZYX")
    group.create_array("raw", data=IMAGE)
    (image,) = open_images(group, "array", "ZYX")
    np.testing.assert_array_equal(image.data[1], IMAGE[1])
    group.create_array("clean", data=IMAGE)
    with pytest.raises(SourceTypeError, match=r"which holds clean, raw; give one of them"):
        open_images(group, "array", "ZYX")


class OnlyDlpack:
    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


class OnCuda:
    """As cupy arrays: no implicit conversion."""

    __cuda_array_interface__ = property(lambda self: {})

    def __array__(self, *arguments, **options):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def get(self):
        return IMAGE


def pil_images():
    module = pytest.importorskip("PIL.Image")
    pixels = (255 * IMAGE[0]).astype("u1")
    return module.fromarray(pixels), pixels[None]


def torch_leaf():
    tensor = torch.tensor(IMAGE, requires_grad=True)
    return tensor, IMAGE


def torch_bfloat16():
    tensor = torch.tensor(IMAGE, dtype=torch.bfloat16)
    return tensor, tensor.float().numpy()


def dataset():
    xarray = pytest.importorskip("xarray")
    return xarray.Dataset({"raw": (("z", "y", "x"), IMAGE)}), IMAGE


@pytest.mark.parametrize(
    "make",
    [
        torch_leaf,
        torch_bfloat16,
        lambda: (torch.tensor(IMAGE).conj(), IMAGE),
        lambda: (torch.nn.Parameter(torch.tensor(IMAGE)), IMAGE),
        lambda: (OnlyDlpack(IMAGE), IMAGE),
        lambda: (OnCuda(), IMAGE),
        lambda: (IMAGE.view(type("Quantity", (np.ndarray,), {})), IMAGE),
        dataset,
    ],
)
def test_arrays_of_other_packages_give_their_pixels(make):
    array, pixels = make()
    for source in (array, [array]):
        (image,) = load_images(source, "array", "ZYX")
        assert type(image.data) is np.ndarray
        assert image.data.dtype == pixels.dtype
        np.testing.assert_array_equal(image.data, pixels)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_planes_of_other_kinds_give_their_pixels():
    for given, pixels in (pil_images(), (np.matrix(IMAGE[0]), IMAGE[:1])):
        (image,) = open_images(given, "array", "YX")
        np.testing.assert_array_equal(image.data, pixels[0])
    assert Image.from_array(IMAGE[0].tolist(), "YX").data.tolist() == IMAGE[0].tolist()


def unknown_chunks():
    array = dask_array()
    return array[array[:, 0, 0] > 0]


def two_variables():
    xarray = pytest.importorskip("xarray")
    return xarray.Dataset({"a": (("y", "x"), IMAGE[0]), "b": (("y", "x"), IMAGE[0])})


def palette():
    return pil_images()[0].convert("P")


def masked_dask():
    da = pytest.importorskip("dask.array")
    return da.ma.masked_greater(dask_array(), 0.5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (unknown_chunks, r"unknown sizes; call its compute_chunk_sizes\(\)"),
        (two_variables, r"2 variables \(a, b\); give one of them"),
        (palette, "has a palette"),
        (masked_dask, r"give array\.compute\(\), so that its mask is used"),
        (lambda: torch.zeros(3, 4, 5, device="meta"), "cannot become a numpy array"),
        (lambda: torch.zeros(3, 4, 5).to_sparse(), "cannot become a numpy array"),
        (lambda: IMAGE.tolist(), r"Array 0 was given as list; give an array"),
        (lambda: {"a": IMAGE}, "a dict, which holds a; give one of them"),
        (lambda: (plane for plane in IMAGE), "was given as generator"),
        (lambda: None, "was given as NoneType"),
        (lambda: 3.0, "was given as float"),
        (lambda: b"bytes", "was given as bytes"),
        (lambda: range(3), "was given as range"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(make, words):
    with pytest.raises(SourceTypeError, match=words):
        open_images(make(), "array", "ZYX")


@pytest.mark.parametrize(
    "array",
    [
        np.float32(3),
        np.array(3.0),
        IMAGE.astype(complex),
        np.zeros((3, 4, 5), [("a", "f4"), ("b", "u1")]),
        np.full((3, 4, 5), "text"),
        np.array([IMAGE, IMAGE[0]], object),
        np.zeros((3, 4, 5), "M8[s]"),
        np.zeros((3, 0, 5)),
    ],
)
def test_arrays_that_hold_no_image(array):
    with pytest.raises(DataError):
        open_images(array, "array", "ZYX")


class Broken:
    shape, dtype, ndim = (3, 4, 5), "f4", 3

    def __getitem__(self, key):
        raise KeyError("chunk 7")


class Flat(Broken):
    def __getitem__(self, key):
        return np.zeros(60)


def test_pixels_that_cannot_be_read_are_reported_in_one_sentence():
    with pytest.raises(UnreadableFileError, match=r"array could not be read .*chunk 7"):
        load_images(Broken(), "array", "ZYX")
    with pytest.raises(UnreadableFileError, match=r"shape \(60,\), not \(3, 4, 5\)"):
        load_images(Flat(), "array", "ZYX")


@pytest.mark.parametrize("view", [lambda m: m, lambda m: np.asarray(m), lambda m: m[:, 2:]])
def test_a_memory_map_of_a_file_that_shrank(tmp_path, view):
    np.save(tmp_path / "a.npy", IMAGE)
    mapped = view(np.load(tmp_path / "a.npy", mmap_mode="r"))
    (image,) = open_images(mapped, "array", "ZYX")
    np.testing.assert_array_equal(image.loaded().data, mapped)
    os.truncate(tmp_path / "a.npy", 200)
    with pytest.raises(UnreadableFileError, match="shorter than when it was opened"):
        image.loaded()


@pytest.mark.parametrize(
    ("shape", "axes", "left"),
    [
        ((1, 1, 6, 7), "YX", (6, 7)),
        ((3, 1, 6, 7), "TYX", (3, 6, 7)),
        ((3, 1, 1, 1, 6, 7), "TYX", (3, 6, 7)),
        ((1, 6, 7, 1), "TYX", (1, 6, 7)),
        ((6, 7, 1), "YX", (6, 7)),
        ((1, 1, 1, 7), "YX", (1, 7)),
    ],
)
def test_dimensions_of_size_1_are_left_out(shape, axes, left):
    array = np.arange(np.prod(shape)).reshape(shape)
    da = pytest.importorskip("dask.array")
    for source in (array, da.from_array(array)):
        (image,) = open_images(source, "array", axes)
        assert image.axes.shape == left
        np.testing.assert_array_equal(image.loaded().data, array.reshape(left))
        assert image.source_shape(left) == shape
    with pytest.raises(DataError, match="name 2 dimensions"):
        open_images(np.zeros((2, 6, 7)), "array", "YX")


MASKED = np.ma.masked_array(IMAGE.copy(), IMAGE > 0.9, fill_value=-1)
MASKED.data[MASKED.mask] = np.nan


def test_masked_pixels_become_the_mean_of_the_others():
    for source in (MASKED, [MASKED]):
        (image,) = open_images(source, "array", "ZYX")
        np.testing.assert_array_equal(image.mask, MASKED.mask)
        np.testing.assert_array_equal(image.data[~image.mask], IMAGE[~MASKED.mask])
        np.testing.assert_allclose(image.data[image.mask], MASKED.mean(), rtol=1e-14)


def test_masked_pixels_become_the_mean_of_their_channel():
    counts = np.ma.masked_array([[[1, 2, 999]], [[50, 999, 53]]], dtype="u2", mask=False)
    counts[counts == 999] = np.ma.masked
    (image,) = open_images(counts, "array", "CYX")
    assert image.data.tolist() == [[[1, 2, 2]], [[50, 52, 53]]]  # 1.5 and 51.5, to even
    chosen = select_channels(image, [1])
    assert chosen.mask.tolist() == [[[False, True, False]]]


@pytest.mark.process
def test_nothing_is_imported_to_ask():
    code = (
        "import sys, numpy; from napari_hush.io import open_images;"
        "open_images(numpy.zeros((4, 4)), 'array', 'YX');"
        "print(*{m.partition('.')[0] for m in sys.modules})"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = set(said.stdout.split())
    assert "napari_hush" in loaded
    libraries = {
        "zarr",
        "dask",
        "xarray",
        "yaozarrs",
        "pylibCZIrw",
        "nd2",
        "liffile",
        "PIL",
    }
    assert not loaded & {*libraries, "torch"}
