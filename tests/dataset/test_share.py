"""Batches divided among processes."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from napari_hush.dataset import SharedBatches
from napari_hush.dataset.batches import share


@given(st.integers(0, 300), st.integers(1, 40))
def test_parts_cover_a_batch_once_and_are_even(whole, ranks):
    parts = [share(whole, rank, ranks) for rank in range(ranks)]
    rows = list(range(whole))
    assert [row for part in parts for row in part.of(rows)] == rows
    counts = [part.count for part in parts]
    assert max(counts) - min(counts) <= 1


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 12))
def test_batches_do_not_depend_on_the_number_of_processes(patches, size, ranks):
    order = list(range(100, 100 + patches))
    wanted = list(SharedBatches(order, size))
    loaders = [SharedBatches(order, size, rank, ranks) for rank in range(ranks)]
    assert {len(loader) for loader in loaders} == {len(wanted)}
    for number, parts in enumerate(zip(*loaders, strict=True)):
        shares = [loader.share(number) for loader in loaders]
        kept = [part[: s.count] for part, s in zip(parts, shares, strict=True)]
        assert [*itertools.chain(*kept)] == wanted[number]
        assert all(parts)  # a loader cannot load nothing


def test_rows_that_belong_to_one_patch_stay_together():
    assert share(4, 1, 2).of("aabbccdd", repeats=2) == "ccdd"
