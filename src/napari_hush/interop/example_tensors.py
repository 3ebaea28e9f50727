"""Test images of a package: part of an image, or simulated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_hush.dataset import require_finite
from napari_hush.interop.torchscript import Denoiser
from napari_hush.prediction import check_suits
from napari_hush.prediction.tiles import Tile, read_tile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_hush.io import Image
    from napari_hush.models import Model

_SIZES = {2: (256, 256), 3: (16, 64, 64)}
"""Sizes ``((Z), Y, X)`` of test images, unless the network needs larger ones."""


def least_sizes(model: Model) -> tuple[int, ...]:
    """The smallest sizes ``((Z), Y, X)`` with a pixel outside of the halo."""
    network = model.network
    return tuple(
        _up(2 * halo + 1, step)
        for halo, step in zip(network.halo, network.multiple, strict=True)
    )


def sample_pair(
    model: Model, image: Image | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A noisy image and its result, both float32 ``(1, C, (Z), Y, X)``.

    The noisy one is the centre of the first sample of `image`, padded by reflection if it
    is too small; by default a noisy pattern with the mean and standard deviation of the
    training data. The result is computed with zero padding, as other programs do.
    """
    dims = len(model.network.multiple)
    sizes = tuple(
        _up(max(pair), step)
        for *pair, step in zip(
            least_sizes(model), _SIZES[dims], model.network.multiple, strict=True
        )
    )
    noisy = _simulated(model, sizes) if image is None else _cut(model, image, sizes)
    with torch.inference_mode():
        clean = Denoiser(model).eval()(torch.from_numpy(noisy[None]))
    return noisy[None], clean.numpy()


def _cut(model: Model, image: Image, sizes: tuple[int, ...]) -> NDArray[np.float32]:
    check_suits(model, image)
    sample = image.samples[0]
    starts = [
        (have - want) // 2 for have, want in zip(sample.shape[1:], sizes, strict=True)
    ]
    outer = tuple((start, start + want) for start, want in zip(starts, sizes, strict=True))
    pixels = read_tile(sample, Tile(0, (), outer))
    require_finite(pixels, image.name)
    return np.ascontiguousarray(pixels, np.float32)


def _simulated(model: Model, sizes: tuple[int, ...]) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    pattern: Any = 0.0
    for axis, grid in enumerate(np.meshgrid(*map(np.arange, sizes), indexing="ij")):
        pattern = pattern + np.sin(grid / (5.0 + 2 * axis))
    pattern = pattern / pattern.std()
    channels = []
    for mean, std in zip(model.normalization.means, model.normalization.stds, strict=True):
        noise = rng.normal(0, 1, sizes)
        channels.append(mean + std * (0.8 * pattern + 0.6 * noise))
    return np.stack(channels).astype(np.float32)


def _up(number: int, step: int) -> int:
    return -(-number // step) * step
