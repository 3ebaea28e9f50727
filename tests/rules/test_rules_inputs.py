"""R1 to R15: what may be given, and which dataset comes of it."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import tifffile
import torch
from torch.utils.data import Dataset

from napari_hush import CAREamist
from napari_hush.config import XYFlipConfig, XYRandomRotate90Config
from napari_hush.dataset import InMemoryDataset, IterableDataset
from napari_hush.errors import DataError, SourceTypeError
from napari_hush.io import write_tiff
from napari_hush.lightning import TrainDataModule

ALL = (XYFlipConfig(), XYRandomRotate90Config())


def values(dataset):
    """All intensities of all patches."""
    return np.concatenate([dataset[i][0].numpy().ravel() for i in range(len(dataset))])


@pytest.mark.parametrize("kind", [str, Path])
def test_r01_data_are_an_array_a_file_or_a_folder(ready, folder, numbered, as_it_is, kind):
    (image,) = numbered(1)
    path = folder([image])
    for data, data_type in [
        (image, "array"),
        (kind(path), "tiff"),
        (kind(path / "00.tif"), "tiff"),
        ([kind(path / "00.tif")], "tiff"),
    ]:
        module = ready(
            data, data_type=data_type, val_minimum_split=0, val_percentage=0, **as_it_is
        )
        np.testing.assert_array_equal(np.sort(values(module.train_dataset)), image.ravel())


def test_r01_data_type_is_compared_with_what_is_given(ready, noisy, tmp_path):
    with pytest.raises(SourceTypeError, match="data_type is 'tiff'"):
        ready(noisy, data_type="tiff")
    with pytest.raises(SourceTypeError, match="data_type is 'array'"):
        ready(tmp_path, data_type="array")


@pytest.mark.parametrize("use_in_memory", [True, False])
def test_r02_arrays_are_in_memory_whatever_is_wished(ready, noisy, use_in_memory):
    module = ready(noisy, use_in_memory=use_in_memory)
    assert type(module.train_dataset) is InMemoryDataset
    assert module.storage.in_memory


@pytest.mark.parametrize(
    ("spare", "expected"), [(1, InMemoryDataset), (0, IterableDataset)]
)
def test_r03_files_of_less_than_80_percent_of_the_memory_are_loaded(
    ready, folder, noisy, monkeypatch, spare, expected
):
    images = [noisy] * 3
    needed = 3 * noisy.nbytes
    available = SimpleNamespace(available=needed / 0.8 + spare)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: available)
    module = ready(folder(images), data_type="tiff")
    assert type(module.train_dataset) is expected
    assert f"{needed / 1000:.3g} KB" in module.storage.reason


def test_r03_it_is_the_decoded_size_that_counts(ready, tmp_path, noisy, monkeypatch):
    image = np.round(noisy / 200).astype("uint16")
    for name in "ab":
        tifffile.imwrite(tmp_path / f"{name}.tif", image, compression="zlib")
    packed = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert packed < image.nbytes
    little = SimpleNamespace(available=1.5 * image.nbytes)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: little)
    assert not ready(tmp_path, data_type="tiff").storage.in_memory


@pytest.mark.parametrize("argument", ["train_data_target", "val_data"])
def test_r03_targets_and_validation_count_too(ready, folder, noisy, monkeypatch, argument):
    enough_for_one = SimpleNamespace(available=1.5 * noisy.nbytes)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: enough_for_one)
    data = folder([noisy])
    assert ready(data, data_type="tiff").storage.in_memory
    module = ready(data, data_type="tiff", **{argument: folder([2 * noisy])})
    assert not module.storage.in_memory


def test_r04_files_are_left_on_disk_when_asked(ready, folder, noisy):
    module = ready(folder([noisy] * 2), data_type="tiff", use_in_memory=False)
    assert type(module.train_dataset) is type(module.val_dataset) is IterableDataset
    assert "as asked" in module.storage.reason


def test_r05_positions_stand_still_in_memory_and_move_on_disk(either, numbered, as_it_is):
    dataset = either(numbered(3), **as_it_is).train_dataset
    n = len(dataset)
    first, second = (dataset.__getitems__(range(k * n, k * n + n))[0] for k in (0, 1))
    assert torch.equal(first, second) == (either.storage == "memory")


def test_r06_a_folder_is_listed_with_all_in_it_and_sorted(
    ready, tmp_path, numbered, as_it_is
):
    images = numbered(3, (16, 16))
    (tmp_path / "b").mkdir()
    for name, image in zip(["a.tif", "b/a.TIFF", "c.tif"], images, strict=True):
        write_tiff(tmp_path / name, image, "YX")
    (tmp_path / "a.txt").touch()
    module = ready(
        tmp_path, data_type="tiff", val_percentage=0, val_minimum_split=0, **as_it_is
    )
    np.testing.assert_array_equal(values(module.train_dataset), np.ravel(images))


@pytest.mark.parametrize("count", [1, 3])
def test_r07_there_are_as_many_targets_as_images(ready, folder, noisy, count):
    with pytest.raises((DataError, SourceTypeError), match=f"2 .* {count} target"):
        ready(
            folder([noisy] * 2),
            data_type="tiff",
            train_data_target=folder([noisy] * count),
        )


def test_r07_a_target_has_the_name_of_its_image(ready, folder, noisy):
    images, targets = folder([noisy] * 2), folder([noisy] * 2)
    (targets / "01.tif").rename(targets / "other.tif")
    with pytest.raises(SourceTypeError, match=r"01\.tif"):
        ready(images, data_type="tiff", train_data_target=targets)


def test_r07_folders_are_matched_by_name(ready, folder, numbered, as_it_is):
    images = numbered(3, (16, 16))
    data, targets = folder(images), folder([2 * image for image in images])
    more = {"target_means": (0.0,), "target_stds": (2.0,), **as_it_is}
    backwards = [targets / f"{number:02}.tif" for number in (2, 1, 0)]
    dataset = ready(
        data, data_type="tiff", train_data_target=backwards, **more
    ).train_dataset
    batch, answers = dataset.__getitems__(range(len(dataset)))
    assert torch.equal(batch, answers)


@pytest.mark.parametrize("axes", ["SYX", "TYX", "STYX", "TSYX"])
def test_r08_time_counts_as_samples_and_s_is_the_slower(ready, axes):
    size = {"S": 2, "T": 3, "Y": 16, "X": 16}
    number = {"S": 30, "T": 1, "Y": 0, "X": 0}
    index = np.indices([size[a] for a in axes])
    image = sum(number[a] * i for a, i in zip(axes, index, strict=True)).astype("uint8")
    module = ready(image, axes=axes, val_percentage=0, val_minimum_split=0)
    expected = {"SYX": [0, 30], "TYX": [0, 1, 2]}.get(axes, [0, 1, 2, 30, 31, 32])
    assert [int(unit[0, 0, 0]) for unit in module.train_dataset.units] == expected


@pytest.mark.parametrize("axes", ["CYX", "CXY", "YCX", "YXC", "XCY", "XYC"])
def test_r09_axes_may_stand_in_any_order(ready, noisy, axes):
    image = np.stack([noisy, noisy * 2])
    module = ready(image, axes="CYX")
    turned = ready(image.transpose(["CYX".index(a) for a in axes]), axes=axes)
    for index in range(len(module.train_dataset)):
        assert torch.equal(module.train_dataset[index][0], turned.train_dataset[index][0])
    assert module.get_data_statistics() == turned.get_data_statistics()


def test_r09_missing_channels_become_one(ready, noisy):
    assert ready(noisy).train_dataset[0][0].shape == (1, 16, 16)
    volume = ready(np.stack([noisy] * 8), axes="ZYX", patch_size=(8, 16, 16))
    assert volume.train_dataset[0][0].shape == (1, 8, 16, 16)


def test_r10_targets_are_cut_and_flipped_like_their_images(either, numbered):
    images = numbered(3)
    scalings = {
        f"{what}_{name}": (value,)
        for what in ("image", "target")
        for name, value in (("means", 0.0), ("stds", 1.0))
    }
    module = either(
        images,
        train_data_target=[-image for image in images],
        transforms=ALL,
        **scalings,
    )
    n = len(module.train_dataset)
    batch, targets = module.train_dataset.__getitems__(range(2 * n))
    assert torch.equal(targets, -batch)


@pytest.mark.parametrize("shape", [(48, 51), (47, 52), (24, 104)])
def test_r11_a_target_is_as_large_as_its_image(ready, noisy, shape):
    with pytest.raises(
        DataError, match=rf"\(48, 52\) but its target .*{shape[0]}, {shape[1]}"
    ):
        ready(noisy, train_data_target=np.resize(noisy, shape))


def test_r11_a_target_may_have_other_channels(ready, noisy):
    image = np.stack([noisy, noisy + 1])
    module = ready(image, axes="CYX", train_data_target=image[:1])
    batch, targets = module.train_dataset.__getitems__([0])
    assert (batch.shape[1], targets.shape[1]) == (2, 1)


@pytest.mark.parametrize("kind", [str, Path])
def test_r12_a_reader_gets_a_path_and_the_axes(ready, tmp_path, noisy, kind):
    np.save(tmp_path / "a.npy", noisy)
    (tmp_path / "a.txt").touch()
    asked = []

    def read(path, *args, **kwargs):
        asked.append((path, args, kwargs))
        return np.load(path)

    for data in (kind(tmp_path / "a.npy"), kind(tmp_path)):
        asked.clear()
        ready(data, data_type="custom", read_source_func=read, extension_filter="*.npy")
        assert asked[0] == (tmp_path / "a.npy", ("YX",), {})


@pytest.mark.parametrize("use_in_memory", [True, False])
def test_r12_a_reader_may_return_what_is_read_region_by_region(
    ready, tmp_path, noisy, use_in_memory
):
    np.save(tmp_path / "a.npy", noisy)
    mapped, whole = (
        ready(
            tmp_path,
            data_type="custom",
            read_source_func=lambda path, axes, mode=mode: np.load(path, mmap_mode=mode),
            use_in_memory=use_in_memory,
        )
        for mode in ("r", None)
    )
    assert torch.equal(mapped.train_dataset[0][0], whole.train_dataset[0][0])


def test_r13_prepare_and_setup_are_enough_for_a_first_patch(ready, tmp_path):
    np.save(tmp_path / "train_array.npy", np.random.default_rng(0).random((128, 128)))
    module = ready(
        str(tmp_path / "train_array.npy"),
        data_type="custom",
        patch_size=(32, 32),
        batch_size=1,
        val_minimum_split=5,
        read_source_func=lambda path, *args, **kwargs: np.load(path),
        extension_filter="*.npy",
    )
    patch = module.train_dataloader().dataset[0][0]
    assert patch.shape == (1, 32, 32)
    assert patch.dtype == torch.float32


def test_r14_custom_types_are_trained_on_through_a_data_module(
    tiny_config, tmp_path, noisy
):
    np.save(tmp_path / "a.npy", noisy)
    config = tiny_config(data_type="custom", num_steps=1)
    careamist = CAREamist(config)
    careamist.train(
        datamodule=TrainDataModule(
            config.data_config,
            tmp_path,
            read_source_func=lambda path, axes: np.load(path),
            extension_filter="*.npy",
        )
    )
    assert careamist.model.steps == 1


class Own(Dataset):
    """A dataset of somebody's own."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return (torch.randn(1, 16, 16, generator=torch.Generator().manual_seed(index)),)

    def get_data_statistics(self):
        return [100.0], [10.0]


class OwnModule(TrainDataModule):
    def setup(self, stage=None):
        self.train_dataset = Own()


class HalvedModule(TrainDataModule):
    def setup(self, stage=None):
        self.train_dataset, self.val_dataset = torch.utils.data.random_split(Own(), [6, 2])


def test_r15_a_subclass_overrides_setup_alone(tiny_config, noisy):
    config = tiny_config(num_steps=1)
    careamist = CAREamist(config)
    careamist.train(datamodule=OwnModule(config.data_config, noisy))
    assert careamist.model.normalization.means == (100.0,)
    assert careamist.predict(noisy).shape == noisy.shape


def test_r15_a_dataset_of_ones_own_may_be_split_by_torch(tiny_config, noisy):
    data = tiny_config().data_config.replace(image_means=(0.0,), image_stds=(1.0,))
    module = HalvedModule(data, noisy)
    module.setup()
    (batch,) = next(iter(module.train_dataloader()))
    assert batch.shape == (4, 1, 16, 16)
    (batch,) = next(iter(module.val_dataloader()))
    assert batch.shape == (2, 1, 16, 16)
