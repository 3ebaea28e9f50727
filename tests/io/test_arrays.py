import pickle
import subprocess
import sys

import numpy as np
import pytest

from napari_hush.errors import DataError, SourceTypeError
from napari_hush.io import axes_of, fingerprint_of, load_images, open_images

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
        open_images(channels, "array", "ZYX")
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


def test_a_group_is_no_array():
    zarr = pytest.importorskip("zarr")
    with pytest.raises(SourceTypeError, match=r"Zarr group; give one of its arrays"):
        open_images(zarr.group(), "array", "ZYX")


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
    assert not loaded & {"zarr", "dask", "xarray", "yaozarrs", "pylibCZIrw", "torch"}
