import numpy as np
import pytest
import torch

from napari_hush.config import XYFlipConfig
from napari_hush.dataset import (
    Augmentation,
    IterableDataset,
    PatchSampler,
    blocks,
    cut,
    patch_plan,
)
from napari_hush.models.normalization import Normalization

RAW = Normalization((0.0,), (1.0,))


class File:
    """Pixels on disk, that counts how many are read."""

    def __init__(self, array):
        self._array, self.read = array, 0
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, key):
        part = self._array[key]
        self.read += part.size
        return part


@pytest.fixture
def files():
    """Twenty files whose pixels are their positions."""
    y, x = np.mgrid[:40, :56]
    return [File((n * 10_000 + y * 100 + x)[None].astype("float32")) for n in range(20)]


def dataset(files, **more):
    parts = cut(files, (8, 8))
    windows = patch_plan.grid([(1, *b.shape) for b in parts], (8, 8))
    return IterableDataset(files, parts, windows, (8, 8), RAW, **more)


def places(batch):
    return [divmod(round(float(p[0, 0, 0])), 10_000) for p in batch]


def test_patches_are_cut_from_the_files(files):
    data = dataset(files)
    assert len(data) == 20 * 35
    for index in (0, 99, 699):
        (patch,) = data[index]
        ((file, place),) = places([patch])
        y, x = divmod(place, 100)
        np.testing.assert_allclose(patch[0], files[file]._array[0, y : y + 8, x : x + 8])


def test_positions_are_new_in_every_pass_and_the_same_for_whoever_asks(files):
    data, n = dataset(files, seed=4), 700
    first, second = (data.__getitems__(range(k * n, k * n + n))[0] for k in (0, 1))
    assert (np.array(places(first)) != np.array(places(second))).mean() > 0.4
    again = dataset(files, seed=4)
    for index in (650, 3, 1200):
        assert torch.equal(again.__getitems__([index])[0], data.__getitems__([index])[0])
    still = dataset(files, moving=False)
    assert torch.equal(still.__getitems__([5])[0], still.__getitems__([705])[0])


def test_a_batch_mixes_files_and_a_pass_reads_each_pixel_once(files):
    data = dataset(files)
    order = list(PatchSampler(data, len(data), seed=0))
    assert sorted(order) == list(range(700))
    mixed = []
    for start in range(0, 700, 20):
        (batch,) = data.__getitems__(order[start : start + 20])
        mixed.append(len({file for file, _ in places(batch)}))
    assert np.mean(mixed) > 3
    assert sum(file.read for file in files) <= 1.6 * 20 * 40 * 56
    assert order != list(PatchSampler(data, len(data), seed=1, first_epoch=1))


def test_every_part_of_an_image_is_seen_about_equally_often(files):
    data = dataset(files[:1])
    count = np.zeros((40, 56))
    for number in range(60):
        (batch,) = data.__getitems__(range(number * 35, number * 35 + 35))
        for _, place in places(batch):
            y, x = divmod(place, 100)
            count[y : y + 8, x : x + 8] += 1
    assert count.min() > 0
    inner = count[8:-8, 8:-8]
    assert inner.std() / inner.mean() < 0.35


def test_targets_move_with_their_images(files):
    targets = [File(-file._array) for file in files]
    data = dataset(
        files,
        target_samples=targets,
        target_normalization=RAW,
        augmentation=Augmentation((XYFlipConfig(p=1),), True),
    )
    batch, answers = data.__getitems__(range(30))
    assert torch.equal(batch, -answers)


def test_iterating_visits_every_patch(files):
    assert sum(1 for _ in dataset(files[:2])) == 70


def test_memory_holds_a_few_blocks(files, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 56 * 8 * 4)
    data = dataset(files)
    assert len(data.units) == 100
    for index in data.order(0):
        data[int(index)]
    assert len(data.units._kept) <= 8
