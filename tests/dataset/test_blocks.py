import pickle

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_hush.dataset import LoadedBlocks, blocks, cut
from napari_hush.io import open_images
from napari_hush.io.lazy import chunk_cache


class Stored:
    def __init__(self, shape, chunks=None):
        self.shape, self.dtype = shape, np.dtype("uint16")
        if chunks is not None:
            self.chunks = chunks


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 2), st.integers(8, 90), st.integers(8, 90)),
    st.tuples(st.just(1), st.integers(1, 20), st.integers(1, 20)),
    st.integers(200, 9000),
)
def test_blocks_cover_a_sample_once_and_hold_a_patch(shape, chunks, size):
    before, blocks.BLOCK_BYTES = blocks.BLOCK_BYTES, size
    try:
        found = cut([Stored(shape, chunks)], (8, 8))
    finally:
        blocks.BLOCK_BYTES = before
    count = np.zeros(shape[1:], int)
    for block in found:
        count[block.region] += 1
        assert min(block.shape) >= 8
        for part, chunk, n in zip(block.region, chunks[1:], shape[1:], strict=True):
            assert part.start % chunk == 0
            assert part.stop % chunk == 0 or part.stop == n
    assert (count == 1).all()


def test_blocks_have_the_size_asked_for():
    for shape, chunks in [((1, 9000, 9000), None), ((2, 300, 2048, 2048), (1, 8, 64, 64))]:
        for block in cut([Stored(shape, chunks)], (8,) * (len(shape) - 1)):
            assert np.prod(block.shape) * shape[0] * 2 <= 2 * blocks.BLOCK_BYTES


def test_the_last_few_stay_in_memory():
    image = np.arange(64.0).reshape(1, 8, 8)
    reads = []

    class Counting(Stored):
        def __getitem__(self, key):
            reads.append(key)
            return image[key]

    parts = [blocks.Block(0, (slice(i, i + 2), slice(0, 8))) for i in (0, 2, 4, 6)]
    loaded = LoadedBlocks([Counting(image.shape)], parts, 2)
    for index in (0, 1, 0, 1):
        np.testing.assert_array_equal(loaded[index], image[:, 2 * index : 2 * index + 2])
    assert len(reads) == 2
    loaded[2]
    loaded[1]
    assert len(reads) == 3
    loaded[0]
    assert len(reads) == 4
    assert len(pickle.loads(pickle.dumps(LoadedBlocks([image], parts, 2)))) == 4  # noqa: S301


@pytest.mark.parametrize("stored", ["zarr", "tiff"])
def test_reading_blocks_leaves_the_cache_of_chunks_as_it_was(tmp_path, stored):
    pixels = np.random.default_rng(0).integers(0, 999, (3, 1, 70, 50)).astype("uint16")
    path = tmp_path / f"a.{stored}"
    if stored == "zarr":
        zarr = pytest.importorskip("zarr")
        zarr.create_array(str(path), data=pixels, chunks=(1, 1, 16, 32))
    else:
        tifffile.imwrite(path, pixels, tile=(16, 32), compression="zlib")
    (image,) = open_images(path, stored, "TCYX")
    samples = image.samples
    blocks_there = cut(samples, (8, 8))
    chunk_cache.clear()
    samples[0][(slice(0, 1), slice(0, 1), slice(0, 1))]
    before = list(chunk_cache._chunks)
    loaded = LoadedBlocks(samples, blocks_there, 2)
    for block, held in zip(blocks_there, loaded, strict=True):
        np.testing.assert_array_equal(
            held, pixels[block.sample][(slice(None), *block.region)]
        )
    assert len(before) == 1
    assert list(chunk_cache._chunks) == before
    chunk_cache.clear()


def test_pieces_that_reach_over_several_blocks_are_unpacked_once(tmp_path):
    zarr = pytest.importorskip("zarr")
    pixels = np.arange(4 * 16 * 16, dtype="uint16").reshape(4, 16, 16)
    zarr.create_array(str(tmp_path / "a.zarr"), data=pixels, chunks=(4, 16, 16))
    (image,) = open_images(tmp_path / "a.zarr", "zarr", "TYX")
    chunk_cache.clear()
    loaded = LoadedBlocks(image.samples, cut(image.samples, (8, 8)), 1)
    np.testing.assert_array_equal(np.stack([block[0] for block in loaded]), pixels)
    assert len(chunk_cache) == 1
    chunk_cache.clear()
