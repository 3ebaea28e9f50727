import numpy as np
import pytest

from napari_hush.config import XYFlipConfig, XYRandomRotate90Config
from napari_hush.dataset import Augmentation
from napari_hush.dataset.augmentation import _after, transformed

N = 40_000


def shares(augmentation):
    drawn = augmentation.draw(N, np.random.default_rng(0))
    return np.bincount(drawn, minlength=8) / N


def test_operations_are_the_eight_symmetries():
    patch = np.arange(9).reshape(3, 3)
    assert len({transformed(patch, op).tobytes() for op in range(8)}) == 8
    for turns in range(4):
        np.testing.assert_array_equal(transformed(patch, turns), np.rot90(patch, turns))
        flipped = np.rot90(patch[:, ::-1], turns)
        np.testing.assert_array_equal(transformed(patch, 4 + turns), flipped)


def test_flips_are_one_axis_at_a_time():
    flips = shares(Augmentation((XYFlipConfig(p=0.5),), True))
    # 0 leaves as it is, 4 mirrors X, 6 mirrors Y: mirror X, then a half turn
    np.testing.assert_allclose(flips[[0, 4, 6]], [0.5, 0.25, 0.25], atol=0.01)
    assert flips[[1, 2, 3, 5, 7]].sum() == 0


def test_mirroring_y_mirrors_y():
    one = Augmentation((XYFlipConfig(flip_x=False, p=1),), True)
    (operation,) = one.draw(1, np.random.default_rng(0))
    patch = np.arange(9).reshape(3, 3)
    np.testing.assert_array_equal(transformed(patch, operation), patch[::-1])


def test_one_after_the_other_is_one_of_them():
    patch = np.arange(9).reshape(3, 3)
    first, second = np.divmod(np.arange(64), 8)
    for one, two, both in zip(first, second, _after(second, first), strict=True):
        np.testing.assert_array_equal(
            transformed(transformed(patch, one), two), transformed(patch, both)
        )


def test_turns():
    turns = shares(Augmentation((XYRandomRotate90Config(p=0.6),), True))
    np.testing.assert_allclose(turns[:4], [0.4, 0.2, 0.2, 0.2], atol=0.01)
    flat = shares(Augmentation((XYRandomRotate90Config(p=0.6),), False))
    np.testing.assert_allclose(flat[[0, 2]], [0.4, 0.6], atol=0.01)


@pytest.mark.parametrize("operation", range(8))
def test_z_and_channels_are_never_touched(operation):
    patch = np.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
    result = transformed(patch, operation)
    np.testing.assert_array_equal(result.sum((-1, -2)), patch.sum((-1, -2)))
    assert result.base is not None  # a view
