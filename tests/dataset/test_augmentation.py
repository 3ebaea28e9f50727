import numpy as np
import pytest
import torch

from napari_hush.config import XYFlipConfig, XYRandomRotate90Config
from napari_hush.dataset import Augmentation

N = 40_000


def shares(augmentation):
    drawn = augmentation.draw(N, np.random.default_rng(0))
    return np.bincount(drawn, minlength=8) / N


def test_operations_are_the_eight_symmetries():
    patch = torch.arange(12.0).reshape(1, 1, 3, 4)[..., :3]
    nothing = Augmentation((), True)
    found = {
        tuple(nothing.apply([patch], np.array([op]))[0].ravel().tolist()) for op in range(8)
    }
    assert len(found) == 8
    torch.testing.assert_close(nothing.apply([patch], np.array([0]))[0], patch)


def test_flips_are_one_axis_at_a_time():
    flips = shares(Augmentation((XYFlipConfig(p=0.5),), True))
    # 0 leaves as it is, 4 mirrors X, 6 mirrors Y: mirror X, then a half turn
    np.testing.assert_allclose(flips[[0, 4, 6]], [0.5, 0.25, 0.25], atol=0.01)
    assert flips[[1, 2, 3, 5, 7]].sum() == 0


def test_mirroring_y_mirrors_y():
    patch = torch.arange(9.0).reshape(1, 1, 3, 3)
    one = Augmentation((XYFlipConfig(flip_x=False, p=1),), True)
    (result,) = one.apply([patch], one.draw(1, np.random.default_rng(0)))
    torch.testing.assert_close(result, patch.flip(-2))


def test_turns():
    turns = shares(Augmentation((XYRandomRotate90Config(p=0.6),), True))
    np.testing.assert_allclose(turns[:4], [0.4, 0.2, 0.2, 0.2], atol=0.01)
    flat = shares(Augmentation((XYRandomRotate90Config(p=0.6),), False))
    np.testing.assert_allclose(flat[[0, 2]], [0.4, 0.6], atol=0.01)


@pytest.mark.parametrize("operation", range(8))
def test_sources_and_targets_move_together_and_z_never(operation):
    batch = torch.arange(2 * 3 * 4 * 4.0).reshape(1, 2, 3, 4, 4)
    a, b = Augmentation((), True).apply([batch, batch * 2], np.array([operation]))
    torch.testing.assert_close(a * 2, b)
    torch.testing.assert_close(a.sum((-1, -2)), batch.sum((-1, -2)))


def test_each_patch_gets_its_own():
    batch = torch.randn(8, 1, 4, 4)
    operations = np.arange(8)
    (result,) = Augmentation((), True).apply([batch], operations)
    for patch, operation, expected in zip(batch, operations, result, strict=True):
        (alone,) = Augmentation((), True).apply([patch[None]], np.array([operation]))
        torch.testing.assert_close(alone[0], expected)
