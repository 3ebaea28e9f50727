import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from napari_hush.errors import ConfigurationError, DataError, SourceTypeError
from napari_hush.io import write_tiff
from napari_hush.lightning import TrainDataModule


def ready(config, data, **arguments):
    module = TrainDataModule(config.data_config, data, **arguments)
    module.prepare_data()
    module.setup()
    return module


def test_arrays(tiny_config, noisy):
    module = ready(tiny_config(), noisy)
    assert len(module.train_dataset) + len(module.val_dataset) == 12
    (batch,) = next(iter(module.train_dataloader()))
    assert batch.shape == (4, 1, 16, 16)
    assert batch.dtype == torch.float32


def test_several_arrays_of_different_shapes(tiny_config, noisy):
    module = ready(tiny_config(), [noisy, noisy[:20, :30]], val_minimum_split=1)
    assert len(module.train_dataset) + len(module.val_dataset) == 12 + 4


def test_files_and_folders(tiny_config, noisy, tmp_path):
    write_tiff(tmp_path / "a.tif", noisy, "YX")
    write_tiff(tmp_path / "b.tif", noisy[:32], "YX")
    module = ready(tiny_config(data_type="tiff"), tmp_path)
    assert len(module.train_dataset) + len(module.val_dataset) == 12 + 8


@pytest.mark.parametrize("axes", ["SYX", "TYX", "YXS"])
def test_samples_and_time(tiny_config, noisy, axes):
    stack = np.stack([noisy, noisy + 1], axis=axes.index("S" if "S" in axes else "T"))
    module = ready(tiny_config(axes=axes), stack)
    assert len(module.train_dataset) + len(module.val_dataset) == 24


def test_statistics_are_of_the_training_pixels(tiny_config, noisy):
    module = ready(tiny_config(augmentations=[]), noisy, val_minimum_split=3)
    keep = np.ones(noisy.shape, bool)
    for _, y, x in module.val_dataset.windows:
        keep[y : y + 16, x : x + 16] = False
    means, stds = module.get_data_statistics()
    assert means[0] == pytest.approx(noisy[keep].mean(dtype=float))
    assert stds[0] == pytest.approx(noisy[keep].std(dtype=float))


def test_given_statistics_are_used_as_given(tiny_config, noisy):
    config = tiny_config()
    data = config.data_config.replace(image_means=(7.0,), image_stds=(2.0,))
    module = TrainDataModule(data, noisy)
    module.setup()
    assert module.get_data_statistics() == ([7.0], [2.0])


def test_validation_data_of_its_own(tiny_config, noisy):
    module = ready(tiny_config(), noisy, val_data=noisy[:16, :16] + 100)
    assert (len(module.train_dataset), len(module.val_dataset)) == (12, 1)
    assert module.val_dataset.normalization == module.train_dataset.normalization


def test_validation_is_never_augmented(tiny_config, noisy):
    module = ready(tiny_config(), noisy)
    first, second = (torch.cat([b for (b,) in module.val_dataloader()]) for _ in range(2))
    assert torch.equal(first, second)
    assert module.val_dataset.augmentation is None


def test_an_image_too_small_to_split_is_all_trained_on(tiny_config, noisy, caplog):
    module = ready(tiny_config(), noisy[:16, :16], val_minimum_split=1)
    assert (len(module.train_dataset), module.val_dataset) == (1, None)
    assert module.val_dataloader() == []
    assert "too small to keep patches" in caplog.text


def test_setting_up_twice_changes_nothing(tiny_config, noisy):
    module = ready(tiny_config(), noisy)
    before = module.train_dataset
    module.setup("fit")
    assert module.train_dataset is before


def test_workers_see_the_same_batches(tiny_config, noisy):
    def batches(workers):
        config = tiny_config().data_config.replace(num_workers=workers)
        module = TrainDataModule(config, noisy)
        module.setup()
        return torch.cat([b for (b,) in module.train_dataloader()])

    assert torch.equal(batches(0), batches(2))


class Constant(Dataset):
    """A user's own dataset: single patches, of its own making."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return (torch.full((1, 16, 16), float(index)),)


class OwnData(TrainDataModule):
    def setup(self, stage=None):
        self.train_dataset = Constant()


def test_a_subclass_may_bring_its_own_dataset(tiny_config, noisy):
    module = OwnData(tiny_config().data_config, noisy)
    module.setup()
    seen = torch.cat([b[0] for b in module.train_dataloader()])[:, 0, 0, 0]
    assert sorted(seen.tolist()) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ConfigurationError, match="Constant does not say how"):
        module.get_data_statistics()


@pytest.mark.parametrize(
    ("data", "arguments", "error", "says"),
    [
        ("x.tif", {}, SourceTypeError, "data_type is 'array'"),
        (np.zeros((8, 8)), {"train_data_target": 1}, SourceTypeError, "given as int"),
        (
            np.zeros((8, 8)),
            {"train_data_target": np.zeros((8, 8)), "val_data": np.zeros((8, 8))},
            ConfigurationError,
            "must both have targets",
        ),
        (np.zeros((8, 8)), {"val_data": "x.tif"}, SourceTypeError, "data_type is 'array'"),
    ],
)
def test_refused_at_once(tiny_config, data, arguments, error, says):
    with pytest.raises(error, match=says):
        TrainDataModule(tiny_config().data_config, data, **arguments)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (np.zeros((3, 16, 16)), "name 2 dimensions but the data has 3"),
        (np.zeros((16, 8)), "has only 8; use smaller patches"),
        (np.zeros((16, 16)), "intensity is 0 everywhere"),
        (np.full((16, 16), np.nan), "are NaN or infinite"),
    ],
)
def test_refused_before_anything_starts(tiny_config, data, says):
    with pytest.raises(DataError, match=says):
        ready(tiny_config(), data, val_minimum_split=1)


def test_channels_that_differ(tiny_config):
    config = tiny_config(axes="CYX", n_channels=2)
    with pytest.raises(DataError, match="array 1 has 3 channels but array 0 has 2"):
        ready(config, [np.zeros((2, 16, 16)), np.zeros((3, 16, 16))])
