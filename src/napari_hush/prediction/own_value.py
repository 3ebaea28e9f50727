"""The own value of a pixel, which a blind-spot network never sees, given back in part.

Let f be the prediction for a pixel of value y, with the mean squared error e², and s² the
variance of its noise, which neighbors do not share. As f knows nothing of the noise in y,
the combination ``f + w (y - f)`` has the least error with ``w = e² / (e² + s²)``, which is
``1 - s² / E (y - f)²`` (the posterior mean of Laine et al. 2019, of normal noise). Both are
measured on training images, where f is similar.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import avg_pool2d

from napari_hush.config import InferenceConfig
from napari_hush.errors import HushError
from napari_hush.prediction.denoiser import Denoiser
from napari_hush.prediction.tiles import within
from napari_hush.quality.correlation import noise_correlation
from napari_hush.quality.sampling import cut_blocks, rounding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_hush.io import Image
    from napari_hush.models import Curve, Model
    from napari_hush.prediction.tiles import Tile

Item = TypeVar("Item")

FEWEST_PIXELS = 2**15
"""Pixels of a channel from which its noise is known to a few percent."""
NOTHING: Curve = ((0.0, 0.0, 0.0),)
"""Weights of a channel that is left as it is."""
_SAMPLE = 2**18  # pixels that are denoised for the weights
_TILE = {2: (256, 256), 3: (16, 128, 128)}  # in tiles of this size
_MOST_TILES = 64
_CORRELATED = 0.15  # correlation of neighbors' noise from which nothing is given back
_OF_STRUCTURE = 0.03  # correlation that may be due to structure
_UNKNOWN = 0.02  # error of the noise variance
_LEAST = 0.03  # weights below, over all pixels, are within their error
_HOT = 4.0  # standard deviations of the residual from which pixels may be hot
_SHARES = (0.5, 0.8, 0.95)  # quantiles of brightness between which weights are fitted
_AROUND = 7  # side of the local means, in pixels


def fit_own_value(model: Model, images: Sequence[Image]) -> tuple[Curve, ...]:
    """Weights of the own value for a blind-spot `model`, from its training `images`.

    Empty if nothing is to be given back, or the images cannot be read any more.
    """
    is_blind = model.config.algorithm_config.algorithm == "n2v"
    if not is_blind or has_too_few_pixels(images):
        return ()
    try:
        weights = own_weights(*_denoised_sample(model, images))
    except (HushError, OSError):
        return ()
    given = any(weight for curve in weights for _, weight, _ in curve)
    return weights if given else ()


def has_too_few_pixels(images: Sequence[Image]) -> bool:
    """Whether the noise of `images` cannot be known, or there are none to be read again."""
    shapes = [image.axes.canonical_shape for image in images]
    return sum(math.prod(shape) // shape[1] for shape in shapes) < FEWEST_PIXELS


def _denoised_sample(
    model: Model, images: Sequence[Image]
) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Regions of one shape, spread over the images, and their predictions."""
    config = sample_config(model, own_value="off")
    noisy: list[NDArray[Any]] = []
    clean: list[NDArray[Any]] = []
    for image in sample_images(images):
        denoiser = Denoiser(model, image, config)
        for tile in sample_tiles(denoiser, len(images)):
            region = image.samples[tile.sample][(slice(None), *tile.inner)]
            if not noisy or region.shape == noisy[0].shape:
                noisy.append(region)
                clean.append(denoised(denoiser, tile))
    if model.config.algorithm_config.model.conv_dims == 2:
        return [one[:, None] for one in noisy], [one[:, None] for one in clean]
    return noisy, clean


def sample_config(model: Model, own_value: Literal["auto", "off"]) -> InferenceConfig:
    """Settings for predictions on which results of `model` are improved."""
    dims = model.config.algorithm_config.model.conv_dims
    return InferenceConfig(
        axes="ZYX"[-dims:],
        tile_size=_TILE[dims],
        own_value=own_value,
        image_means=model.normalization.means,
        image_stds=model.normalization.stds,
    )


def sample_images(images: Sequence[Image]) -> list[Image]:
    """Some of many images."""
    return _spread(images, _MOST_TILES)


def sample_tiles(denoiser: Denoiser, images: int) -> list[Tile]:
    """Tiles of one size from one of so many `images`."""
    plan = denoiser.plan()
    largest = max(_size(tile) for tile in plan)
    whole = [tile for tile in plan if _size(tile) == largest]
    number = min(_SAMPLE // largest, _MOST_TILES) // min(images, _MOST_TILES)
    return _spread(whole, max(number, 1))


def denoised(denoiser: Denoiser, tile: Tile) -> NDArray[np.float64]:
    """The pixels of `tile`, ``(C, (Z), Y, X)``."""
    shape = [axis.stop - axis.start for axis in tile.inner]
    result = np.empty((denoiser.channels, *shape))
    for part, pixels in denoiser.denoise([tile]):
        result[(slice(None), *within(part.inner, tile.inner))] = pixels
    return result


def _size(tile: Tile) -> int:
    return math.prod(part.stop - part.start for part in tile.inner)


def _spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most `most` items, evenly spread."""
    number = min(most, len(items))
    return [items[(2 * i + 1) * len(items) // (2 * number)] for i in range(number)]


def own_weights(
    noisy: Sequence[NDArray[Any]], clean: Sequence[NDArray[Any]]
) -> tuple[Curve, ...]:
    """Weights of the own value for each channel, at a few intensities.

    `noisy` are regions ``(C, Z, Y, X)`` of one shape, at least 3 pixels along Y and X, and
    `clean` their predictions. All weights of a channel are 0 if its pixels are too few,
    their noise is correlated, or not below the residual.
    """
    return tuple(_curve(noisy, clean, channel) for channel in range(len(noisy[0])))


def _curve(
    noisy: Sequence[NDArray[Any]], clean: Sequence[NDArray[Any]], channel: int
) -> Curve:
    lags = white_noise(noisy, channel)
    if lags is None:
        return NOTHING
    found = [
        _energies(one[channel].astype(np.float64), result[channel], lags)
        for one, result in zip(noisy, clean, strict=True)
    ]
    value, noise, residual = np.concatenate(found, axis=1)
    if noise.mean() > (1 - _LEAST) * residual.mean():
        return NOTHING
    of = np.searchsorted(np.unique(np.quantile(value, _SHARES)), value)
    count = np.bincount(of)
    sums = [np.bincount(of, energy) for energy in (value, noise, residual)]
    return tuple(
        (float(v / n), float(np.clip(1 - s / r, 0, 1)), float(_HOT * np.sqrt(r / n)))
        for n, v, s, r in zip(count, *sums, strict=True)
        if n and r
    )


def white_noise(
    noisy: Sequence[NDArray[Any]], channel: int
) -> tuple[NDArray[Any], ...] | None:
    """Correlation of the noise at lags along Z, Y and X; None if neighbors share noise.

    Also if the pixels of `noisy`, regions ``(C, Z, Y, X)``, are too few to know.
    """
    blocks = cut_blocks(list(noisy), channel)
    correlation = noise_correlation(blocks, rounding(noisy[0].dtype))
    few = sum(region[channel].size for region in noisy) < FEWEST_PIXELS
    if few or correlation is None:
        return None
    lags = (correlation.z, correlation.y, correlation.x)
    is_white = all(abs(one) <= _CORRELATED for along in lags for one in along[1:2])
    return lags if is_white else None


def _energies(
    noisy: NDArray[Any], clean: NDArray[Any], lags: Sequence[NDArray[Any]]
) -> NDArray[Any]:
    """Brightness, noise variance and squared residual of all inner pixels of ``(Z, Y, X)``.

    Brightness is a local mean of the prediction, whose own noise would choose dark pixels.
    The noise is measured by second differences along all axes. The structure in them
    adds to it (Immerkaer 1996). The correlation at `lags` along each axis corrects for what
    they remove of noise that is not quite white.
    """
    factor, filtered, inner = 1.0, noisy, []
    for axis, along in enumerate(lags):
        if noisy.shape[axis] < 3:
            inner.append(slice(None))
            continue
        inner.append(slice(1, -1))
        filtered = np.diff(filtered, n=2, axis=axis)
        one = float(along[1]) if axis else 0.0  # planes are exposed one by one
        factor *= 6 - 8 * np.sign(one) * max(abs(one) - _OF_STRUCTURE, 0)
    noise = (1 + _UNKNOWN) * filtered**2 / factor
    around = torch.from_numpy(np.asarray(clean, dtype=np.float64))[None]
    level = avg_pool2d(around, _AROUND, 1, _AROUND // 2, count_include_pad=False)[0].numpy()
    residual = (noisy - clean) ** 2
    parts = (level[tuple(inner)], noise, residual[tuple(inner)])
    return np.stack([part.ravel() for part in parts])
