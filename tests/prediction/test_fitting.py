"""Where memory runs out, smaller pieces are denoised, and the result is the same."""

import numpy as np
import pytest
import torch

from napari_hush import CAREamist
from napari_hush.errors import OutOfMemoryError
from napari_hush.models import UNet
from napari_hush.prediction import plan_tiles
from napari_hush.prediction.denoiser import MemoryLimit
from napari_hush.prediction.tiles import Tile, halved


@pytest.fixture
def small_device(monkeypatch):
    """Have networks fail as a GPU does, for more than some pixels at once."""
    tried = []
    forward = UNet.forward

    def limited(pixels, message="CUDA out of memory"):
        def fail_or_go_on(self, x, margin=0):
            tried.append(x.numel())
            if x.numel() > pixels:
                raise torch.OutOfMemoryError(message)
            return forward(self, x, margin)

        monkeypatch.setattr(UNet, "forward", fail_or_go_on)
        return tried

    return limited


@pytest.fixture
def careamist(tiny_config, noisy):
    careamist = CAREamist(tiny_config(num_steps=2))
    careamist.train(train_source=noisy)
    return careamist


def test_smaller_tiles_give_the_same_result(careamist, small_device):
    image = np.random.default_rng(1).normal(100, 20, (150, 201)).astype(np.float32)
    whole = careamist.predict(image)
    tried = small_device(110 * 110)
    pieces = careamist.predict(image)
    np.testing.assert_allclose(pieces, whole, rtol=1e-5)
    assert len(tried) > 4


def test_what_fitted_is_remembered(careamist, small_device):
    image = np.zeros((512, 512), np.float32)
    tried = small_device(110 * 110)
    careamist.predict(image, tile_size=[128, 128])
    failed = [pixels for pixels in tried if pixels > 110 * 110]
    assert len(failed) < 4
    assert len(tried) > 16


def test_a_batch_of_tiles_is_shared_out_before_tiles_are_cut(careamist, small_device):
    image = np.zeros((256, 256), np.float32)
    one_tile = (64 + 2 * 26 + 4) ** 2
    tried = small_device(2 * one_tile)
    careamist.predict(image, tile_size=[64, 64], batch_size=8)
    assert min(tried) > one_tile / 2


def test_a_device_that_is_full_is_told_in_one_sentence(careamist, small_device):
    small_device(10)
    with pytest.raises(OutOfMemoryError, match="Not even a tile"):
        careamist.predict(np.zeros((64, 64), np.float32))


def test_other_errors_are_passed_on(careamist, monkeypatch):
    def broken(self, x, margin=0):
        raise RuntimeError("a kernel failed")

    monkeypatch.setattr(UNet, "forward", broken)
    with pytest.raises(RuntimeError, match="a kernel failed"):
        careamist.predict(np.zeros((64, 64), np.float32))


@pytest.mark.parametrize("shape", [(1, 1, 37, 64), (1, 1, 5, 40, 33)])
def test_halves_cover_their_tile_once_and_keep_to_the_grid(shape):
    axes = len(shape) - 2
    halo, multiple = (6,) * axes, (4,) * axes
    for tile in plan_tiles(shape, halo, multiple, (32,) * axes):
        covered = np.zeros(shape[2:], int)
        parts = [tile]
        while parts:
            part = parts.pop()
            pieces = halved(part, halo, multiple)
            if pieces is None:
                covered[part.inner] += 1
            else:
                parts += pieces
            for (first, last), inner in zip(part.outer, part.inner, strict=True):
                assert first % 4 == 0
                assert first <= inner.start
                assert last >= inner.stop
        wanted = np.zeros(shape[2:], int)
        wanted[tile.inner] = 1
        np.testing.assert_array_equal(covered, wanted)


def test_a_thin_tile_of_few_pixels_is_tried_whole_after_a_square_one_failed():
    tried = []

    def compute(group):
        tried.append([tile.outer_shape for tile in group])
        if sum(rows * columns for rows, columns in tried[-1]) > 5000:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return group

    def tile(rows, columns):
        return Tile(0, (slice(0, rows), slice(0, columns)), ((0, rows), (0, columns)))

    limit = MemoryLimit(halo=(0, 0), multiple=(4, 4))
    assert len(list(limit.apply(compute, [tile(100, 100)]))) > 1
    tried.clear()
    assert len(list(limit.apply(compute, [tile(12, 300)]))) == 1
    assert tried == [[(12, 300)]]


def test_a_tile_is_cut_where_it_can_be_though_that_is_not_its_longest_side():
    """A step along Y and X is as long as the tile; along Z there are twelve planes."""
    inner = (slice(0, 12), slice(0, 16), slice(0, 16))
    tile = Tile(0, inner, ((0, 12), (-16, 32), (-16, 32)))
    lower, upper = halved(tile, (4, 10, 10), (1, 16, 16))
    assert (lower.inner[0], upper.inner[0]) == (slice(0, 6), slice(6, 12))
    assert (lower.outer[0], upper.outer[0]) == ((0, 10), (2, 12))
    assert lower.inner[1:] == upper.inner[1:] == inner[1:]
