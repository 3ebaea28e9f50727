"""R24 to R30: statistics, and scaling by them."""

import numpy as np
import pytest
import torch

from napari_hush import CAREamist
from napari_hush.config import InferenceConfig
from napari_hush.errors import DataError
from napari_hush.lightning import PredictDataModule, TrainDataModule
from napari_hush.models.normalization import Normalization

NO_SPLIT = {"val_percentage": 0, "val_minimum_split": 0}


@pytest.fixture
def images():
    """Five images of integer intensities, 48 x 64."""
    rng = np.random.default_rng(0)
    return list(rng.normal(1000, 60, (5, 48, 64)).round().astype("float32"))


def all_patches(dataset):
    return torch.cat([dataset[i][0][None] for i in range(len(dataset))])


def test_r24_patches_have_zero_mean_and_unit_variance_per_channel(ready, images):
    pair = np.stack([images[0], images[1] * 7 - 300])
    batch = all_patches(ready(pair, axes="CYX", **NO_SPLIT).train_dataset)
    torch.testing.assert_close(batch.mean((0, 2, 3)), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(batch.std((0, 2, 3)), torch.ones(2), atol=1e-3, rtol=0)


def test_r24_targets_are_scaled_by_their_own_statistics(either, images):
    targets = [image * 9 + 5000 for image in images]
    dataset = either(images, train_data_target=targets).train_dataset
    batch, answers = dataset.__getitems__(range(len(dataset)))
    torch.testing.assert_close(batch, answers, atol=1e-3, rtol=0)


def test_r25_the_formula_and_its_inverse():
    scaling = Normalization((3.0,), (0.5,))
    batch = torch.tensor([1.0, 3.0, 4.0]).reshape(1, 1, 1, 3)
    normal = scaling.normalize(batch)
    assert normal.dtype == torch.float32
    torch.testing.assert_close(normal, (batch - 3) / 0.5)
    torch.testing.assert_close(scaling.denormalize(normal), batch)


def test_r25_there_are_as_many_means_as_channels(tiny_config, noisy):
    config = tiny_config(axes="CYX", n_channels=2)
    data = config.data_config.replace(image_means=(1.0,), image_stds=(1.0,))
    events = []
    with pytest.raises(DataError, match="has 2 channels but the statistics are of 1"):
        CAREamist(config, on_progress=events.append).train(
            datamodule=TrainDataModule(data, np.stack([noisy, noisy]))
        )
    assert events == []


def test_r26_statistics_are_of_the_training_pixels_each_once(ready):
    """Windows over 40 pixels overlap; what two of them share must not count twice."""
    rng = np.random.default_rng(0)
    image = rng.normal(100, 10, (40, 40)) + 50 * (np.arange(40) > 30)
    means, stds = ready(image, **NO_SPLIT).get_data_statistics()
    assert means[0] == pytest.approx(image.mean())
    assert stds[0] == pytest.approx(image.std())


def test_r26_held_out_patches_are_not_in_the_statistics(ready, images):
    module = ready(images[0], val_minimum_split=4)
    training = np.ones((48, 64), bool)
    for _, y, x in module.val_dataset.windows:
        training[y : y + 16, x : x + 16] = False
    means, stds = module.get_data_statistics()
    assert means[0] == pytest.approx(images[0][training].mean(dtype=float))
    assert stds[0] == pytest.approx(images[0][training].std(dtype=float))


def test_r26_held_out_files_are_not_in_the_statistics(ready, folder, images):
    images = [image + 100 * n for n, image in enumerate(images)]
    module = ready(folder(images), data_type="tiff", use_in_memory=False)
    held_out = {block.sample for block in module.val_dataset.units.blocks}
    training = np.stack([im for n, im in enumerate(images) if n not in held_out])
    means, stds = module.get_data_statistics()
    assert len(training) == 4
    assert means[0] == pytest.approx(training.mean(dtype=float))
    assert stds[0] == pytest.approx(training.std(dtype=float))


def test_r27_given_statistics_are_used_as_given(either, images):
    module = either(images, image_means=(7.0,), image_stds=(2.0,))
    assert module.get_data_statistics() == ([7.0], [2.0])
    raw = either(images, image_means=(0.0,), image_stds=(1.0,))
    torch.testing.assert_close(
        module.train_dataset[0][0], (raw.train_dataset[0][0] - 7) / 2, atol=1e-3, rtol=0
    )


def test_r27_measured_statistics_are_kept_with_the_model_not_in_the_configuration(
    tiny_config, noisy
):
    config = tiny_config(num_steps=1)
    careamist = CAREamist(config)
    careamist.train(train_source=noisy)
    assert careamist.config.data_config.image_means is None
    assert careamist.model.normalization.means[0] == pytest.approx(noisy.mean(), rel=0.01)


def test_r27_constant_data_are_refused_instead_of_dividing_by_nothing(either):
    with pytest.raises(DataError, match="the intensity is 3 everywhere"):
        either([np.full((48, 64), 3, "float32")] * 3)


def test_r28_validation_data_are_scaled_by_the_training_statistics(either, images):
    module = either(images[:3], val_data=[images[3] + 1e4])
    means, stds = module.get_data_statistics()
    batch = all_patches(module.val_dataset)
    expected = (images[3].mean(dtype=float) + 1e4 - means[0]) / stds[0]
    assert float(batch.mean()) == pytest.approx(expected, rel=1e-4)


def test_r29_prediction_scales_by_the_stored_statistics_and_back(tiny_config, noisy):
    careamist = CAREamist(tiny_config(num_steps=1))
    careamist.train(train_source=noisy)
    (mean,), (std,) = (
        careamist.model.normalization.means,
        careamist.model.normalization.stds,
    )
    seen = []

    def look(batch, margin):
        seen.append(batch.clone())
        return batch[..., margin:-margin, margin:-margin]

    careamist.model.network.forward = look
    image = np.linspace(-5, 4000, 64, dtype="float32").reshape(8, 8)
    np.testing.assert_allclose(careamist.predict(image), image, atol=1e-3)
    assert float(seen[0].max()) == pytest.approx((4000 - mean) / std, rel=1e-3)


def test_r29_the_prediction_data_module_scales_by_the_given_statistics(noisy):
    config = InferenceConfig(image_means=(900.0,), image_stds=(50.0,))
    module = PredictDataModule(config, noisy)
    module.setup()
    ((pixels, _, (tile,)),) = module.predict_dataloader()
    inner = pixels[0][(slice(None), *tile.crop)][0]
    np.testing.assert_allclose(inner, (noisy - 900) / 50, rtol=1e-4, atol=1e-4)


def test_r30_reported_statistics_are_those_of_the_images(either, images):
    targets = [image + 5000 for image in images]
    means, stds = either(images, train_data_target=targets).get_data_statistics()
    assert len(means) == len(stds) == 1
    assert means[0] == pytest.approx(1000, abs=10)


ROLES = ("train_data_target", "val_data", "val_data_target", "train_mask", "train_data")
GIVEN = {
    "image_means": (1000.0,),
    "image_stds": (60.0,),
    "target_means": (1000.0,),
    "target_stds": (60.0,),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize("given", [{}, GIVEN])
@pytest.mark.parametrize("use_in_memory", [True, False])
def test_files_with_nan_are_named_before_training(
    ready, folder, images, role, value, given, use_in_memory
):
    sources = {}
    for number, one in enumerate(ROLES):
        pixels = [image + number for image in images[:3]]
        if one == role:
            pixels[2][40, 50] = value
        sources[one] = folder(pixels)
    first = sources.pop("train_data")
    with pytest.raises(DataError, match=r"02\.tif' has NaN or infinite pixels"):
        ready(first, data_type="tiff", use_in_memory=use_in_memory, **sources, **given)


def test_a_model_is_not_trained_further_on_nan(tiny_config, folder, images):
    careamist = CAREamist(tiny_config(data_type="tiff", num_steps=1))
    careamist.train(train_source=folder(images), use_in_memory=False)
    images[1][0, 0] = np.nan
    for sources in ({"train_source": folder(images)}, {"val_source": folder(images)}):
        sources.setdefault("train_source", folder(images[2:]))
        with pytest.raises(DataError, match=r"01\.tif"):
            careamist.train(use_in_memory=False, **sources)


@pytest.mark.parametrize(
    "others", [("u2", ">i2"), ("f4", "u1"), ("?", "f8"), ("i8", ">f2")]
)
def test_dtypes_of_targets_validation_and_masks_may_differ(tiny_config, others):
    """Batches are those of the same numbers in float64."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 200, (5, 2, 32, 32))
    given, plain = [], []
    for role in drawn:
        pair = [pixels.astype(kind) for pixels, kind in zip(role, others, strict=True)]
        given.append(pair)
        plain.append([pixels.astype("f8") for pixels in pair])
    batches = []
    for image, target, val, val_target, mask in (given, plain):
        module = TrainDataModule(
            tiny_config().data_config,
            image,
            train_data_target=target,
            val_data=val,
            val_data_target=val_target,
            train_mask=mask,
        )
        module.setup()
        both = (module.train_dataset, module.val_dataset)
        batches += [dataset.__getitems__(range(4)) for dataset in both]
    for found, expected in zip(batches[:2], batches[2:], strict=True):
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
