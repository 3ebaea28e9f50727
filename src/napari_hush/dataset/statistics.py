"""Statistics of the training pixels, in one pass, a block at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_hush.dataset.patches import Windows

_REGION = 1 << 21
"""Pixels turned into float64 at once."""

_SKETCH = 1 << 20
"""Values per channel kept for the quantiles of pixels other than 8 and 16 bit integers."""


@dataclass(eq=False)
class Statistics:
    """What one pass over the training pixels tells, per channel.

    Mean and variance are joined by the parallel update of Chan, Golub and LeVeque (1979)
    in float64, so that large offsets do not cost precision. Quantiles are exact for 8 and
    16 bit integers, counted in a histogram; of other types every n-th value is kept, n
    growing so that about a million are.
    """

    count: int = 0
    mean: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    squares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    minimum: NDArray[np.float64] = field(default_factory=lambda: np.full(1, np.inf))
    maximum: NDArray[np.float64] = field(default_factory=lambda: np.full(1, -np.inf))
    _values: list[NDArray[np.float64]] = field(default_factory=list)
    _counts: NDArray[np.int64] | None = None
    _lowest: int = 0
    _stride: int = 1

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation, over all pixels (ddof 0)."""
        return np.sqrt(self.squares / self.count)

    def add(self, pixels: NDArray[Any]) -> None:
        """Take in pixels ``(C, n)``."""
        n = pixels.shape[1]
        if n == 0:
            return
        values = pixels.astype(np.float64)
        mean = values.mean(axis=1)
        squares = np.square(values - mean[:, None]).sum(axis=1)
        delta = mean - self.mean
        total = self.count + n
        self.squares = self.squares + squares + delta**2 * (self.count * n / total)
        self.mean = self.mean + delta * (n / total)
        self.minimum = np.minimum(self.minimum, values.min(axis=1))
        self.maximum = np.maximum(self.maximum, values.max(axis=1))
        self._sketch(pixels, values)
        self.count = total

    def quantiles(self, *shares: float) -> NDArray[np.float64]:
        """Quantiles ``(len(shares), C)``."""
        if self._counts is None:
            return np.quantile(np.concatenate(self._values, axis=1), shares, axis=1)
        below = self._counts.cumsum(axis=1)
        rows = [
            np.searchsorted(total, np.asarray(shares) * (self.count - 1), side="right")
            for total in below
        ]
        return (np.stack(rows, axis=1) + self._lowest).astype(np.float64)

    def _sketch(self, pixels: NDArray[Any], values: NDArray[np.float64]) -> None:
        if pixels.dtype.itemsize <= 2 and pixels.dtype.kind in "ui":
            if self._counts is None:
                self._lowest = int(np.iinfo(pixels.dtype).min)
                self._counts = np.zeros(
                    (len(pixels), 1 << 8 * pixels.dtype.itemsize), np.int64
                )
            for counts, channel in zip(self._counts, pixels, strict=True):
                shifted = channel.astype(np.int32) - self._lowest
                counts += np.bincount(shifted, minlength=len(counts))
            return
        first = -self.count % self._stride
        self._values.append(values[:, first :: self._stride])
        if sum(part.shape[1] for part in self._values) > 2 * _SKETCH:
            self._values = [np.concatenate(self._values, axis=1)[:, ::2]]
            self._stride *= 2


def measure(
    samples: Sequence[Any],
    names: Sequence[str],
    held_out: dict[int, Windows],
    patch_size: tuple[int, ...],
) -> Statistics:
    """Statistics over all pixels of `samples` but those of held-out windows.

    Parameters
    ----------
    samples : sequence
        Arrays ``(C, (Z), Y, X)``, or what reads as such region by region.
    names : sequence of str
        What messages call them.
    held_out : dict
        Number of a sample to the corners ``(n, spatial)`` of windows that do not count.
    patch_size : tuple of int
        Size ``((Z), Y, X)`` of these windows.

    Raises
    ------
    DataError
        If a pixel is NaN or infinite, in held-out windows too.
    """
    found = Statistics()
    for number, (sample, name) in enumerate(zip(samples, names, strict=True)):
        corners = held_out.get(number)
        for region in regions(sample):
            pixels = np.asarray(sample[(slice(0, sample.shape[0]), *region)])
            require_finite(pixels, name)
            if corners is None:
                found.add(pixels.reshape(len(pixels), -1))
            else:
                found.add(pixels[:, _outside(region, corners, patch_size)])
    return found


def regions(sample: Any) -> Iterator[tuple[slice, ...]]:
    """Cut ``((Z), Y, X)`` into regions that do not overlap and follow stored pieces."""
    spatial = sample.shape[1:]
    stored = getattr(sample, "chunks", None)
    pieces = (1,) * len(spatial) if stored is None else stored[1:]
    size = list(pieces)
    for axis in reversed(range(len(size))):
        others = math.prod(size) // size[axis]
        rows = max(size[axis], _REGION // others // pieces[axis] * pieces[axis])
        size[axis] = min(spatial[axis], rows)
    counts = [-(-n // s) for n, s in zip(spatial, size, strict=True)]
    for index in np.ndindex(*counts):
        yield tuple(
            slice(i * s, min((i + 1) * s, n))
            for i, s, n in zip(index, size, spatial, strict=True)
        )


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


def _outside(
    region: tuple[slice, ...], corners: Windows, patch_size: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Which pixels of a region lie in none of the windows at `corners`."""
    origin = np.array([part.start for part in region])
    end = np.array([part.stop for part in region])
    keep = np.ones(tuple(end - origin), bool)
    meets = ((corners < end) & (corners + patch_size > origin)).all(axis=1)
    for corner in corners[meets] - origin:
        keep[
            tuple(
                slice(max(int(c), 0), int(c) + p)
                for c, p in zip(corner, patch_size, strict=True)
            )
        ] = False
    return keep
