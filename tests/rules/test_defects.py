"""D-1 to D-19: defects known elsewhere, which must not come back here."""

import tracemalloc

import numpy as np
import pytest
import torch
from pytorch_lightning import Trainer

from napari_hush import CAREamist, n2v
from napari_hush.config import (
    InferenceConfig,
    N2VManipulateConfig,
    XYFlipConfig,
    XYRandomRotate90Config,
    create_care_configuration,
)
from napari_hush.dataset import statistics
from napari_hush.errors import ConfigurationError, UnreadableFileError
from napari_hush.events import ImageStarted
from napari_hush.io import write_tiff
from napari_hush.lightning import PredictDataModule
from napari_hush.lightning.module import HushModule
from napari_hush.models import UNet

NO_SPLIT = {"val_percentage": 0, "val_minimum_split": 0}
ALL = (XYFlipConfig(), XYRandomRotate90Config())


def test_d01_asking_for_losses_prints_nothing(tiny_config, noisy, capfd):
    careamist = CAREamist(tiny_config(num_steps=1))
    careamist.train(train_source=noisy)
    assert careamist.get_losses()["train_epoch"] == [0]
    assert capfd.readouterr() == ("", "")


def care(**settings):
    return create_care_configuration(
        experiment_name="pairs",
        data_type="array",
        patch_size=[16, 16],
        batch_size=4,
        num_epochs=1,
        **{"num_steps": 1, "model_params": {"num_channels_init": 8}, **settings},
    )


def test_d02_other_channels_out_than_in(noisy):
    config = care(axes="CYX", n_channels_in=2, n_channels_out=1)
    image = np.stack([noisy, noisy + 1])
    careamist = CAREamist(config)
    careamist.train(train_source=image, train_target=image[:1])
    assert careamist.predict(image).shape == (1, 48, 52)
    with pytest.raises(ConfigurationError, match="channels cannot be independent"):
        care(
            axes="CYX",
            n_channels_in=2,
            n_channels_out=1,
            model_params={"independent_channels": True},
        )


@pytest.mark.parametrize("patience", [0, 11, 5000])
def test_d03_patience_has_no_upper_limit(tiny_config, patience):
    config = tiny_config(
        lr_scheduler="ReduceLROnPlateau", lr_scheduler_params={"patience": patience}
    )
    assert config.algorithm_config.lr_scheduler.patience == patience


@pytest.mark.parametrize("use_in_memory", [True, False])
def test_d04_a_file_that_cannot_be_read_is_named_not_skipped(
    ready, folder, noisy, use_in_memory
):
    files = folder([noisy] * 4)
    broken = files / "02.tif"
    broken.write_bytes(broken.read_bytes()[:-2000])
    with pytest.raises(UnreadableFileError, match=r"02\.tif"):
        ready(files, data_type="tiff", use_in_memory=use_in_memory)


@pytest.mark.parametrize("size", [64, 65, 129, 1000, 1023])
def test_d05_the_last_rows_and_columns_are_trained_on(ready, size):
    for shape in [(64, size), (size, 64)]:
        image = np.random.default_rng(0).random(shape)
        module = ready(image, patch_size=(64, 64), **NO_SPLIT)
        covered = np.zeros(shape, bool)
        for _, y, x in module.train_dataset.windows:
            covered[y : y + 64, x : x + 64] = True
        assert covered.all()


def test_d06_a_batch_holds_patches_of_several_files(ready, folder, numbered, as_it_is):
    module = ready(
        folder(numbered(8, (32, 32))),
        data_type="tiff",
        use_in_memory=False,
        **NO_SPLIT,
        **as_it_is,
    )
    (batch,) = next(iter(module.train_dataloader()))
    assert len({int(patch.min()) // 1024 for patch in batch}) > 1


def test_d07_setting_up_takes_the_memory_of_the_images_and_no_copies(
    ready, folder, monkeypatch
):
    monkeypatch.setattr(statistics, "_REGION", 1 << 13)
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 60_000, (24, 512, 512)).astype("uint16"))
    files, size = folder(images), sum(image.nbytes for image in images)
    del images
    tracemalloc.start()
    try:
        module = ready(files, data_type="tiff")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert module.storage.in_memory
    assert size <= peak < 1.5 * size


def test_d08_results_have_the_intensities_of_the_targets(noisy):
    """A network that changes nothing returns the image, scaled as the targets are."""
    careamist = CAREamist(care(axes="YX"))
    careamist.train(train_source=noisy, train_target=noisy * 5 + 9000)
    careamist.model.network.forward = lambda batch, margin: batch[
        ..., margin:-margin, margin:-margin
    ]
    np.testing.assert_allclose(careamist.predict(noisy), noisy * 5 + 9000, rtol=1e-3)


def test_d09_validation_is_not_augmented(either, numbered, as_it_is):
    """Along X the intensities of these images run on by one."""
    always = (XYFlipConfig(p=1), XYRandomRotate90Config(p=1))
    module = either(numbered(3), transforms=always, **as_it_is)
    assert all((patch.diff(dim=-1) == 1).all() for (patch,) in module.val_dataset)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_d10_workers_and_epochs_do_not_repeat_the_same_draws(ready, as_it_is):
    """All patches of this image are alike, so that only draws distinguish them."""
    tile = np.random.default_rng(0).random((16, 16))
    module = ready(
        np.tile(tile, (8, 8)),
        transforms=ALL,
        num_workers=2,
        batch_size=8,
        **NO_SPLIT,
        **as_it_is,
    )
    loader = module.train_dataloader()
    draws = []
    for epoch in range(2):
        loader.batch_sampler.sampler.set_epoch(epoch)
        draws += [tuple(batch[:, 0, 0, 0].tolist()) for (batch,) in loader]
    assert len(draws) == 16
    assert len(set(draws)) == 16


def test_d11_no_pixel_on_both_sides(either, numbered, as_it_is):
    module = either(numbered(3, (33, 50)), val_minimum_split=2, **as_it_is)
    sides = [
        set(dataset.__getitems__(range(len(dataset)))[0].ravel().tolist())
        for dataset in (module.train_dataset, module.val_dataset)
    ]
    assert len(sides[1]) > 0
    assert not sides[0] & sides[1]


def test_d12_validation_losses_can_be_compared_between_epochs(tiny_config, noisy):
    config = tiny_config(model_params={"num_channels_init": 8, "use_batch_norm": False})
    module = HushModule(config, UNet(config.algorithm_config.model), 1)
    module.log = lambda *given, **more: None  # there is no trainer that logs here
    module.trainer = Trainer(logger=False, enable_checkpointing=False)
    batch = torch.from_numpy(noisy[None, None, :32, :32]) / 100 - 10
    losses = []
    for _ in range(3):
        module.on_validation_epoch_start()
        module.validation_step((batch,), 0)
        module.on_validation_epoch_end()
        losses.append(module.val_loss)
    assert losses[0] == losses[1] == losses[2] > 0


def test_d13_an_image_smaller_than_a_tile_keeps_every_pixel(numbered):
    (image,) = numbered(1, (20, 20))
    config = InferenceConfig(
        tile_size=(32, 32), tile_overlap=(8, 8), image_means=(0.0,), image_stds=(1.0,)
    )
    module = PredictDataModule(config, image)
    module.setup()
    ((pixels, _, (tile,)),) = module.predict_dataloader()
    assert tile.inner == (slice(0, 20), slice(0, 20))
    np.testing.assert_array_equal(pixels[0][(slice(None), *tile.crop)][0], image)


def test_d14_a_data_module_that_normalizes_otherwise_is_refused(tiny_config, noisy):
    careamist = CAREamist(tiny_config(num_steps=1))
    careamist.train(train_source=noisy)
    config = InferenceConfig(image_means=(0.0,), image_stds=(1.0,))
    with pytest.raises(ConfigurationError, match=r"normalizes with \(0.0, 1.0\) but"):
        careamist.predict(PredictDataModule(config, noisy))


def test_d17_no_direction_is_preferred():
    generator = torch.Generator().manual_seed(0)
    centre = torch.full((400, 1000), 32 * 64 + 32)
    drawn = n2v.choose_neighbours(centre, (64, 64), 11, generator)
    for offset in (drawn // 64 - 32, drawn % 64 - 32):
        shares = torch.bincount((offset + 5).ravel(), minlength=11) / offset.numel()
        others = shares[[k for k in range(11) if k != 5]]
        assert others.max() / others.min() < 1.05


@pytest.mark.parametrize("level", [0.0, 0.01])
def test_d18_pixels_that_equal_their_replacement_stay_in_the_loss(level):
    """Few photons: almost all pixels are 0, and so is what replaces them."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.poisson(torch.full((64, 1, 32, 32), level), generator=generator)
    masked = n2v.mask(batch, N2VManipulateConfig(), generator)
    assert float(masked.weights.sum()) == pytest.approx(batch.numel() * 0.05, rel=0.1)
    assert float(n2v.loss(batch + 2, masked)) == pytest.approx(4, rel=1e-5)


def test_d19_masks_are_drawn_where_the_batch_is(tiny_config, monkeypatch):
    """A machine that has a GPU may still be asked to train on its processor."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    config = tiny_config()
    module = HushModule(config, UNet(config.algorithm_config.model), 1)
    assert module.loss((torch.randn(2, 1, 16, 16),)).device.type == "cpu"


@pytest.fixture
def to_disk(tiny_config, noisy, tmp_path):
    for name in ("a.tif", "deep/er/a.tif"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        write_tiff(tmp_path / "in" / name, noisy, "YX")
    careamist = CAREamist(tiny_config(num_steps=1), work_dir=tmp_path)
    careamist.train(train_source=noisy)
    return careamist


def test_d15_arguments_of_the_write_function_reach_it(to_disk, tmp_path):
    seen = []
    to_disk.predict_to_disk(
        tmp_path / "in",
        write_type="custom",
        write_extension=".raw",
        write_func=lambda path, array, level: seen.append((path.suffix, level)),
        write_func_kwargs={"level": 3},
    )
    assert seen == [(".raw", 3)] * 2


def test_d16_subfolders_are_kept_and_each_file_is_read_once(to_disk, tmp_path):
    opened = []
    to_disk.on_progress = lambda event: (
        opened.append(event.path) if isinstance(event, ImageStarted) else None
    )
    targets = to_disk.predict_to_disk(tmp_path / "in")
    names = [str(t.relative_to(tmp_path / "predictions")) for t in targets]
    assert names == ["a.tif", "deep/er/a.tif"]
    assert len(opened) == len(set(opened)) == 2
