"""Compressed bytes are unpacked no further than to their limit, whatever they claim."""

import bz2
import gzip
import lzma
import zlib

import numcodecs
import numpy as np
import pytest
import tifffile

from napari_hush.errors import UnreadableFileError
from napari_hush.io import open_images
from napari_hush.io.bounded import PACKBITS, unpacked

zarr = pytest.importorskip("zarr")

PLAIN = bytes(range(256)) * 40
PACKED = {
    "gzip": gzip.compress(PLAIN),
    "zlib": zlib.compress(PLAIN),
    "bz2": bz2.compress(PLAIN),
    "lzma": lzma.compress(PLAIN),
}
CLAIMING = {
    "blosc": numcodecs.Blosc().encode(PLAIN),
    "lz4": numcodecs.LZ4().encode(PLAIN),
    "zstd": numcodecs.Zstd().encode(PLAIN),
    PACKBITS: b"".join(b"\x7f" + PLAIN[i : i + 128] for i in range(0, len(PLAIN), 128)),
}


@pytest.mark.parametrize("method", PACKED)
def test_streams(method):
    packed = PACKED[method]
    assert unpacked({"id": method}, packed, len(PLAIN)) == PLAIN
    assert unpacked({"id": method}, packed + b"\0pad", len(PLAIN)) == PLAIN
    assert unpacked({"id": method}, packed + packed, 2 * len(PLAIN)) == 2 * PLAIN
    for broken in (packed[:-9], b"", b"other"):
        with pytest.raises(ValueError):  # noqa: PT011  (of each codec)
            unpacked({"id": method}, broken, len(PLAIN))
    for limit, given in ((len(PLAIN) - 1, packed), (len(PLAIN), packed * 2)):
        with pytest.raises(ValueError, match="more than"):
            unpacked({"id": method}, given, limit)


@pytest.mark.parametrize("method", CLAIMING)
def test_claims(method):
    assert unpacked({"id": method}, CLAIMING[method], len(PLAIN)) is None
    with pytest.raises(ValueError, match=f"claims {len(PLAIN)} bytes"):
        unpacked({"id": method}, CLAIMING[method], len(PLAIN) - 1)


def test_a_frame_of_zstandard_without_its_size():
    blocks = [(2**17 << 3 | 1 << 1 | last).to_bytes(3, "little") for last in (0, 1)]
    frame = b"\x28\xb5\x2f\xfd\0\x58" + b"\0".join(blocks) + b"\0"
    with pytest.raises(ValueError, match="claims 262144 bytes"):
        unpacked({"id": "zstd"}, frame, 2**17)


@pytest.mark.filterwarnings("ignore:Numcodecs codecs")
@pytest.mark.parametrize(("version", "sharded"), [(2, False), (3, False), (3, True)])
@pytest.mark.parametrize("method", [*PACKED, "blosc", "zstd"])
def test_chunks_of_zarr(tmp_path, method, version, sharded):
    codec = numcodecs.get_codec({"id": method})
    if version == 3:
        own = {"blosc": "BloscCodec", "gzip": "GzipCodec", "zstd": "ZstdCodec"}
        theirs = {"zlib": "Zlib", "bz2": "BZ2", "lzma": "LZMA"}
        codec = (
            getattr(zarr.codecs, own[method])()
            if method in own
            else getattr(zarr.codecs.numcodecs, theirs[method])()
        )
    path, pixels = tmp_path / "a.zarr", np.arange(64 * 64, dtype="u2").reshape(64, 64)
    zarr.create_array(
        path,
        data=pixels,
        chunks=(64, 64),
        shards=(64, 64) if sharded else None,
        zarr_format=version,
        compressors=codec,
    )
    (image,) = open_images(path, "zarr", "YX")
    assert np.array_equal(image.data[:], pixels)
    # Another store with the same name of its chunk, which is a thousand times larger.
    zarr.create_array(
        tmp_path / "b.zarr",
        data=np.zeros((64 * 64, 1024), "u2"),
        chunks=(64 * 64, 1024),
        shards=(64 * 64, 1024) if sharded else None,
        zarr_format=version,
        compressors=codec,
        config={"write_empty_chunks": True},
    )
    name = "0.0" if version == 2 else "c/0/0"
    (tmp_path / "b.zarr" / name).replace(path / name)
    (image,) = open_images(path, "zarr", "YX")
    with pytest.raises(UnreadableFileError, match="more than"):
        image.data[:]


@pytest.mark.parametrize("read", [slice(0, 8), slice(None)])
@pytest.mark.parametrize("method", ["zlib", "lzma", "packbits"])
def test_strips_of_tiff(tmp_path, monkeypatch, method, read):
    monkeypatch.setattr("napari_hush.io.tiff.read._BOUNDED", False)
    compression = {"zlib": 8, "lzma": 34925, "packbits": 32773}[method]
    bomb = b"\x81\0" * 80_000
    if method != "packbits":
        bomb = {"zlib": zlib, "lzma": lzma}[method].compress(b"\0" * 10**7)
    path, pixels = tmp_path / "a.tif", np.zeros((64, 64), "u2")
    tifffile.imwrite(path, pixels, metadata={"axes": "YX"})
    with tifffile.TiffFile(path, mode="r+") as file:
        tags = file.pages[0].tags
        tags["Compression"].overwrite(compression)
        tags["StripByteCounts"].overwrite(len(bomb))
        tags["StripOffsets"].overwrite(path.stat().st_size)
    with path.open("ab") as file:
        file.write(bomb)
    (image,) = open_images(path, "tiff", "YX")
    with pytest.raises(UnreadableFileError, match="more than"):
        image.data[read]


@pytest.mark.parametrize(
    ("dtype", "filters"),
    [
        ("bool", [numcodecs.PackBits()]),
        ("u2", [numcodecs.Delta("u2"), numcodecs.Shuffle(2)]),
        ("f4", [numcodecs.FixedScaleOffset(0, 1, "f4", "u1")]),
    ],
)
def test_filters_of_zarr(tmp_path, dtype, filters):
    pixels = (np.arange(64).reshape(8, 8) % 2).astype(dtype)
    zarr.create_array(
        tmp_path / "a.zarr",
        data=pixels,
        zarr_format=2,
        filters=filters,
        compressors=numcodecs.Zlib(),
    )
    (image,) = open_images(tmp_path / "a.zarr", "zarr", "YX")
    np.testing.assert_array_equal(image.data[:], pixels)
