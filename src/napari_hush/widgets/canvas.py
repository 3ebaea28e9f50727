"""The array behind a result layer, which clears tile by tile while the engine works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.axes import AxesMap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["Canvas"]


class Canvas:
    """What the result layer shows, and where the engine writes.

    Both are one float32 array, which starts as the source, so that the clean picture
    spreads over the noisy one. Only colour images need two: napari shows them in the
    type they came in, so finished tiles are rounded into it.

    Attributes
    ----------
    shown : NDArray
        Data for the layer, of the source's shape: float32, or the source's type if RGB.
    out : NDArray[np.float32]
        Where the engine writes, of the source's shape without alpha.
    """

    def __init__(self, source: NDArray[Any], axes: str, *, rgb: bool) -> None:
        self._rgb = rgb
        if rgb:
            self.shown: NDArray[Any] = np.array(source)
            self.out = source[..., :3].astype(np.float32)
        else:
            self.shown = self.out = source.astype(np.float32)
        self._map = AxesMap(axes, self.out.shape)

    def show(self, regions: Iterable[tuple[slice, ...]]) -> None:
        """Let finished tiles be seen; `regions` are places in ``(S, C, (Z), Y, X)``."""
        if not self._rgb:
            return
        colours = self.shown[..., :3]
        target, result = self._map.to_canonical(colours), self._map.to_canonical(self.out)
        if np.shares_memory(target, colours):
            for region in regions:
                target[region] = _as_type(result[region], colours.dtype)
        else:
            colours[...] = _as_type(self.out, colours.dtype)


def _as_type(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    low, high = 0.0, 1.0
    if np.issubdtype(dtype, np.integer):
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        values = np.rint(values)
    fitted: NDArray[Any] = np.clip(values, low, high).astype(dtype)
    return fitted
