"""The array behind a result layer, which clears tile by tile while the engine works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.axes import AxesMap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["Canvas", "as_type"]


class Canvas:
    """What the result layer shows, and where the engine writes.

    Both are one float32 array, which starts as the source, so that the clean picture
    spreads over the noisy one. They are two where the result is to have the type of the
    source, as colour images must: then finished tiles are rounded into it.

    Parameters
    ----------
    source : NDArray
        The noisy pixels, with alpha if there is one.
    axes : str
        Axes of `out`.
    rgb : bool
        Whether the last axis holds colours.
    keep_type : bool
        Whether the result is of the source's type instead of float32.

    Attributes
    ----------
    shown : NDArray
        Data for the layer, of the source's shape: float32, or the source's type if RGB.
    out : NDArray[np.float32]
        Where the engine writes, of the source's shape without alpha.
    """

    def __init__(
        self, source: NDArray[Any], axes: str, *, rgb: bool, keep_type: bool = False
    ) -> None:
        self._rgb = rgb
        self._two = rgb or (keep_type and source.dtype != np.float32)
        if rgb:
            self.shown: NDArray[Any] = np.array(source)
            self.out = source[..., :3].astype(np.float32)
        elif self._two:
            self.shown, self.out = source.copy(), source.astype(np.float32)
        else:
            self.shown = self.out = source.astype(np.float32)
        self._map = AxesMap(axes, self.out.shape)

    def show(self, regions: Iterable[tuple[slice, ...]]) -> None:
        """Let finished tiles be seen; `regions` are places in ``(S, C, (Z), Y, X)``."""
        if not self._two:
            return
        colours = self.shown[..., :3] if self._rgb else self.shown
        targets, results = self._map.samples(colours), self._map.samples(self.out)
        for sample, *part in regions:
            for number in range(sample.start, sample.stop):
                clean = results[number][tuple(part)]
                shown = targets[number]
                shown[tuple(part)] = as_type(clean, colours.dtype, unit=self._rgb)


def as_type(
    values: NDArray[Any], dtype: np.dtype[Any], *, unit: bool = True
) -> NDArray[Any]:
    """`values` in the range of `dtype`, rounded if it is one of integers.

    Colours of a floating point type lie between 0 and 1; that is what `unit` is for.
    """
    if np.issubdtype(dtype, np.floating) and not unit:
        return values.astype(dtype)
    low, high = 0.0, 1.0
    if np.issubdtype(dtype, np.integer):
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        values = np.rint(values)
    fitted: NDArray[Any] = np.clip(values, low, high).astype(dtype)
    return fitted
