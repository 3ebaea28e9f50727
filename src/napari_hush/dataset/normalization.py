"""Statistics of the training pixels, and the scaling made from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_hush.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

EPSILON = 1e-6
"""Added to standard deviations, so that no division is by zero."""

_BAND = 1 << 21
"""Pixels turned into float64 at once while measuring."""


@dataclass(frozen=True)
class Normalization:
    """Zero mean and unit variance per channel: ``(x - mean) / (std + 1e-6)``.

    Attributes
    ----------
    means, stds : tuple of float
        One per channel, in the intensities of the source.
    """

    means: tuple[float, ...]
    stds: tuple[float, ...]

    def normalize(self, batch: torch.Tensor) -> torch.Tensor:
        """Scale ``(B, C, *spatial)`` intensities to zero mean, unit variance, float32."""
        mean, scale = self._constants(batch)
        return ((batch - mean) / scale).float()

    def denormalize(self, batch: torch.Tensor) -> torch.Tensor:
        """Exact inverse of `normalize` but for rounding: intensities, float32."""
        mean, scale = self._constants(batch)
        return (batch * scale + mean).float()

    def _constants(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if batch.shape[1] != len(self.means):
            raise DataError(
                f"The image has {batch.shape[1]} channels but the statistics are of "
                f"{len(self.means)}; give images of {len(self.means)} channels."
            )
        shape = (1, -1) + (1,) * (batch.ndim - 2)
        constants = torch.tensor((self.means, self.stds), dtype=torch.float64).to(batch)
        return constants[0].reshape(shape), constants[1].reshape(shape) + EPSILON


def exact_float(dtype: np.dtype[Any]) -> type[np.float32 | np.float64]:
    """The narrowest float that holds every value of `dtype` (64 bit integers nearly)."""
    exact = dtype.itemsize <= (4 if dtype.kind == "f" else 2)
    return np.float32 if exact else np.float64


def require_finite(pixels: NDArray[Any], name: str) -> None:
    """Refuse NaN and infinite pixels.

    Raises
    ------
    DataError
        If there are any, with their number and the image's `name`.
    """
    if pixels.dtype.kind == "f" and (bad := int((~np.isfinite(pixels)).sum())):
        raise DataError(
            f"{bad} or more pixels of {name} are NaN or infinite, which cannot be "
            "computed with; replace them first."
        )


def measure(
    images: Iterable[tuple[NDArray[Any], str]],
    held_out: dict[int, NDArray[np.int64]],
    patch_size: tuple[int, ...],
) -> Normalization:
    """Mean and standard deviation of every channel over the training pixels, exactly.

    One pass in float64, band by band, joined by the parallel update of Chan, Golub and
    LeVeque (1979); large offsets do not cost precision.

    Parameters
    ----------
    images : iterable of (array, name)
        Arrays ``(C, (Z), Y, X)``.
    held_out : dict
        Image number to the corners ``(n, spatial)`` of windows that do not count.
    patch_size : tuple of int
        Size of these windows.

    Raises
    ------
    DataError
        If a pixel is NaN or infinite, or a channel is the same everywhere.
    """
    count: NDArray[np.float64] | float = 0.0
    mean: NDArray[np.float64] | float = 0.0
    squares: NDArray[np.float64] | float = 0.0
    for position, (array, name) in enumerate(images):
        for band in _bands(array, name, held_out.get(position), patch_size):
            values = band.astype(np.float64)
            n = values.shape[1]
            if n == 0:
                continue
            band_mean = values.mean(axis=1)
            band_squares = np.square(values - band_mean[:, None]).sum(axis=1)
            delta = band_mean - mean
            total = count + n
            squares = squares + band_squares + delta**2 * (count * n / total)
            mean = mean + delta * (n / total)
            count = total
    stds = np.sqrt(np.asarray(squares) / count)
    means = np.asarray(mean)
    for channel, (m, s) in enumerate(zip(means, stds, strict=True)):
        if not s > abs(m) * 1e-12:
            which = (
                f"Channel {channel} of the training data"
                if len(means) > 1
                else ("The training data")
            )
            raise DataError(
                f"{which} is {m:g} everywhere, so there is nothing to learn; choose an "
                "image with something in it."
            )
    return Normalization(tuple(means.tolist()), tuple(stds.tolist()))


def _bands(
    array: NDArray[Any],
    name: str,
    corners: NDArray[np.int64] | None,
    patch_size: tuple[int, ...],
) -> Iterator[NDArray[Any]]:
    """Yield training pixels as ``(C, n)``, a band of rows (or planes) at a time."""
    step = max(1, _BAND // math.prod(array.shape[2:]))
    for start in range(0, array.shape[1], step):
        band = array[:, start : start + step]
        require_finite(band, name)
        if corners is None:
            yield band.reshape(band.shape[0], -1)
            continue
        keep = np.ones(band.shape[1:], bool)
        for corner in corners:
            first, last = corner[0] - start, corner[0] - start + patch_size[0]
            inside = tuple(
                slice(c, c + p) for c, p in zip(corner[1:], patch_size[1:], strict=True)
            )
            keep[(slice(max(first, 0), max(last, 0)), *inside)] = False
        yield band[:, keep]
