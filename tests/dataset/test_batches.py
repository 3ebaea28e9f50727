from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_hush.dataset import InMemoryDataset, patch_plan
from napari_hush.dataset import PatchSampler as Sampler
from napari_hush.dataset.batches import workers_that_fit
from napari_hush.dataset.patch_dataset import RandomStream
from napari_hush.models.normalization import Normalization


def PatchSampler(length, *rest, counts_on=True, **more):
    """A sampler over a dataset of ours of that many patches, or over a plain list."""
    dataset = list(range(length))
    if counts_on:
        image = np.zeros((1, 8, 8 * length))
        windows = patch_plan.grid([image.shape], (8, 8))
        seed = rest[1] if len(rest) > 1 else more["seed"]
        scaling = Normalization((0.0,), (1.0,))
        dataset = InMemoryDataset([image], windows, (8, 8), scaling, seed=seed)
    return Sampler(dataset, *rest, **more)


def test_a_pass_visits_each_patch_once_in_another_order_each_epoch():
    sampler = PatchSampler(50, 50, seed=1)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert sorted(first) == list(range(50))
    assert sorted(second) == list(range(50, 100))
    assert [i - 50 for i in second] != first != sorted(first)


def test_an_epoch_may_be_shorter_or_longer_than_a_pass():
    assert len(list(PatchSampler(50, 7, seed=1))) == 7
    long = list(PatchSampler(5, 12, seed=1))
    assert sorted(long[:5]) == [0, 1, 2, 3, 4]
    assert sorted(long[5:10]) == [5, 6, 7, 8, 9]
    assert len(long) == 12


def test_a_run_taken_up_again_goes_on_in_the_same_order():
    whole = PatchSampler(10, 25, seed=3)
    whole.set_epoch(4)
    resumed = PatchSampler(10, 25, seed=3, first_epoch=3)
    resumed.set_epoch(1)
    assert list(whole) == list(resumed)


def test_what_was_trained_on_is_skipped_in_the_first_epoch_alone():
    whole, rest = PatchSampler(10, 7, seed=3), PatchSampler(10, 7, seed=3, skip=4)
    assert (len(rest), list(rest)) == (3, list(whole)[4:])
    for sampler in (whole, rest):
        sampler.set_epoch(1)
    assert (len(rest), list(rest)) == (7, list(whole))


def test_other_datasets_are_asked_within_their_length():
    assert max(PatchSampler(5, 12, seed=1, counts_on=False)) == 4


@pytest.mark.parametrize("seed", [0, 7])
def test_the_seed_decides(seed):
    assert list(PatchSampler(30, 30, seed)) == list(PatchSampler(30, 30, seed))
    assert list(PatchSampler(30, 30, seed)) != list(PatchSampler(30, 30, seed + 1))


def test_workers_that_the_shared_memory_cannot_hold_are_not_started(caplog, monkeypatch):
    patches = [(torch.zeros(1, 64, 64),)]  # 4 * 2 * 8 of them are 1 MB
    for free, workers in ((2**20, 2), (2**20 - 1, 0)):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr("shutil.disk_usage", lambda path, usage=usage: usage)
        monkeypatch.setattr("pathlib.Path.is_dir", lambda path: True)
        assert workers_that_fit(2, patches, 8) == workers
    assert "1.05 MB of shared memory but only 1.05 MB are free" in caplog.text
    assert workers_that_fit(0, patches, 8) == 0


def test_streams_of_random_numbers_stay_as_they_are():
    """A seed would give another training otherwise, and a resumed one another end."""
    assert {stream.name: stream.value for stream in RandomStream} == {
        "AUGMENTATION": 1,
        "ORDER": 2,
        "SPLIT": 3,
        "TRAINING_MASKS": 4,
        "VALIDATION_MASKS": 5,
        "JITTER": 6,
        "BACKGROUND": 7,
    }
