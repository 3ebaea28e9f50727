"""The part of a result of Noise2Void that is better taken from the built-in denoiser.

Let r be the result of a model for the noisy image y, g that of the built-in denoiser, and c
the covariances of their errors with the noise. The combination ``r + a (g - r)`` has the
least error with ``a = (E (y - r) (g - r) - c_g + c_r) / E (g - r)²``. No ground truth is
needed: ``c = E s² dg/dy`` for noise of variance s² (Stein 1981), and the derivative is
measured by denoising again with small random changes (Ramani et al. 2008).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import HushError
from napari_hush.io.frames import middle_frame
from napari_hush.models.built_in import built_in_denoiser
from napari_hush.models.file import BuiltInShare
from napari_hush.prediction.denoiser import Denoiser
from napari_hush.prediction.own_value import (
    denoised,
    has_too_few_pixels,
    sample_config,
    sample_images,
    sample_tiles,
    white_noise,
)
from napari_hush.quality.noise_model import noise_model
from napari_hush.quality.sampling import MOST_PIXELS, read_regions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_hush.config import InferenceConfig
    from napari_hush.io import Image
    from napari_hush.models import Model
    from napari_hush.prediction.tiles import Tile

_CHANGE = 0.1  # of each pixel, in standard deviations of the noise
_PRIOR = 0.01  # of the noise variance: errors of that size pull the share to one half
_LEAST = 0.02  # smaller shares are not worth their time
_HOT = 4.0  # standard deviations of the noise from which pixels may be hot


def fit_built_in_share(model: Model, images: Sequence[Image]) -> BuiltInShare | None:
    """The share of the built-in denoiser in results of a `model` of N2V, from its `images`.

    None if it would not gain, if neighbors share noise, for structN2V and volumes, and if
    the images cannot be read any more.
    """
    method = model.config.algorithm_config
    if not method.takes_built_in_share or has_too_few_pixels(images):
        return None
    try:
        return _fitted(model, images)
    except (HushError, OSError):
        return None


def _fitted(model: Model, images: Sequence[Image]) -> BuiltInShare | None:
    channels = range(model.config.algorithm_config.model.num_classes)
    if not _is_white(images, channels):
        return None
    y = np.stack(_regions(model, images))
    sha256 = built_in_denoiser().provenance.built_in_sha256 or ""
    whole = BuiltInShare((1.0,) * len(channels), sha256)
    noise = noise_model(y, "SCYX")
    steps = [_CHANGE * float(noise.sigma(y[:, c], c).mean()) for c in channels]
    own = _results(model, images, steps)
    other = _results(replace(model, built_in_share=whole), images, steps)
    shares = []
    for c, (r, g) in enumerate(zip(own, other, strict=True)):
        variance = noise.sigma(r.pixels, c) ** 2
        variance *= _white_part(y[:, c], g, variance)
        shares.append(_least_error(y[:, c], r, g, variance))
    return replace(whole, shares=tuple(shares)) if max(shares) >= _LEAST else None


def _is_white(images: Sequence[Image], channels: range) -> bool:
    """Whether neighbors share no noise, measured on as many pixels as `check_data` takes.

    A few tiles can mislead: fine stripes in one of them look like correlated noise.
    """
    sample = sample_images(images)
    found: list[NDArray[Any]] = []
    for image in sample:
        regions = read_regions(image, most=MOST_PIXELS // len(sample))
        found += [one for one in regions if one.shape == (found or regions)[0].shape]
    return all(white_noise(found, channel) is not None for channel in channels)


@dataclass(frozen=True)
class _Result:
    """Results of one channel, and how they respond to a change of the noisy pixels.

    All ``(S, Y, X)``.
    """

    pixels: NDArray[np.float64]
    change: NDArray[np.float64]
    response: NDArray[np.float64]


def _white_part(y: NDArray[Any], g: _Result, variance: NDArray[np.float64]) -> float:
    """How much of the noise `variance` is white noise: 0 to 1.

    Detail as fine as the noise adds to what a noise model measures, up to one half. Here it
    hardly does, because g shows it, too: the products of y and of y - g, both after a
    Laplacian filter, are those of their noise, less what g keeps of it.
    """
    fine_y, fine_change = _fine(y), _fine(g.change)
    kept = np.mean(_fine(g.response) * fine_change) / np.mean(fine_change**2)
    noise = np.mean((fine_y - _fine(g.pixels)) * fine_y) / (1 - kept)
    return float(np.clip(noise / (_OF_WHITE * np.mean(variance)), 0, 1))


def _fine(images: NDArray[Any]) -> NDArray[np.float64]:
    """Differences of pixels from their four neighbors, without those at the border."""
    x = np.asarray(images, dtype=np.float64)
    around = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:]
    result: NDArray[np.float64] = 4 * x[:, 1:-1, 1:-1] - around
    return result


_OF_WHITE = 4**2 + 4
"""Variance of `_fine` of white noise of variance 1."""


def _least_error(
    y: NDArray[Any], r: _Result, g: _Result, variance: NDArray[np.float64]
) -> float:
    """The share of g."""
    limit = _HOT * np.sqrt(variance)
    residual = np.clip(y - r.pixels, -limit, limit)
    difference = g.pixels - r.pixels
    slope = g.response / g.change - r.response / r.change
    prior = _PRIOR * np.mean(variance)
    gain = np.mean(residual * difference) - np.mean(variance * slope) + prior / 2
    return float(np.clip(gain / (np.mean(difference**2) + prior), 0, 1))


def _regions(model: Model, images: Sequence[Image]) -> list[NDArray[Any]]:
    """The pixels ``(C, Y, X)`` of all tiles of the sample, of one shape."""
    found: list[NDArray[Any]] = []
    config = sample_config(model, own_value="auto")
    for image in sample_images(images):
        for tile in sample_tiles(Denoiser(model, image, config), len(images)):
            region = np.asarray(image.samples[tile.sample][(slice(None), *tile.inner)])
            if not found or region.shape == found[0].shape:
                found.append(region)
    return found


def _results(
    model: Model, images: Sequence[Image], steps: Sequence[float]
) -> list[_Result]:
    """Results of the sample by channel, with pixels moved by `steps` for the response."""
    found: list[tuple[NDArray[np.float64], ...]] = []
    config = sample_config(model, own_value="auto")
    for image in sample_images(images):
        plain = Denoiser(model, image, config)
        changed = _Changed(model, image, config, steps)
        for tile in sample_tiles(plain, len(images)):
            result = denoised(plain, tile)
            if not found or result.shape == found[0][0].shape:
                change = changed.change(tile)[(slice(None), *tile.crop)]
                found.append((result, change, denoised(changed, tile) - result))
    parts = (np.stack(part, axis=1) for part in zip(*found, strict=True))
    return [_Result(*channel) for channel in zip(*parts, strict=True)]


class _Changed(Denoiser):
    """Denoises an image whose pixels were moved up or down by `steps`, at random."""

    def __init__(
        self, model: Model, image: Image, config: InferenceConfig, steps: Sequence[float]
    ) -> None:
        super().__init__(model, image, config)
        self._by: NDArray[np.float64] = np.reshape(steps, (-1, 1, 1))

    def change(self, tile: Tile) -> NDArray[np.float64]:
        """Of each pixel ``(C, Y, X)`` of the outer region of `tile`."""
        rng = np.random.default_rng([tile.sample, *(part.start for part in tile.inner)])
        signs: NDArray[np.float64]
        signs = rng.choice([-1.0, 1.0], (self._by.size, *tile.outer_shape))
        return self._by * signs

    def _read(self, group: list[Tile]) -> NDArray[np.floating]:
        inputs = super()._read(group)
        for region, tile in zip(middle_frame(inputs, self._context), group, strict=True):
            region += self.change(tile).astype(inputs.dtype)
        return inputs
