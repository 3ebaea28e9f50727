from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from napari_hush import CAREamist
from napari_hush.config import create_care_configuration
from napari_hush.dataset import IterableDataset, build
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
    assert "too small to split off patches" in caplog.text


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
    """A custom dataset of single patches."""

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
    with pytest.raises(ConfigurationError, match="Constant has no statistics"):
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
        (np.zeros((16, 8)), "has only 8; use a patch size of at most 16 8"),
        (np.zeros((16, 16)), "intensity is 0 everywhere"),
        (np.full((16, 16), np.nan), "has NaN or infinite"),
    ],
)
def test_refused_before_anything_starts(tiny_config, data, says):
    with pytest.raises(DataError, match=says):
        ready(tiny_config(), data, val_minimum_split=1)


def test_validation_pixels_that_are_no_numbers(tiny_config, noisy):
    broken = noisy.copy()
    broken[3, 4] = np.nan
    with pytest.raises(DataError, match="the array has NaN"):
        ready(tiny_config(), noisy, val_data=broken)


def test_a_network_for_other_channels_is_refused_before_training(tiny_config):
    config = tiny_config(axes="CYX", n_channels=2)
    with pytest.raises(DataError, match=r"have 3 channels in 2D but .* for 2 in 2D"):
        CAREamist(config).train(train_source=np.random.default_rng(0).random((3, 32, 32)))


def test_targets_and_masks(tiny_config, noisy):
    mask = np.zeros(noisy.shape, bool)
    mask[:16, :32] = True
    module = ready(
        tiny_config(augmentations=[]),
        noisy,
        train_data_target=noisy * 2,
        train_mask=mask,
        val_minimum_split=0,
    )
    assert len(module.train_dataset) == 2
    batch, targets = module.train_dataset.__getitems__([0, 1])
    torch.testing.assert_close(batch, targets, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ([np.zeros((48, 52))] * 2, "1 image and 2 targets were given"),
        (np.zeros((48, 51)), r"has the shape \(48, 52\) but its target .* \(48, 51\)"),
    ],
)
def test_targets_that_do_not_belong(tiny_config, noisy, target, says):
    with pytest.raises(DataError, match=says):
        ready(tiny_config(), noisy, train_data_target=target)


def test_targets_of_files_are_found_by_name_or_by_order(tiny_config, noisy, tmp_path):
    config = tiny_config(data_type="tiff", augmentations=[])
    for number, name in enumerate("abc"):
        for kind in ("noisy", "clean"):
            (tmp_path / kind).mkdir(exist_ok=True)
            pixels = noisy + 1000 * number + (kind == "clean")
            write_tiff(tmp_path / kind / f"{name}.tif", pixels, "YX")
    (tmp_path / "clean" / "c.tif").rename(tmp_path / "c.tif")
    noisies, cleans = tmp_path / "noisy", tmp_path / "clean"
    with pytest.raises(SourceTypeError, match=r"the targets lack .* 'c\.tif'"):
        ready(config, noisies, train_data_target=cleans)
    (tmp_path / "c.tif").rename(tmp_path / "clean" / "c.tif")
    (cleans / "d.tif").write_bytes((cleans / "a.tif").read_bytes())
    shuffled = [cleans / "b.tif", cleans / "a.tif", cleans / "c.tif"]
    by_name = ready(config, noisies, train_data_target=shuffled)
    batch, targets = by_name.train_dataset.__getitems__(range(20))
    torch.testing.assert_close(batch, targets, atol=1e-4, rtol=0)
    by_order = ready(
        config, noisies / "a.tif", train_data_target=cleans / "d.tif", val_minimum_split=0
    )
    assert len(by_order.train_dataset) == 11


def test_background_is_left_out(tiny_config, noisy):
    image = noisy.copy()
    image[:, 16:] = np.random.default_rng(0).normal(100, 1, image[:, 16:].shape)
    config = tiny_config().data_config
    background = {"threshold": 500.0, "kept": 0.0}
    module = TrainDataModule(
        config.replace(background=background), image, val_minimum_split=0
    )
    module.setup()
    assert set(module.train_dataset.windows[:, 2]) == {0}
    with pytest.raises(DataError, match="All 12 patches are background"):
        TrainDataModule(
            config.replace(background={"threshold": 1e9, "kept": 0.0}), image
        ).setup()


def test_files_stay_on_disk_when_asked(tiny_config, noisy, tmp_path):
    for name in "abcd":
        write_tiff(tmp_path / f"{name}.tif", noisy, "YX")
    config = tiny_config(data_type="tiff")
    module = ready(config, tmp_path, use_in_memory=False, val_minimum_split=1)
    assert isinstance(module.train_dataset, IterableDataset)
    assert "stay on disk, as asked" in module.storage.reason
    assert (len(module.train_dataset), len(module.val_dataset)) == (36, 12)
    assert not module.val_dataset.moving
    careamist = CAREamist(config)
    careamist.train(train_source=tmp_path, use_in_memory=False)
    assert np.isfinite(careamist.predict(noisy, data_type="array")).all()


def test_statistics_of_files_are_measured_once(tiny_config, noisy, tmp_path, monkeypatch):
    for name in "ab":
        write_tiff(tmp_path / f"{name}.tif", noisy, "YX")
    config = tiny_config(data_type="tiff")

    def statistics():
        module = ready(config, tmp_path, use_in_memory=False, val_minimum_split=0)
        return module.get_data_statistics()

    first = statistics()
    np.testing.assert_allclose(first[0], noisy.mean(dtype=float))
    with monkeypatch.context() as patch:
        patch.setattr(build, "measure", None)
        assert statistics() == first
    write_tiff(tmp_path / "b.tif", noisy + 10, "YX", overwrite=True)
    assert statistics() != first


def test_too_few_files_to_set_any_aside(tiny_config, noisy, tmp_path):
    for name in "abc":
        write_tiff(tmp_path / f"{name}.tif", noisy, "YX")
    with pytest.raises(DataError, match="5 of 3 files would be set aside"):
        ready(tiny_config(data_type="tiff"), tmp_path, use_in_memory=False)


def test_the_memory_rule(monkeypatch, tiny_config, noisy, tmp_path):
    import psutil

    write_tiff(tmp_path / "a.tif", noisy, "YX")
    config = tiny_config(data_type="tiff")
    assert ready(config, tmp_path).storage.in_memory
    little = SimpleNamespace(available=noisy.nbytes)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: little)
    storage = ready(config, tmp_path, val_minimum_split=0).storage
    assert not storage.in_memory
    assert "more than 80% of the" in storage.reason


def test_channels_that_differ(tiny_config):
    config = tiny_config(axes="CYX", n_channels=2)
    with pytest.raises(DataError, match="array 1 has 3 channels but array 0 has 2"):
        ready(config, [np.zeros((2, 16, 16)), np.zeros((3, 16, 16))])


def test_zarr_is_read_piece_by_piece(tiny_config, tmp_path):
    zarr = pytest.importorskip("zarr", reason="needs the extra zarr")
    rng = np.random.default_rng(0)
    store = zarr.create_array(
        tmp_path / "big.zarr", shape=(3, 40, 48), chunks=(1, 20, 24), dtype="uint16"
    )
    store[...] = rng.integers(100, 200, store.shape)
    config = tiny_config(data_type="zarr", axes="TYX")
    module = ready(config, tmp_path / "big.zarr", use_in_memory=False, val_minimum_split=1)
    assert isinstance(module.train_dataset, IterableDataset)
    careamist = CAREamist(config)
    careamist.train(datamodule=module)
    assert careamist.predict(tmp_path / "big.zarr")[0].shape == (3, 40, 48)
    lazy = tiny_config(axes="TYX")
    careamist = CAREamist(lazy)
    careamist.train(train_source=store, use_in_memory=False)
    assert careamist.predict(store).shape == (3, 40, 48)


def test_targets_with_different_channels(noisy):
    config = create_care_configuration("c", "array", "CYX", [16, 16], 4, 1, n_channels_in=1)
    one, two = noisy[None], np.stack([noisy, noisy])
    with pytest.raises(DataError, match="array 1 has 2 channels but array 0 has 1"):
        ready(config, [one, one], train_data_target=[one, two])


@pytest.mark.parametrize("batch", [1, 4])
def test_a_single_patch_may_be_one_pixel_at_the_deepest_level(tiny_config, noisy, batch):
    """Of 5 patches, the last batch of 4 has one."""
    model = {"num_channels_init": 8, "depth": 3}
    careamist = CAREamist(
        tiny_config(patch_size=[8, 8], batch_size=batch, model_params=model)
    )
    split = {"val_percentage": 0, "val_minimum_split": 0}
    careamist.train(train_source=noisy[:8, :40], **split)
    assert careamist.model.steps == -(-5 // batch)
    assert np.isfinite(careamist.predict(noisy)).all()
