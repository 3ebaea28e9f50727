"""R39 to R44: what is set aside for validation."""

import numpy as np
import pytest
import torch

from napari_hush import CAREamist
from napari_hush.dataset import IterableDataset, blocks
from napari_hush.errors import DataError
from napari_hush.events import EpochDone


def pixels(dataset):
    """Intensities of all patches of the first pass."""
    (batch,) = dataset.__getitems__(range(len(dataset)))
    return set(batch.ravel().tolist())


def test_r39_validation_is_taken_from_the_training_data(either, numbered, as_it_is):
    images = numbered(4)
    module = either(images, **as_it_is)
    assert len(module.val_dataset) > 0
    assert pixels(module.val_dataset) < set(np.ravel(images).tolist())


def test_r39_nothing_is_set_aside_where_validation_data_are_given(either, numbered):
    module = either(
        numbered(2), val_data=numbered(1), val_percentage=0.5, val_minimum_split=10
    )
    assert (len(module.train_dataset), len(module.val_dataset)) == (24, 12)


@pytest.mark.parametrize(
    ("percentage", "minimum", "expected"),
    # of 25 patches: 2.5 rounds to 2, the even one
    [(0.1, 1, 2), (0.1, 5, 5), (0.3, 5, 8), (0, 0, 0), (0, 3, 3)],
)
def test_r40_the_larger_of_share_and_minimum(ready, percentage, minimum, expected):
    image = np.random.default_rng(0).random((80, 80))
    module = ready(image, val_percentage=percentage, val_minimum_split=minimum)
    count = 0 if module.val_dataset is None else len(module.val_dataset)
    assert (len(module.train_dataset), count) == (25 - expected, expected)


def test_r40_something_is_always_left_to_train_on(ready, noisy):
    assert len(ready(noisy, val_percentage=1).train_dataset) > 0


def test_r40_the_seed_decides_which(ready, noisy):
    def aside(seed):
        return ready(noisy, seed=seed, val_minimum_split=4).val_dataset.windows.tolist()

    assert aside(1) == aside(1)
    assert any(aside(1) != aside(seed) for seed in (2, 3))


def test_r40_no_more_than_the_limit_and_the_rest_is_trained_on(either, numbered, as_it_is):
    """A tenth of 40 images of 12 patches are 48; on disk, 4 images of 12."""
    module = either(numbered(40), max_val_patches=10, **as_it_is)
    assert len(module.val_dataset) == 10
    assert len(module.train_dataset) == (470 if either.storage == "memory" else 432)
    training, validation = map(pixels, (module.train_dataset, module.val_dataset))
    assert not training & validation
    images = {int(value // (48 * 64)) for value in validation}
    assert len(images) >= (8 if either.storage == "memory" else 4)


def test_r40_of_files_on_disk_no_more_are_set_aside_than_patches(either, numbered):
    module = either(numbered(40), max_val_patches=2)
    assert len(module.val_dataset) == 2
    assert len(module.train_dataset) == (478 if either.storage == "memory" else 456)


def test_r40_blocks_on_disk_without_a_validation_patch_are_trained_on(
    ready, folder, numbered, monkeypatch
):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 16 * 64 * 4)
    module = ready(
        folder(numbered(4, (80, 64))),
        data_type="tiff",
        use_in_memory=False,
        val_minimum_split=2,
        max_val_patches=2,
    )
    assert len(module.val_dataset) == 2  # of two blocks of 4 patches, in two files
    assert len(module.train_dataset) == 80 - 8


def test_r40_images_for_validation_are_limited_too(either, numbered):
    module = either(numbered(2), val_data=numbered(3), max_val_patches=5)
    assert (len(module.train_dataset), len(module.val_dataset)) == (24, 5)
    assert len(np.unique(module.val_dataset.windows[:, 0])) == 3


def test_r40_a_limit_of_zero_is_no_validation(either, numbered, caplog):
    for more in {}, {"val_data": numbered(2)}:
        module = either(numbered(3), max_val_patches=0, **more)
        assert module.val_dataset is None
        assert len(module.train_dataset) == 36
    assert not caplog.text


@pytest.mark.parametrize("data_type", ["array", "tiff"])
def test_r41_in_memory_patches_are_split(ready, folder, numbered, data_type):
    images = numbered(3)
    data = folder(images) if data_type == "tiff" else images
    module = ready(data, data_type=data_type, val_minimum_split=5)
    assert len(module.val_dataset) == 5


def test_r41_on_disk_files_are_split(ready, folder, numbered, as_it_is):
    images = numbered(6)
    module = ready(
        folder(images),
        data_type="tiff",
        use_in_memory=False,
        val_minimum_split=2,
        **as_it_is,
    )
    file = 48 * 64
    training, validation = (
        {int(value // file) for value in pixels(dataset)}
        for dataset in (module.train_dataset, module.val_dataset)
    )
    assert len(validation) == 2
    assert training == set(range(6)) - validation


def test_r41_a_single_file_on_disk_is_split_by_the_blocks_it_is_read_in(
    ready, folder, numbered, monkeypatch
):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 16 * 64 * 4)
    (image,) = numbered(1, (80, 64))
    module = ready(
        folder([image]), data_type="tiff", use_in_memory=False, val_minimum_split=5
    )
    assert isinstance(module.val_dataset, IterableDataset)
    assert (len(module.train_dataset), len(module.val_dataset)) == (16, 4)


def test_r41_a_single_file_that_is_one_block_is_trained_on_whole(
    ready, folder, numbered, caplog
):
    module = ready(folder(numbered(1)), data_type="tiff", use_in_memory=False)
    assert module.val_dataset is None
    assert "all of them are used for training" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"val_percentage": -0.1}, "val_percentage is -0.1.* between 0 and 1"),
        ({"val_percentage": 1.1}, "val_percentage is 1.1.* between 0 and 1"),
    ],
)
def test_r42_a_share_is_between_0_and_1(either, noisy, arguments, says):
    with pytest.raises(DataError, match=says):
        either([noisy] * 3, **arguments)


def test_r42_a_minimum_larger_than_all_there_is(ready, noisy):
    with pytest.raises(DataError, match="is 13 but the data hold 12 patches"):
        ready(noisy, val_minimum_split=13)


@pytest.mark.parametrize("files", [2, 3])
def test_r42_not_enough_files_on_disk(ready, folder, noisy, files):
    with pytest.raises(DataError, match=f"3 of {files} files would be set aside"):
        ready(
            folder([noisy] * files),
            data_type="tiff",
            use_in_memory=False,
            val_minimum_split=3,
        )


def test_r43_no_pixel_on_both_sides(either, numbered, as_it_is):
    """Images whose sizes are no multiples of the patch, so that windows overlap."""
    module = either(numbered(4, (41, 55)), val_minimum_split=2, **as_it_is)
    n = len(module.train_dataset)
    training = set()
    for number in range(5):
        (batch,) = module.train_dataset.__getitems__(range(number * n, number * n + n))
        training |= set(batch.ravel().tolist())
    assert pixels(module.val_dataset)
    assert not training & pixels(module.val_dataset)


def test_r44_validation_batches_come_in_order(either, noisy):
    module = either([noisy] * 3, val_minimum_split=1, batch_size=3)
    first, second = ([b for (b,) in module.val_dataloader()] for _ in range(2))
    assert len(first[0]) == min(3, len(module.val_dataset))
    assert torch.equal(torch.cat(first), torch.cat(second))
    (whole,) = module.val_dataset.__getitems__(range(len(module.val_dataset)))
    assert torch.equal(torch.cat(first), whole)


def test_r44_validation_masks_are_the_same_in_every_epoch(tiny_config, noisy):
    """With weights that do not move, the validation loss must not move either."""
    events = []
    config = tiny_config(
        num_epochs=3,
        num_steps=1,
        optimizer="SGD",
        optimizer_params={"lr": 1e-30},
        model_params={"num_channels_init": 8, "use_batch_norm": False},
    )
    CAREamist(config, on_progress=events.append).train(train_source=noisy)
    losses = [event.val_loss for event in events if isinstance(event, EpochDone)]
    assert len(losses) == 3
    assert losses[0] == losses[1] == losses[2]
