"""R16 to R23: how patches are cut."""

import numpy as np
import pytest
import torch

from napari_hush.dataset import blocks
from napari_hush.errors import DataError

NO_SPLIT = {"val_percentage": 0, "val_minimum_split": 0}


def seen(dataset, number=0):
    """Intensities of all patches of a pass, one row per patch."""
    n = len(dataset)
    (batch,) = dataset.__getitems__(range(number * n, number * n + n))
    return batch.reshape(n, -1).numpy()


def test_r16_windows_stand_side_by_side(ready, numbered, as_it_is):
    (image,) = numbered(1, (64, 48))
    patches = seen(ready(image, **NO_SPLIT, **as_it_is).train_dataset)
    assert len(patches) == 12
    np.testing.assert_array_equal(np.sort(patches.ravel()), image.ravel())


@pytest.mark.parametrize("size", [16, 17, 33, 47, 63, 65])
def test_r17_every_pixel_is_covered(ready, numbered, as_it_is, size):
    (image,) = numbered(1, (size, 96 - size))
    patches = seen(ready(image, **NO_SPLIT, **as_it_is).train_dataset)
    assert set(patches.ravel()) == set(image.ravel())


def test_r17_every_pixel_is_covered_on_disk(ready, folder, numbered, as_it_is):
    (image,) = numbered(1, (21, 43))
    dataset = ready(
        folder([image]), data_type="tiff", use_in_memory=False, **NO_SPLIT, **as_it_is
    ).train_dataset
    passes = [seen(dataset, number).ravel() for number in range(30)]
    assert set(np.concatenate(passes)) == set(image.ravel())


@pytest.mark.parametrize(("shape", "letter"), [((15, 64), "Y"), ((64, 15), "X")])
def test_r18_a_patch_is_no_larger_than_the_image(either, shape, letter):
    image = np.random.default_rng(0).random(shape).astype("float32")
    with pytest.raises(DataError, match=f"16 pixels along {letter} but .* has only 15"):
        either([image] * 3)


def test_r18_a_patch_may_be_as_large_as_the_image(either):
    images = np.random.default_rng(0).random((3, 16, 16)).astype("float32")
    module = either(images)
    assert len(module.train_dataset) + len(module.val_dataset) == 3


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int32", "float64"])
def test_r19_pixels_keep_their_type_in_memory(ready, dtype):
    image = np.random.default_rng(0).integers(0, 2, (32, 32)).astype(dtype)
    dataset = ready(image).train_dataset
    assert dataset.units[0].dtype == dtype
    assert dataset[0][0].dtype == torch.float32


def test_r20_on_disk_one_random_patch_lies_near_each_window(
    ready, folder, numbered, as_it_is
):
    (image,) = numbered(1, (50, 70))
    dataset = ready(
        folder([image]), data_type="tiff", use_in_memory=False, **NO_SPLIT, **as_it_is
    ).train_dataset
    assert len(dataset) == 4 * 5
    corners = np.stack([divmod(c, 70) for c in seen(dataset)[:, 0]])
    grid = dataset.windows[:, 1:]
    assert np.abs(corners - grid).max() <= 8
    assert (corners != grid).any(axis=1).mean() > 0.5
    again = np.stack([divmod(c, 70) for c in seen(dataset, 1)[:, 0]])
    assert (corners != again).any(axis=1).mean() > 0.5


def test_r21_a_batch_on_disk_mixes_files(ready, folder, numbered, as_it_is):
    images = numbered(8, (32, 48))
    module = ready(
        folder(images), data_type="tiff", use_in_memory=False, **NO_SPLIT, **as_it_is
    )
    files = [
        len({int(p.min()) // 1536 for p in batch}) for (batch,) in module.train_dataloader()
    ]
    assert np.mean(files) > 2


def test_r21_eight_blocks_are_in_memory_at_a_time(ready, folder, numbered):
    module = ready(
        folder(numbered(12, (32, 32))), data_type="tiff", use_in_memory=False, **NO_SPLIT
    )
    for _ in module.train_dataloader():
        assert len(module.train_dataset.units._kept) <= 8


def test_r22_a_dataset_on_disk_knows_its_length(ready, folder, numbered):
    module = ready(
        folder(numbered(4, (32, 48))), data_type="tiff", use_in_memory=False, **NO_SPLIT
    )
    assert len(module.train_dataset) == 4 * 6
    assert len(module.train_dataloader()) == 6
    assert sum(1 for _ in module.train_dataset) == 24


def test_r22_an_epoch_reads_every_stored_pixel_once(ready, tmp_path, numbered, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 32 * 64 * 4)  # two blocks per file
    read = []

    class OnDisk:
        def __init__(self, array):
            self._array, self.shape, self.dtype = array, array.shape, array.dtype

        def __getitem__(self, key):
            read.append(self._array[key].size)
            return self._array[key]

    for number, image in enumerate(numbered(10, (64, 64))):
        np.save(tmp_path / f"{number}.npy", image)
    module = ready(
        tmp_path,
        data_type="custom",
        read_source_func=lambda path, axes: OnDisk(np.load(path)),
        extension_filter="*.npy",
        use_in_memory=False,
        **NO_SPLIT,
    )
    assert len(module.train_dataset.units) == 20
    read.clear()
    for _ in module.train_dataloader():
        pass
    assert sum(read) == 10 * 64 * 64


def test_r23_neither_patches_nor_validation_are_copies(ready, noisy):
    module = ready(noisy)
    for dataset in (module.train_dataset, module.val_dataset):
        assert np.shares_memory(dataset.units[0], noisy)
