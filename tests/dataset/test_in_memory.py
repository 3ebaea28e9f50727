import numpy as np
import pytest
import torch

from napari_hush.config import XYFlipConfig, XYRandomRotate90Config
from napari_hush.dataset import Augmentation, InMemoryDataset, patch_plan
from napari_hush.models.normalization import Normalization

RAW = Normalization((0.0,), (1.0,))
ALL = Augmentation((XYFlipConfig(), XYRandomRotate90Config()), True)


def dataset(image, augmentation=None, seed=0, normalization=RAW):
    windows = patch_plan.grid([image.shape], (8, 8))
    return InMemoryDataset([image], windows, (8, 8), normalization, augmentation, seed)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 60_000, (1, 33, 40)).astype("uint16")


def test_patches_are_the_windows_of_the_image(image):
    data = dataset(image)
    assert len(data) == 25
    for index, (_, y, x) in enumerate(data.windows):
        (patch,) = data[index]
        assert patch.dtype == torch.float32
        np.testing.assert_allclose(patch[0], image[0, y : y + 8, x : x + 8], rtol=1e-6)


def test_one_index_and_a_batch_are_the_same_code(image):
    data = dataset(image, ALL)
    (batch,) = data.__getitems__([3, 1, 4])
    assert batch.shape == (3, 1, 8, 8)
    for patch, index in zip(batch, [3, 1, 4], strict=True):
        torch.testing.assert_close(patch, data[index][0])


def test_draws_depend_on_seed_pass_and_patch_alone(image):
    indices = list(range(25)) + list(range(25, 50))
    (once,) = dataset(image, ALL).__getitems__(indices)
    again = dataset(image, ALL)
    for index in reversed(indices):
        torch.testing.assert_close(again.__getitems__([index])[0][0], once[index])
    assert not torch.equal(once[:25], once[25:])
    (other,) = dataset(image, ALL, seed=1).__getitems__(indices)
    assert not torch.equal(other, once)


def test_indices_out_of_range(image):
    with pytest.raises(IndexError):
        dataset(image)[25]
    torch.testing.assert_close(dataset(image)[-1][0], dataset(image)[24][0])


def test_wide_integers_are_exact():
    image = np.random.default_rng(0).integers(3_000_000_000, 3_000_000_100, (1, 8, 8))
    image = image.astype("uint32")
    scaling = Normalization((3e9,), (1.0,))
    (patch,) = dataset(image, normalization=scaling)[0]
    np.testing.assert_allclose(patch[0], image[0].astype(float) - 3e9, atol=1e-4)


def test_statistics_are_reported(image):
    assert dataset(image).get_data_statistics() == ([0.0], [1.0])
