"""Batches made on a device are those of the dataset, bit by bit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_hush.config import XYFlipConfig, XYRandomRotate90Config
from napari_hush.dataset import (
    Augmentation,
    DevicePatches,
    InMemoryDataset,
    device_bytes,
    fits_on,
    patch_plan,
)
from napari_hush.models.normalization import Normalization

TYPES = ["bool", "u1", "i1", "<u2", ">u2", "i2", "u4", "i4", "i8", "f2", "f4", "f8"]


def made(units, patch_size, targets=None, channels=1):
    windows = patch_plan.grid([u.shape for u in units], patch_size)
    scaling = Normalization((3.1,) * channels, (2.7,) * channels)
    return InMemoryDataset(
        units,
        windows,
        patch_size,
        scaling,
        augmentation=Augmentation(
            [XYFlipConfig(), XYRandomRotate90Config()], patch_size[-1] == patch_size[-2]
        ),
        seed=5,
        targets=targets,
        target_normalization=None if targets is None else Normalization((0.5,), (7.0,)),
    )


@settings(max_examples=40, deadline=None)
@given(
    dtype=st.sampled_from(TYPES),
    patch_size=st.sampled_from([(8, 8), (8, 16), (3, 8, 8), (2, 16, 8)]),
    channels=st.integers(1, 3),
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
def test_same_bits_as_in_memory(dtype, patch_size, channels, sizes, seed):
    rng = np.random.default_rng(seed)
    units = []
    for more in sizes:
        shape = (channels, *(p + more for p in patch_size))
        # as a view of something in another order, as the axes of a source may be
        pixels = rng.normal(90, 50, shape[::-1]).astype(dtype).transpose()
        units.append(pixels)
    dataset = made(units, patch_size, channels=channels)
    resident = DevicePatches(dataset, torch.device("cpu"))
    indices = rng.integers(0, 3 * len(dataset), 7).tolist()

    (expected,), (found,) = dataset.__getitems__(indices), resident.__getitems__(indices)

    assert len(resident) == len(dataset)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert device_bytes(dataset) == sum(u.nbytes for u in units)


def test_targets_are_cut_in_lock_step():
    rng = np.random.default_rng(1)
    units, targets = [rng.normal(size=(1, 20, 24))], [rng.integers(0, 99, (1, 20, 24))]
    dataset = made(units, (8, 8), targets)
    resident = DevicePatches(dataset, torch.device("cpu"))

    expected, found = dataset.__getitems__([4, 1, 30]), resident.__getitems__([4, 1, 30])

    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert all(torch.equal(a, b[0]) for a, b in zip(resident[4], found, strict=True))


@pytest.mark.parametrize("dtypes", [["u8"], ["f4", "u1"], ["f4", ">f4"]])
def test_what_it_cannot_take_is_said_before(dtypes):
    units = [np.ones((1, 8, 8), dtype) for dtype in dtypes]
    takes = device_bytes(made(units, (8, 8)))
    assert takes is None if dtypes != ["f4", ">f4"] else takes == 512


def test_a_processor_keeps_its_own_way():
    assert not fits_on(torch.device("cpu"), 1)
