import pickle

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_hush.dataset import LoadedBlocks, blocks, cut


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
