import itertools
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

zarr = pytest.importorskip("zarr")

from napari_hush.errors import (
    ConfigurationError,
    DataError,
    HushError,
    MissingFileError,
    UnreadableFileError,
)
from napari_hush.io import (
    ImageMetadata,
    fingerprint_of,
    load_images,
    open_images,
    read_metadata,
)
from napari_hush.io.lazy import chunk_cache
from napari_hush.io.zarr.read import ZarrPixels

IMAGE = np.random.default_rng(0).integers(0, 2**12, (3, 20, 30)).astype("uint16")


@pytest.fixture(autouse=True)
def fresh_cache():
    chunk_cache.clear()
    yield
    chunk_cache.clear()


def store(path, array=IMAGE, version=3, chunks=None, **how):
    made = zarr.create_array(
        path,
        shape=array.shape,
        dtype=array.dtype,
        chunks=chunks or tuple(min(n, 8) for n in array.shape),
        zarr_format=version,
        **how,
    )
    made[...] = array
    return path


def ome(path, version="0.5", shape=(1, 2, 3, 20, 30), levels=2, **changed):
    """An OME-Zarr image TCZYX whose level n is full of pixels n."""
    group = zarr.create_group(path, zarr_format=2 if version == "0.4" else 3)
    for level in range(levels):
        size = (*shape[:3], *(n >> level for n in shape[3:]))
        made = group.create_array(
            str(level), shape=size, dtype="uint8", chunks=(1, 1, 1, 8, 8)
        )
        made[...] = level
    known = {
        "axes": [
            {"name": "t", "type": "time", "unit": "second"},
            {"name": "c", "type": "channel"},
            *({"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"),
        ],
        "datasets": [
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": [1, 1, 0.5, 0.1 * 2**level, 0.1 * 2**level]}
                ],
            }
            for level in range(levels)
        ],
        "coordinateTransformations": [{"type": "scale", "scale": [30, 1, 1, 1, 1]}],
        **changed,
    }
    if version == "0.4":
        group.attrs["multiscales"] = [{"version": "0.4", **known}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [known]}
    return path


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_region_is_that_of_the_array(tmp_path_factory, data):
    shape = tuple(data.draw(st.lists(st.integers(1, 12), min_size=2, max_size=4)))
    chunks = tuple(data.draw(st.integers(max(1, n // 3), n)) for n in shape)
    dtype = data.draw(st.sampled_from(["uint8", "<u2", ">u2", "float32", "bool"]))
    array = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
    folder = tmp_path_factory.mktemp("zarr")
    # Only zarr 3.1 and later write other byte orders in version 3.
    version = 2 if dtype == ">u2" else data.draw(st.sampled_from([2, 3]))
    path = store(folder / "a.zarr", array, version, chunks)
    (image,) = open_images(path, "zarr", "TZYX"[-len(shape) :])
    assert not image.in_memory
    assert image.data.chunks == chunks
    assert image.data.dtype == array.dtype.newbyteorder("=")
    key = tuple(
        slice(*sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))))
        for n in shape
    )
    np.testing.assert_array_equal(image.data[key], array[key])
    np.testing.assert_array_equal(image.loaded().data, array)


def test_shards(tmp_path):
    path = store(tmp_path / "a.zarr", chunks=(1, 5, 5), shards=(1, 10, 10))
    (image,) = open_images(path, "zarr", "ZYX")
    assert image.data.chunks == (1, 5, 5)
    np.testing.assert_array_equal(image.data[1, 3:17, 4:9], IMAGE[1, 3:17, 4:9])


def test_a_chunk_is_decoded_once(tmp_path, monkeypatch):
    pixels = ZarrPixels(zarr.open_array(store(tmp_path / "a.zarr"), mode="r"))
    decoded = []
    real = pixels._decoded
    monkeypatch.setattr(pixels, "_decoded", lambda key: (decoded.append(key), real(key))[1])
    for _ in range(3):
        pixels[0, 2:7, 2:7]
    assert decoded == [(slice(0, 3), slice(0, 8), slice(0, 8))]
    assert chunk_cache.nbytes == 3 * 8 * 8 * 2


def test_what_is_too_big_goes_past_the_cache(tmp_path, monkeypatch):
    pixels = ZarrPixels(zarr.open_array(store(tmp_path / "a.zarr"), mode="r"))
    np.testing.assert_array_equal(pixels[...], IMAGE)
    monkeypatch.setattr(chunk_cache, "limit", IMAGE.nbytes)
    np.testing.assert_array_equal(pixels[:, 1:], IMAGE[:, 1:])
    assert len(chunk_cache) == 0
    pixels[:, 15:]
    assert len(chunk_cache) == 8


def test_it_travels_to_other_processes_and_threads(tmp_path):
    (image,) = open_images(store(tmp_path / "a.zarr"), "zarr", "ZYX")
    image.data[0]
    moved = pickle.loads(pickle.dumps(image.data))  # noqa: S301
    np.testing.assert_array_equal(moved[1], IMAGE[1])
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda i: image.data[i % 3, i : i + 5], range(12)))
    for i, part in enumerate(parts):
        np.testing.assert_array_equal(part, IMAGE[i % 3, i : i + 5])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr(tmp_path, version):
    path = ome(tmp_path / "a.zarr", version)
    assert read_metadata(path) == ImageMetadata(
        "TCZYX",
        {"T": 30, "Z": 0.5, "Y": 0.1, "X": 0.1},
        {"T": "second", **dict.fromkeys("ZYX", "micrometer")},
    )
    assert read_metadata(path, 1).scale == {"T": 30, "Z": 0.5, "Y": 0.2, "X": 0.2}
    assert read_metadata(path / "1") == read_metadata(path, 1)
    (fine,) = open_images(path, "zarr", "TCZYX")
    assert fine.data.shape == (1, 2, 3, 20, 30)
    for image in (
        *open_images(path, "zarr", "TCZYX", level=1),
        *open_images(path / "1", "zarr", "TCZYX"),
    ):
        assert image.data.shape == (1, 2, 3, 10, 15)
        assert (image.data[0, 1, 2] == 1).all()


def test_dimensions_of_size_one_may_stay_unnamed(tmp_path):
    path = ome(tmp_path / "a.zarr", shape=(1, 1, 3, 20, 30))
    (image,) = open_images(path, "zarr", "ZYX")
    assert image.data.shape == (3, 20, 30)
    assert image.data.chunks == (1, 8, 8)
    assert image.samples[0][:, 1:2, 3:9, 3:9].shape == (1, 1, 6, 6)
    assert fingerprint_of(image) is not None
    with pytest.raises(DataError, match="name 2 dimensions"):
        open_images(path, "zarr", "YX")


def test_axes_that_the_store_contradicts(tmp_path):
    path = ome(tmp_path / "a.zarr")
    with pytest.raises(DataError, match=r"a\.zarr.*'TCZYX'.* images are 'TZCYX'"):
        open_images(path, "zarr", "TZCYX", inherited=True)
    with pytest.raises(DataError, match=r"a\.zarr.*'TCZYX'.*given as 'TCZXY'"):
        open_images(path, "zarr", "TCZXY")
    assert open_images(path, "zarr", "TZCYX")[0].axes.axes == "TZCYX"


def test_names_of_dimensions_without_ome(tmp_path):
    path = store(tmp_path / "a.zarr", dimension_names=["channel", "y", "x"])
    assert read_metadata(path).axes == "CYX"
    with pytest.raises(DataError, match="'CYX'"):
        open_images(path, "zarr", "ZYX", inherited=True)
    old = store(tmp_path / "b.zarr", version=2, attributes={"_ARRAY_DIMENSIONS": [*"tyx"]})
    assert read_metadata(old).axes == "TYX"


def test_levels_that_are_not_there(tmp_path):
    path = ome(tmp_path / "a.zarr")
    with pytest.raises(DataError, match="levels 0 to 1, but level 2"):
        open_images(path, "zarr", "TCZYX", level=2)
    with pytest.raises(DataError, match="single array, but level 1"):
        open_images(path / "0", "zarr", "TCZYX", level=1)
    with pytest.raises(ConfigurationError, match="only Zarr and TIFF"):
        open_images(IMAGE, "array", "ZYX", level=1)
    with pytest.raises(
        MissingFileError, match=r"no '7' in .*a\.zarr', which contains '0', '1'"
    ):
        open_images(path / "7", "zarr", "TCZYX")


def test_a_folder_of_stores(tmp_path):
    store(tmp_path / "b.zarr", IMAGE + 1)
    store(tmp_path / "deep" / "a.zarr", IMAGE + 2)
    ome(tmp_path / "c.zarr", shape=(1, 1, 3, 20, 30))
    (tmp_path / "notes.txt").touch()
    images = load_images(tmp_path, "zarr", "ZYX")
    assert [image.name.rpartition("/")[2] for image in images] == [
        "b.zarr'",
        "c.zarr'",
        "a.zarr'",
    ]
    np.testing.assert_array_equal(images[2].data, IMAGE + 2)


def test_a_group_with_one_array_means_that_array(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr")
    group.create_array("raw/image", shape=IMAGE.shape, dtype=IMAGE.dtype)[...] = IMAGE
    (image,) = load_images(tmp_path / "a.zarr", "zarr", "ZYX")
    np.testing.assert_array_equal(image.data, IMAGE)


def test_a_group_with_several_arrays(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr")
    for name in ("raw", "deep/mask"):
        group.create_array(name, shape=(4, 5), dtype="uint8")
    says = r"a\.zarr' has 2 arrays.*deep/mask \(4, 5\), raw \(4, 5\).*a\.zarr/deep/mask'"
    with pytest.raises(DataError, match=says):
        open_images(tmp_path / "a.zarr", "zarr", "YX")
    (image,) = open_images(tmp_path / "a.zarr" / "raw", "zarr", "YX")
    assert image.data.shape == (4, 5)


def test_a_group_without_arrays(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr")
    with pytest.raises(DataError, match="has no array, and no group"):
        open_images(tmp_path / "a.zarr", "zarr", "YX")
    group.create_group("plate")
    with pytest.raises(DataError, match="has no array, only the groups plate"):
        open_images(tmp_path / "a.zarr", "zarr", "YX")


def test_what_is_no_store(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(UnreadableFileError, match=r"a\.zarr' has no Zarr metadata"):
        open_images(tmp_path / "a.zarr", "zarr", "YX")
    (tmp_path / "a.zarr" / "zarr.json").write_text("{")
    with pytest.raises(UnreadableFileError, match=r"a\.zarr' cannot be read as Zarr"):
        open_images(tmp_path / "a.zarr", "zarr", "YX")


def test_a_damaged_chunk(tmp_path):
    path = store(tmp_path / "a.zarr")
    (image,) = open_images(path, "zarr", "ZYX")
    (path / "c" / "0" / "1" / "2").write_bytes(b"nonsense")
    assert image.data[0, :8, :8].shape == (8, 8)
    with pytest.raises(UnreadableFileError, match=r"a\.zarr' is damaged.*\(0, 8, 16\)"):
        image.data[0, 8:12, 16:20]


def test_a_store_that_vanished_is_not_taken_for_empty(tmp_path):
    path = store(tmp_path / "a.zarr")
    (image,) = open_images(path, "zarr", "ZYX")
    shutil.rmtree(path)
    with pytest.raises(UnreadableFileError, match=r"a\.zarr' was changed or deleted"):
        image.data[0, :4, :4]


def test_the_fingerprint_follows_the_chunks(tmp_path):
    path = store(tmp_path / "a.zarr")
    prints = []
    for change in (lambda: None, lambda: os.utime(path / "c/0/0/0", (9e9, 9e9))):
        change()
        prints += [
            fingerprint_of(open_images(path, "zarr", axes)[0]) for axes in ("ZYX", "TYX")
        ]
    assert all(prints)
    assert len(set(prints)) == 4
    assert fingerprint_of(open_images(path, "zarr", "ZYX")[0]) == prints[2]
    assert fingerprint_of(load_images(path, "zarr", "ZYX")[0]) is None


def test_what_is_not_installed_is_named_with_its_cure(tmp_path, monkeypatch):
    path = ome(tmp_path / "a.zarr")
    (image,) = open_images(path, "zarr", "TCZYX")
    moved = pickle.loads(pickle.dumps(image.data))  # noqa: S301
    monkeypatch.setitem(__import__("sys").modules, "zarr", None)
    for read in (lambda: open_images(path, "zarr", "TCZYX"), lambda: moved[0]):
        with pytest.raises(HushError, match=r'run: pip install "napari-hush\[zarr\]"'):
            read()


def test_too_little_memory_is_not_a_damaged_file(tmp_path, monkeypatch):
    path = store(tmp_path / "a.zarr")
    (image,) = open_images(path, "zarr", "ZYX")

    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(zarr.Array, "__getitem__", fail)
    with pytest.raises(MemoryError):
        image.data[0]
    monkeypatch.setattr(zarr, "open", fail)
    with pytest.raises(MemoryError):
        open_images(path, "zarr", "ZYX")


def test_an_array_without_any_chunk(tmp_path, caplog):
    path = ome(tmp_path / "a.zarr", "0.4")
    open_images(path, "zarr", "TCZYX", level=1)
    assert not caplog.messages
    for level in ("0", "1"):  # zeros are not written
        assert (path / level / "0.0.0.0.0").exists() == (level == "1")
    open_images(path, "zarr", "TCZYX")
    open_images(path, "zarr", "TCZYX")
    assert len(caplog.messages) == 1
    assert "a.zarr/0' has no chunk" in caplog.messages[0]


def test_every_chunk_counts_once(tmp_path):
    path = store(tmp_path / "a.zarr", chunks=(1, 7, 9))
    (image,) = open_images(path, "zarr", "ZYX")
    whole = np.zeros_like(IMAGE)
    for z, y, x in itertools.product(range(3), range(0, 20, 7), range(0, 30, 9)):
        key = np.s_[z : z + 1, y : y + 7, x : x + 9]
        whole[key] += image.data[key]
    np.testing.assert_array_equal(whole, IMAGE)
