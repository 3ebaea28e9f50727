import builtins
import os
import pickle
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_hush.errors import DataError, UnreadableFileError
from napari_hush.io import lazy as cache_module
from napari_hush.io import open_images, write_tiff
from napari_hush.io.tiff import read as tiff_read
from napari_hush.io.tiff.read import TiffPixels

GREY = {"photometric": "minisblack"}
KINDS = {
    "one page": ((40, 50), GREY),
    "pages": ((6, 40, 50), {**GREY, "metadata": None}),
    "hyperstack": ((2, 3, 2, 40, 50), {"imagej": True, "metadata": {"axes": "TZCYX"}}),
    "BigTIFF": ((3, 40, 50), {**GREY, "bigtiff": True}),
    "big-endian": ((3, 40, 50), {**GREY, "byteorder": ">"}),
    "OME": ((3, 40, 50), {**GREY, "ome": True, "metadata": {"axes": "ZYX"}}),
    "OME, packed": ((2, 3, 40, 50), {**GREY, "ome": True, "compression": "zlib"}),
    "packed": ((4, 40, 50), {**GREY, "compression": "zlib", "rowsperstrip": 7}),
    "packed, big-endian": ((4, 40, 50), {**GREY, "compression": "zlib", "byteorder": ">"}),
    "tiles": ((4, 40, 50), {**GREY, "tile": (16, 32)}),
    "packed tiles": ((4, 40, 50), {**GREY, "tile": (16, 32), "compression": "zlib"}),
    "volume tiles": ((2, 10, 40, 50), {**GREY, "tile": (4, 16, 16), "volumetric": True}),
    "colours": ((40, 50, 3), {"photometric": "rgb"}),
    "colours, tiles": ((2, 40, 50, 3), {"photometric": "rgb", "tile": (16, 16)}),
    "planes": ((3, 40, 50), {"photometric": "rgb", "planarconfig": "separate"}),
    "planes, packed": (
        (2, 3, 40, 50),
        {"photometric": "rgb", "planarconfig": "separate", "compression": "zlib"},
    ),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiff")
    found = {}
    for number, (kind, (shape, how)) in enumerate(KINDS.items()):
        array = np.random.default_rng(number).integers(0, 2**16, shape).astype("uint16")
        found[kind] = (folder / f"{number}.tif", array)
        tifffile.imwrite(found[kind][0], array, **how)
    scattered = np.random.default_rng(0).random((5, 40, 50)).astype("float32")
    with tifffile.TiffWriter(folder / "scattered.tif") as writer:
        for page in scattered:
            writer.write(page, contiguous=False, metadata=None)
    found["scattered pages"] = (folder / "scattered.tif", scattered)
    return found


@pytest.fixture(autouse=True)
def fresh_cache():
    cache_module.chunk_cache.clear()
    yield
    cache_module.chunk_cache.clear()


@pytest.mark.parametrize("kind", [*KINDS, "scattered pages"])
def test_a_region_is_that_of_the_whole(files, kind):
    path, array = files[kind]
    pixels = TiffPixels(path)
    assert (pixels.shape, pixels.dtype) == (array.shape, array.dtype)
    np.testing.assert_array_equal(pixels[...], array)
    rng = np.random.default_rng(0)
    for _ in range(12):
        key = tuple(slice(*np.sort(rng.integers(0, n + 1, 2))) for n in array.shape)
        np.testing.assert_array_equal(pixels[key], array[key])
    np.testing.assert_array_equal(pixels[-1], array[-1])


@pytest.mark.parametrize("shape", [(2, 2, 1), (1, 2, 2, 1), (1, 3, 1), (4, 1, 1), (3, 1)])
def test_dimensions_of_one_at_the_end(tmp_path, shape):
    array = np.arange(np.prod(shape), dtype="uint8").reshape(shape)
    tifffile.imwrite(tmp_path / "a.tif", array, **GREY, compression="zlib")
    pixels = TiffPixels(tmp_path / "a.tif")
    for key in (np.s_[:1], np.s_[:, -1:], np.s_[...]):
        np.testing.assert_array_equal(pixels[key], array[key])


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_lazily_read_is_eagerly_read(tmp_path_factory, data):
    shape = tuple(data.draw(st.lists(st.integers(1, 20), min_size=2, max_size=4)))
    dtype = data.draw(st.sampled_from(["uint8", "uint16", "int32", "float32", "float64"]))
    array = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    how = data.draw(
        st.sampled_from(
            [{}, {"compression": "zlib"}, {"rowsperstrip": 3}, {"tile": (16, 16)}]
        )
    )
    path = tmp_path_factory.mktemp("tiff") / "a.tif"
    tifffile.imwrite(path, array, **GREY, **how)
    pixels = TiffPixels(path)
    eager = tifffile.imread(path)
    key = tuple(
        slice(*sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))))
        for n in eager.shape
    )
    np.testing.assert_array_equal(pixels[key], eager[key])


@pytest.mark.parametrize("gap", [0, 64, 10**6])
def test_rows_and_bands_give_the_same(files, monkeypatch, gap):
    monkeypatch.setattr(tiff_read, "_BRIDGED_GAP", gap)
    monkeypatch.setattr(tiff_read, "_BAND", 3 * 50 * 2)
    path, array = files["hyperstack"]
    for key in [np.s_[1, :, 1, 3:31, 5:9], np.s_[:, 1:, :, 7:8], np.s_[..., 49]]:
        np.testing.assert_array_equal(TiffPixels(path)[key], array[key])


class Counting:
    """Stands for open(): counts the bytes that are read from files."""

    def __init__(self):
        self.bytes = 0

    def __call__(self, *args, **kwargs):
        file = builtins.open(*args, **kwargs)  # noqa: SIM115
        counting = self

        class File:
            seek, fileno, close = file.seek, file.fileno, file.close

            def read(self, n):
                counting.bytes += n
                return file.read(n)

            def readinto(self, buffer):
                counting.bytes += len(buffer)
                return file.readinto(buffer)

        return File()


@pytest.fixture
def counted(monkeypatch):
    counting = Counting()
    monkeypatch.setattr(tiff_read, "open", counting, raising=False)
    return counting


def test_a_patch_costs_its_own_bytes(tmp_path, counted):
    array = np.zeros((4, 64, 16384), "uint16")
    tifffile.imwrite(tmp_path / "a.tif", array, **GREY)
    TiffPixels(tmp_path / "a.tif")[2, 10:42, 5000:5032]
    assert counted.bytes == 32 * 32 * 2


def test_a_patch_of_narrow_rows_costs_a_band_at_most(files, counted):
    path, _ = files["pages"]
    TiffPixels(path)[2, 10:20, 5:9]
    assert counted.bytes <= 10 * 50 * 2


def test_packed_pages_are_unpacked_as_needed_and_once(files, counted):
    path, _ = files["packed"]
    pixels = TiffPixels(path)
    for _ in range(3):
        pixels[1, 8:13, 3:9]  # within the second strip of seven rows
    assert counted.bytes == pixels.layout.counts[1, 1]
    assert len(cache_module.chunk_cache) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for open files")
def test_no_file_stays_open(files):
    path, _ = files["packed tiles"]
    pixels = TiffPixels(path)
    pixels[0]
    opened = [os.readlink(f) for f in Path("/proc/self/fd").iterdir() if f.is_symlink()]
    assert str(path) not in opened


@pytest.mark.parametrize("kind", ["pages", "packed tiles"])
def test_it_travels_to_other_processes_and_threads(files, kind):
    path, array = files[kind]
    pixels = TiffPixels(path)
    pixels[0, :2, :2]
    moved = pickle.loads(pickle.dumps(pixels))  # noqa: S301
    np.testing.assert_array_equal(moved[2, 3:30], array[2, 3:30])
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda i: pixels[i % 4, i : i + 9], range(24)))
    for i, part in enumerate(parts):
        np.testing.assert_array_equal(part, array[i % 4, i : i + 9])


@pytest.mark.parametrize("kind", ["pages", "packed"])
def test_a_file_that_changed(tmp_path, kind):
    shape, how = KINDS[kind]
    path = tmp_path / "changing.tif"
    tifffile.imwrite(path, np.zeros(shape, "uint16"), **how)
    pixels = TiffPixels(path)
    os.utime(path, (1, 1))
    with pytest.raises(UnreadableFileError, match=r"changing\.tif.*was changed"):
        pixels[0, :5, :5]
    path.unlink()
    with pytest.raises(UnreadableFileError, match=r"changing\.tif.*moved or deleted"):
        pixels[0, :5, :5]


def test_a_folder_in_place_of_the_file(files, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), "uint8"), **GREY)
    pixels = TiffPixels(tmp_path / "a.tif")
    (tmp_path / "a.tif").unlink()
    (tmp_path / "a.tif").mkdir()
    with pytest.raises(UnreadableFileError, match=r"a\.tif.*could not be read"):
        pixels[:2]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", [*KINDS, "scattered pages"])
def test_a_file_that_was_cut_off_is_known_when_opened(files, tmp_path, kind, share):
    content = files[kind][0].read_bytes()
    path = tmp_path / "cut.tif"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UnreadableFileError, match=r"cut\.tif"):
        TiffPixels(path)


def test_a_packed_page_that_is_damaged(files, tmp_path):
    path = tmp_path / "bad.tif"
    content = bytearray(files["packed"][0].read_bytes())
    layout = TiffPixels(files["packed"][0]).layout
    where, count = int(layout.offsets[2, 0]), int(layout.counts[2, 0])
    content[where : where + count] = b"\xff" * count
    path.write_bytes(content)
    pixels = TiffPixels(path)
    assert pixels[1, :5].shape == (5, 50)
    with pytest.raises(UnreadableFileError, match=r"bad\.tif.*page 2 cannot be unpacked"):
        pixels[2, :5]


def test_a_missing_codec_is_named_with_its_cure(files, monkeypatch):
    import napari_hush.io.tiff.pages as layout

    class Page:
        def decode(self, data, index):
            raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    with pytest.raises(UnreadableFileError, match=r'pip install "napari-hush\[tiff\]"'):
        layout.check_codec(Path("a.tif"), Page())


def test_a_file_is_identified_by_its_fingerprint(files):
    path, _ = files["pages"]
    assert TiffPixels(path).fingerprint() == TiffPixels(str(path)).fingerprint()
    assert TiffPixels(path).fingerprint() != TiffPixels(files["tiles"][0]).fingerprint()


def test_a_stack_that_is_labelled_as_channels_is_read_as_given(tmp_path, caplog):
    stack = np.arange(5 * 8 * 9, dtype="uint8").reshape(5, 8, 9)
    path = write_tiff(tmp_path / "a.tif", stack, "CYX")
    with pytest.raises(DataError, match=r"'CYX'.* of the training images are 'ZYX'"):
        open_images(path, "tiff", "ZYX", inherited=True)
    with pytest.raises(DataError, match=r"'CYX'.*given as 'YXZ'.*custom reader"):
        open_images(path, "tiff", "YXZ")
    (image,) = open_images(path, "tiff", "ZYX")
    assert "a.tif' are CYX; read as ZYX, as given." in caplog.text
    np.testing.assert_array_equal(image.data[...], stack)
    assert image.axes.canonical_shape == (1, 1, 5, 8, 9)


@pytest.mark.parametrize("back_to", [0, 1, 2])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_pages_that_follow_each_other_in_a_circle(tmp_path, back_to, byteorder, bigtiff):
    path = tmp_path / "circle.tif"
    with tifffile.TiffWriter(path, byteorder=byteorder, bigtiff=bigtiff) as file:
        for number in range(3):
            file.write(np.full((8, 8 + number), number, np.uint8), metadata=None)
    with tifffile.TiffFile(path) as file:
        ends = [page.offset for page in file.pages]
        form = file.tiff
        tags = len(file.pages[2].tags)
    assert open_images(path, "tiff", "YX")  # sound so far
    content = bytearray(path.read_bytes())
    at = ends[2] + form.tagnosize + tags * form.tagsize
    content[at : at + form.offsetsize] = struct.pack(form.offsetformat, ends[back_to])
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError, match="form a loop"):
        open_images(path, "tiff", "YX")
