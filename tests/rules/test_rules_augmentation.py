"""R31 to R38: flips, rotations, masking."""

import numpy as np
import pytest
import torch

from napari_hush.config import (
    XYFlipConfig,
    XYRandomRotate90Config,
    create_care_configuration,
    create_n2n_configuration,
)
from napari_hush.errors import ConfigurationError
from napari_hush.lightning.module import HushModule
from napari_hush.models import UNet

FLIP, TURN = XYFlipConfig, XYRandomRotate90Config
SYMMETRIES = {
    (flipped, turns): (lambda p, m=flipped, k=turns: np.rot90(p[:, ::-1] if m else p, k))
    for flipped in (False, True)
    for turns in range(4)
}
NOTHING, FLIP_X, FLIP_Y = (False, 0), (True, 0), (True, 2)


@pytest.fixture
def shares(ready, as_it_is):
    """How often each of the eight symmetries happens to the patches of an image."""

    def count(*transforms, passes=20):
        image = np.random.default_rng(0).random((80, 80)).astype("float32")
        data = ready(
            image, transforms=transforms, val_percentage=0, val_minimum_split=0, **as_it_is
        ).train_dataset
        found = dict.fromkeys(SYMMETRIES, 0)
        (batch,) = data.__getitems__(range(passes * len(data)))
        for number, patch in enumerate(batch[:, 0].numpy()):
            _, y, x = data.windows[number % len(data)]
            original = image[y : y + 16, x : x + 16]
            (which,) = [
                name
                for name, act in SYMMETRIES.items()
                if np.allclose(act(original), patch, atol=1e-5)
            ]
            found[which] += 1
        return {name: n / len(batch) for name, n in found.items() if n}

    return count


def test_r31_patches_are_flipped_along_one_axis_at_a_time(shares):
    found = shares(FLIP())
    assert found.keys() == {NOTHING, FLIP_X, FLIP_Y}
    assert found[NOTHING] == pytest.approx(0.5, abs=0.1)
    assert found[FLIP_X] == pytest.approx(0.25, abs=0.1)


@pytest.mark.parametrize(
    ("flip", "expected"),
    [(FLIP(flip_y=False, p=1), FLIP_X), (FLIP(flip_x=False, p=1), FLIP_Y)],
)
def test_r31_flips_may_be_limited_to_one_axis(shares, flip, expected):
    assert shares(flip, passes=2) == {expected: 1}


def test_r32_patches_are_rotated_by_quarter_turns(shares):
    found = shares(TURN())
    assert found.keys() == {(False, k) for k in range(4)}
    assert found[NOTHING] == pytest.approx(0.5, abs=0.1)


def test_r33_flips_and_rotations_are_independent(shares):
    found = shares(FLIP(), TURN())
    assert found.keys() == SYMMETRIES.keys()
    assert found[NOTHING] == pytest.approx(0.25, abs=0.1)


@pytest.mark.parametrize("transform", [FLIP(p=1), TURN(p=1)])
def test_r33_z_is_never_touched(ready, as_it_is, transform):
    planes = np.broadcast_to(np.arange(16.0)[:, None, None], (16, 32, 32))
    data = ready(
        planes, axes="ZYX", patch_size=(8, 16, 16), transforms=(transform,), **as_it_is
    ).train_dataset
    for index, (_, z, *_) in enumerate(data.windows):
        torch.testing.assert_close(
            data[index][0][0, :, 3, 5], torch.arange(z, z + 8).float()
        )


def test_r33_patches_that_are_not_square_keep_their_shape(ready, noisy):
    data = ready(noisy, patch_size=(16, 24), transforms=(FLIP(p=1), TURN(p=1)))
    assert data.train_dataset[0][0].shape == (1, 16, 24)


def test_r34_without_transforms_patches_are_scaled_and_nothing_else(ready, noisy):
    module = ready(noisy, transforms=())
    (mean,), (std,) = module.get_data_statistics()
    for index, (_, y, x) in enumerate(module.train_dataset.windows):
        (patch,) = module.train_dataset[index]
        expected = (noisy[y : y + 16, x : x + 16] - mean) / std
        np.testing.assert_allclose(patch[0], expected, atol=1e-4)


def test_r34_the_factory_turns_them_off_too(tiny_config):
    assert tiny_config(augmentations=[]).data_config.transforms == ()
    assert len(tiny_config().data_config.transforms) == 2


@pytest.mark.parametrize("own", [False, True])
def test_r35_validation_patches_are_never_augmented(either, numbered, as_it_is, own):
    more = {"val_data": numbered(3)} if own else {}
    transforms = (FLIP(p=1), TURN(p=1))
    data = either(numbered(3), transforms=transforms, **more, **as_it_is).val_dataset
    for number in range(len(data)):
        patch = data[number][0][0]
        assert (patch.diff(dim=1) == 1).all()  # X runs on, as in the image
        assert (patch.diff(dim=0) == 64).all()


def test_r36_every_epoch_draws_anew(either, noisy):
    data = either([noisy] * 3, transforms=(FLIP(), TURN())).train_dataset
    n = len(data)
    passes = [tuple(data._operations(np.full(n, p), np.arange(n))) for p in range(4)]
    assert len(set(passes)) == 4


@pytest.mark.parametrize("axis", ["horizontal", "vertical"])
def test_r37_noise_along_an_axis_is_not_rotated_out_of_the_mask(tiny_config, shares, axis):
    transforms = tiny_config(struct_n2v_axis=axis).data_config.transforms
    found = shares(*transforms)
    assert found.keys() == {(m, k) for m in (False, True) for k in (0, 2)}
    with pytest.raises(ConfigurationError, match=f"does not fit the {axis} struct mask"):
        tiny_config(struct_n2v_axis=axis, augmentations=[FLIP(), TURN()])


@pytest.mark.parametrize("create", [create_care_configuration, create_n2n_configuration])
def test_r38_pairs_are_not_masked(create):
    config = create("pairs", "array", "YX", [16, 16], 2)
    network = UNet(config.algorithm_config.model)
    seen = []
    network.forward = lambda batch: seen.append(batch) or batch
    batch = torch.randn(2, 1, 16, 16)
    HushModule(config, network, 1).loss((batch, batch))
    assert torch.equal(seen[0], batch)


def test_r38_a_dataset_gives_whole_patches(ready, numbered, as_it_is):
    (image,) = numbered(1)
    module = ready(image, **as_it_is)
    for (batch,) in module.train_dataloader():
        assert (batch.diff(dim=-1) == 1).all()


@pytest.mark.parametrize("training", [True, False])
def test_r38_what_the_network_sees_is_masked_last(tiny_config, training):
    config = tiny_config(masked_pixel_percentage=5)
    network = UNet(config.algorithm_config.model)
    seen = []
    network.forward = lambda batch: seen.append(batch) or batch
    batch = torch.arange(2 * 32 * 32.0).reshape(2, 1, 32, 32)
    module = HushModule(config, network, 1)
    if training:
        module.loss((batch,))
    else:
        module.validation_step((batch,), 0)
    assert (seen[0] != batch).float().mean() == pytest.approx(0.05, rel=0.2)


def test_r38_masking_is_no_augmentation(tiny_config):
    masking = tiny_config().algorithm_config.n2v_config
    with pytest.raises(ConfigurationError, match="N2VManipulate"):
        tiny_config(augmentations=[masking])
