"""Pixels of any type, shape and order of axes survive a file."""

import numpy as np
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_hush.axes import AxesMap
from napari_hush.io import open_images, read_metadata, write_tiff

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int64", "float32", "float64")


@st.composite
def images(draw, letters="STCZ"):
    """Pixels and their axes, Y and X at the end or not."""
    more = draw(st.sets(st.sampled_from(letters), max_size=3))
    axes = "".join(draw(st.permutations([*more, "Y", "X"])))
    # TIFF takes a last dimension of 1 for none; sizes of 2 and more say what they are.
    shape = tuple(draw(st.integers(2, 5)) for _ in axes)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    if dtype.kind == "f":
        return rng.normal(0, 1e3, shape).astype(dtype), axes
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True), axes


@settings(deadline=None, max_examples=30)
@given(images())
def test_a_tiff_written_here(tmp_path_factory, case):
    """As ImageJ has it or, for types that it does not have, as it is."""
    array, axes = case
    path = write_tiff(tmp_path_factory.mktemp("tiff") / "a.tif", array, axes)
    stored = read_metadata(path).axes
    (image,) = open_images(path, "tiff", stored)
    kept = image.loaded()
    assert kept.data.dtype == array.dtype
    found = kept.axes.to_canonical(kept.data)
    wanted = AxesMap(axes, array.shape).to_canonical(array)
    if "Z" not in axes and "Z" in stored:  # ImageJ always has a Z
        wanted = wanted[:, :, None]
    np.testing.assert_array_equal(found, wanted)


@settings(deadline=None, max_examples=30)
@given(
    images("TCZ"),
    st.sampled_from([None, "zlib", "zlib with differences"]),
    st.sampled_from("<>"),
    st.booleans(),
)
def test_a_tiff_of_others(tmp_path_factory, case, packing, order, in_tiles):
    array, axes = case
    array = np.ascontiguousarray(
        array.transpose([axes.index(a) for a in "TZCYX" if a in axes])
    )
    axes = "".join(a for a in "TZCYX" if a in axes)
    path = tmp_path_factory.mktemp("tiff") / "a.tif"
    tifffile.imwrite(
        path,
        array,
        byteorder=order,
        compression=packing and "zlib",
        predictor=bool(packing and "differences" in packing and array.dtype.itemsize < 4),
        tile=(16, 16) if in_tiles else None,
        photometric="minisblack",
        metadata={"axes": axes},
    )
    (image,) = open_images(path, "tiff", axes)
    np.testing.assert_array_equal(image.loaded().data, array)
    for number, sample in enumerate(image.samples):
        part = tuple(slice(n // 2, n) for n in sample.shape)
        whole = AxesMap(axes, array.shape).samples(array)[number]
        np.testing.assert_array_equal(sample[part], whole[part])


@settings(deadline=None, max_examples=30)
@given(images(), st.sampled_from([2, 3]), st.data())
def test_a_zarr_array(tmp_path_factory, case, version, data):
    array, axes = case
    chunks = tuple(data.draw(st.integers(1, n)) for n in array.shape)
    path = tmp_path_factory.mktemp("zarr") / "a.zarr"
    store = zarr.create_array(
        path, shape=array.shape, chunks=chunks, dtype=array.dtype, zarr_format=version
    )
    store[...] = array
    (image,) = open_images(path, "zarr", axes)
    np.testing.assert_array_equal(image.loaded().data, array)
    ours = image.samples[-1]
    theirs = AxesMap(axes, array.shape).samples(array)[-1]
    part = tuple(slice(n // 2, n) for n in ours.shape)
    np.testing.assert_array_equal(ours[part], theirs[part])
