"""Training on masked arrays: masked pixels count neither in statistics nor in the loss."""

import numpy as np
import pytest
import torch

from napari_hush import CAREamist
from napari_hush.config import create_care_configuration, create_n2n_configuration
from napari_hush.dataset import DevicePatches, measure
from napari_hush.dataset.collection import Collection
from napari_hush.dataset.patch_dataset import RandomStream
from napari_hush.errors import DataError
from napari_hush.io import Image, write_image, write_tiff
from napari_hush.lightning import TrainDataModule
from napari_hush.lightning.gradients import Gradients, MicroBatches, algorithm, split_batch


def masked(image, fill, where=np.s_[8:40, 10:30]):
    mask = np.zeros(image.shape, bool)
    mask[..., *where] = True
    hot = image.copy()
    hot[mask] = fill
    return np.ma.masked_array(hot, mask)


def ready(config, data, **arguments):
    module = TrainDataModule(config.data_config, data, **arguments)
    module.setup()
    return module


WHOLE = {"val_percentage": 0.0, "val_minimum_split": 0}
"""Nothing is set aside, so statistics are of all pixels."""


@pytest.mark.parametrize("dtype", ["float32", "uint16", "int32"])
def test_statistics_are_those_of_the_valid_pixels(tiny_config, noisy, dtype):
    image = masked(noisy.astype(dtype), 60_000)
    means, stds = ready(tiny_config(), image, **WHOLE).get_data_statistics()
    assert means == pytest.approx([image.mean(dtype=float)])
    assert stds == pytest.approx([image.std(dtype=float)])


def test_statistics_of_channels_that_are_masked_at_other_places():
    rng = np.random.default_rng(0)
    pixels = rng.normal([[5], [7], [9]], [[1], [2], [3]], (3, 4000)).reshape(3, 40, 100)
    image = np.ma.masked_array(
        pixels, rng.random(pixels.shape) > [[[0.9]], [[0.5]], [[0.1]]]
    )
    held_out = {0: np.array([[0, 0]])}
    image_left = image.copy()
    image_left[:, :16, :16] = np.ma.masked
    for aside, left in (({}, image), (held_out, image_left)):
        found = measure([pixels], ["a"], aside, (16, 16), valid=[~image.mask])
        rows = left.reshape(3, -1)
        np.testing.assert_array_equal(found.counts, rows.count(axis=1))
        np.testing.assert_allclose(found.mean, rows.mean(axis=1))
        np.testing.assert_allclose(found.std, rows.std(axis=1))
        np.testing.assert_array_equal(found.minimum, rows.min(axis=1))
        np.testing.assert_array_equal(found.maximum, rows.max(axis=1))
        medians = [np.median(row.compressed()) for row in rows]
        np.testing.assert_allclose(found.quantiles(0.5)[0], medians)


@pytest.mark.parametrize("per_channel", [True, False])
def test_channels_together_or_alone(tiny_config, per_channel):
    rng = np.random.default_rng(0)
    image = masked(rng.normal([[[3]], [[50]]], 4, (2, 64, 64)), np.nan)
    image[0, 50:] = np.ma.masked
    config = tiny_config(axes="CYX", n_channels=2)
    data = config.data_config.replace(
        normalization={"name": "mean_std", "per_channel": per_channel}
    )
    found = ready(config.replace(data_config=data), image, **WHOLE).get_data_statistics()
    if per_channel:
        expected = image.mean(axis=(1, 2)), image.std(axis=(1, 2))
    else:
        expected = [image.mean()] * 2, [image.std()] * 2
    np.testing.assert_allclose(found, expected)


def test_patches_without_a_valid_pixel_are_left_out(tiny_config, noisy):
    image = masked(noisy, np.nan, np.s_[:16, 16:32])
    module = ready(tiny_config(), image, **WHOLE)
    corners = module.train_dataset.windows[:, 1:].tolist()
    assert len(corners) == 12 - 1
    assert [0, 16] not in corners
    # A patch needs a pixel that is both valid and in the mask.
    mark = np.zeros(noisy.shape)
    mark[:16, :32] = 1
    module = ready(tiny_config(), image, train_mask=mark, **WHOLE)
    assert module.train_dataset.windows[:, 1:].tolist() == [[0, 0]]
    mark[:, :] = 1
    part = np.ma.masked_array(mark, mark > 0)
    part[:16, :16] = 1
    module = ready(tiny_config(), noisy, train_mask=part, **WHOLE)
    assert module.train_dataset.windows[:, 1:].tolist() == [[0, 0]]


def test_the_threshold_of_background_looks_at_valid_pixels(tiny_config, noisy):
    dark = noisy.copy()
    dark[:, :26] = 10
    image = masked(dark, 1e6, np.s_[:, 20:26])
    config = tiny_config()
    background = {"measure": "mean", "threshold": 500.0, "kept": 0.0}
    data = config.data_config.replace(background=background)
    module = ready(config.replace(data_config=data), image, **WHOLE)
    assert {x for _, _, x in module.train_dataset.windows.tolist()} == {16, 32, 36}


@pytest.mark.parametrize("fill", [np.nan, 1e6])
def test_batches_say_which_pixels_are_valid(tiny_config, noisy, fill):
    image = masked(noisy, fill)
    module = ready(tiny_config(), image, **WHOLE)
    pixels, valid = module.train_dataset.__getitems__(range(len(module.train_dataset)))
    assert set(valid.unique().tolist()) == {0, 1}
    np.testing.assert_allclose(pixels[valid == 0], 0, atol=1e-6)  # the mean, normalized
    np.testing.assert_array_equal(valid == 0, pixels.abs() < 1e-6)
    device = DevicePatches(module.train_dataset, torch.device("cpu"))
    for ours, theirs in zip(device.__getitems__([3, 1]), (pixels, valid), strict=True):
        assert torch.equal(ours, theirs[[3, 1]])


def prepared(config, batch):
    """Loss, input and answer of a batch."""
    method = algorithm(config.algorithm_config)
    gradients = Gradients(torch.nn.Identity(), method, 0, MicroBatches(lambda event: None))
    seen, answer, _ = gradients.prepare(batch, RandomStream.TRAINING_MASKS, 0)
    return method, seen, answer


def targets_used(config, batch):
    """Where the loss of a batch depends on what the network predicts."""
    method, seen, answer = prepared(config, batch)
    prediction = torch.full_like(seen, 100.0).requires_grad_()
    method.loss(prediction, answer).backward()
    return prediction.grad != 0


def test_masked_pixels_are_no_blind_spots(tiny_config, noisy):
    config = tiny_config()
    module = ready(config, masked(noisy, 1e6), **WHOLE)
    batch = module.train_dataset.__getitems__(range(8))
    used = targets_used(config, batch)
    assert used.sum() > 20
    assert not used[batch[1] == 0].any()
    alone = targets_used(config, batch[:1])
    assert torch.equal(used, alone & (batch[1] == 1))


@pytest.mark.parametrize("create", [create_n2n_configuration, create_care_configuration])
def test_masked_pixels_of_pairs(create, noisy):
    config = create(
        "tiny", "array", "YX", [16, 16], 4, 1, model_params={"num_channels_init": 8}
    )
    image, target = masked(noisy, 1e6), masked(noisy + 5, np.nan, np.s_[30:40, :])
    module = ready(config, image, train_data_target=target, **WHOLE)
    batch = module.train_dataset.__getitems__(range(8))
    assert torch.equal(targets_used(config, batch), batch[2] == 1)
    windows, operations = module.train_dataset.planned(range(8))
    for (_, y, x), valid, turned in zip(windows, batch[2], operations, strict=True):
        inside = ~(image.mask | target.mask)[y : y + 16, x : x + 16]
        assert valid.sum() == inside.sum(), turned
    means = module.train_dataset.target_normalization.means
    assert means == pytest.approx([target.mean(dtype=float)])


def test_losses_of_parts_of_a_batch_add_up(tiny_config, noisy):
    config = tiny_config()
    image = masked(noisy, 1e6, np.s_[:16, :])
    image.mask[3, 3] = False
    module = ready(config, image, **WHOLE)
    batch = module.train_dataset.__getitems__(range(8))
    method, seen, answer = prepared(config, batch)
    total = method.loss(seen, answer)
    parts = [share * method.loss(x, y) for x, y, share in split_batch(seen, answer, 1)]
    torch.testing.assert_close(torch.stack(parts).sum(), total)


def test_what_is_masked_does_not_change_the_training(tiny_config, noisy):
    trained = []
    for fill in (np.nan, 1e6):
        careamist = CAREamist(tiny_config(num_epochs=2))
        careamist.train(train_source=masked(noisy, fill))
        trained.append(careamist)
    first, second = (one.model.network.state_dict() for one in trained)
    assert all(torch.equal(first[name], second[name]) for name in first)
    losses = trained[0].get_losses()
    assert np.isfinite(losses["train_step_loss"] + losses["val_loss"]).all()


def test_an_image_on_disk_beside_a_masked_array(tiny_config, noisy):
    import dask.array as da

    image = masked(noisy, 1e6)
    sources = [image, da.from_array(noisy, chunks=24)]
    module = ready(tiny_config(), sources, use_in_memory=False, val_minimum_split=1)
    assert not module.storage.in_memory
    batch = next(iter(module.train_dataloader()))
    assert len(batch) == 2
    assert batch[0].max() < 10


def test_everything_masked(tiny_config, noisy):
    image = np.ma.masked_array(noisy, True)
    with pytest.raises(DataError, match=r"All pixels of the array are masked"):
        ready(tiny_config(), image)
    channels = masked(np.stack([noisy, noisy]), 0)
    channels[1] = np.ma.masked
    with pytest.raises(DataError, match=r"masked, in one of its channels"):
        ready(tiny_config(axes="CYX", n_channels=2), channels)


def test_without_masked_pixels_a_masked_array_is_an_array(tiny_config, noisy):
    module = ready(tiny_config(), np.ma.masked_array(noisy))
    plain = ready(tiny_config(), noisy)
    ours, theirs = (m.train_dataset.__getitems__([0, 1]) for m in (module, plain))
    assert len(ours) == 1
    assert torch.equal(ours[0], theirs[0])


def test_files_hold_no_masks(tiny_config, noisy, tmp_path):
    image = masked(noisy, 1e6)
    for path in (tmp_path / "a.tif", tmp_path / "a.zarr"):
        with pytest.raises(DataError, match="Pixels of the array are masked, which a file"):
            write_image(path, Image.from_array(image, "YX"))
    with pytest.raises(DataError, match=r"numpy\.ma\.filled"):
        write_tiff(tmp_path / "a.tif", image, "YX")
    assert not list(tmp_path.iterdir())
    write_tiff(tmp_path / "a.tif", np.ma.array(noisy), "YX")
    heard = []
    careamist = CAREamist(tiny_config(data_type="custom"), on_progress=heard.append)
    reader = {"read_source_func": lambda path, axes: image, "extension_filter": "*.tif"}
    module = TrainDataModule(careamist.config.data_config, tmp_path, **reader)
    careamist.train(datamodule=module)
    careamist.predict_to_disk(tmp_path, prediction_dir=tmp_path / "out", **reader)
    (warning,) = (e for e in heard if getattr(e, "about", "") == "mask")
    assert "masked but not those of its result" in warning.message


def test_where_the_loss_counts_is_that_of_either_mask(noisy):
    holes = masked(noisy, 0)
    counts = ~np.ma.getmaskarray(holes)
    for image, target in ((noisy, holes), (holes, noisy), (holes, holes)):
        pair = [Image.from_array(array, "YX") for array in (image, target)]
        (valid,) = Collection([pair[0]], [pair[1]]).valid()
        np.testing.assert_array_equal(np.squeeze(valid), counts)
    assert Collection([Image.from_array(noisy, "YX")]).valid() is None
