"""Two images as one array-like, computed for the slice that napari displays. No Qt here.

Comparing volumes on disk thus reads one plane of each.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_hush.errors import HushError
from napari_hush.widgets.results.canvas import as_type

if TYPE_CHECKING:
    from napari.layers import Image

SAMPLED = 2**17
"""Pixels of a slice on which noise and gain are measured."""
Tone = tuple[float, float]
SAME_TONE: Tone = (1.0, 0.0)
"""A gain and an offset that change nothing."""


class _Pair:
    """Base class: two array-likes of the same shape, and the slice that was read last."""

    def __init__(self, before: Any, after: Any) -> None:
        if tuple(before.shape) != tuple(after.shape):
            raise ValueError(f"the shapes {before.shape} and {after.shape} differ")
        self._before = before
        self._after = after
        self._read: dict[bool, tuple[Any, NDArray[Any]]] = {}
        self.shape = tuple(int(size) for size in before.shape)
        self.ndim = len(self.shape)
        self.dtype = np.dtype(np.float32)

    def forget(self) -> None:
        """Read again, since pixels have changed."""
        self._read.clear()

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        return np.asarray(self[(slice(None),) * self.ndim], dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        raise NotImplementedError

    def _pixels(self, key: Any, *, after: bool) -> NDArray[Any]:
        """``before[key]`` or ``after[key]``, reading each slice from disk once."""
        source = self._after if after else self._before
        if isinstance(source, np.ndarray):
            return np.asarray(source[key])
        last = self._read.get(after)
        if last is None or repr(last[0]) != repr(key):
            last = (key, np.asarray(source[key]))
            self._read[after] = last
        return last[1]


class Swiped(_Pair):
    """`before` for the first `split` pixels along `axis`, `after` for the rest.

    `axis`, `split` and `tone` may be set at any time. `tone` is a gain and an offset for
    the gray values of `after`.
    """

    def __init__(self, before: Any, after: Any, axis: int, split: int) -> None:
        super().__init__(before, after)
        self.axis = axis
        self.split = split
        self.tone = SAME_TONE
        if before.dtype == after.dtype:
            self.dtype = np.dtype(before.dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        key = _whole_key(key, self.ndim)
        along = key[self.axis]
        if not isinstance(along, slice):
            behind = operator.index(along) % self.shape[self.axis] >= self.split
            return self._side(key, after=behind).astype(self.dtype, copy=False)
        first, last, step = along.indices(self.shape[self.axis])
        places = np.arange(first, last, step)
        before = int(np.count_nonzero(places < self.split))
        if step < 0 or before == 0:
            shown = self._side(key, after=True).astype(self.dtype)
            if step < 0:
                self._fill(shown, key, places < self.split)
            return shown
        if before == len(places):
            return self._side(key, after=False).astype(self.dtype)
        shown = self._side(key, after=True).astype(self.dtype)
        self._fill(shown, key, slice(0, before))
        return shown

    def _side(self, key: Any, *, after: bool) -> NDArray[Any]:
        pixels = self._pixels(key, after=after)
        if not after or self.tone == SAME_TONE:
            return pixels
        gain, offset = np.array(self.tone, np.result_type(self.dtype, np.float32))
        return as_type(pixels * gain + offset, self.dtype, unit=False)

    def _fill(self, shown: NDArray[Any], key: tuple[Any, ...], where: Any) -> None:
        axis = sum(isinstance(part, slice) for part in key[: self.axis])
        place = (slice(None),) * axis + (where,)
        shown[place] = self._side(key, after=False)[place]


class SameContrast:
    """Shows both layers of `pixels` as with their own contrast limits, in one picture."""

    def __init__(
        self, before: Image, after: Image, pixels: Swiped, redraw: Callable[[], None]
    ) -> None:
        self._layers: tuple[Image, ...] = () if before.rgb else (before, after)
        self._pixels, self._redraw = pixels, redraw
        self.picture: Any = None
        """Layer that shows the pixels; it follows the contrast limits of `before`."""
        for layer in self._layers:
            layer.events.contrast_limits.connect(self._follow)
            self._pixels.tone = self._tone()

    def close(self) -> None:
        """Follow no longer."""
        for layer in self._layers:
            layer.events.contrast_limits.disconnect(self._follow)

    def _tone(self) -> Tone:
        (low, high), (first, last) = (layer.contrast_limits for layer in self._layers)
        if (low, high) == (first, last):
            return SAME_TONE
        gain = (high - low) / (last - first)
        return gain, low - gain * first

    def _follow(self, event: Any = None) -> None:
        self.picture.contrast_limits = self._layers[0].contrast_limits
        if (tone := self._tone()) != self._pixels.tone:
            self._pixels.tone = tone
            self._redraw()


class Residual(_Pair):
    """`before` minus `after` in units of the local noise, in float32.

    The noise of each slice is measured when it is read. With `fit_gain`, gain and offset of
    `after` are fitted first. With `rgb`, the last axis is averaged.
    """

    def __init__(
        self, before: Any, after: Any, *, rgb: bool = False, fit_gain: bool = False
    ) -> None:
        super().__init__(before, after)
        self._rgb, self._fit_gain = rgb, fit_gain
        self._last: tuple[str, NDArray[Any]] | None = None
        if rgb:
            self.shape = self.shape[:-1]
            self.ndim -= 1

    def forget(self) -> None:
        super().forget()
        self._last = None

    def __getitem__(self, key: Any) -> NDArray[Any]:
        key = _whole_key(key, self.ndim)
        if self._last is None or self._last[0] != repr(key):
            self._last = repr(key), self._computed(key)
        return self._last[1]

    def _computed(self, key: tuple[Any, ...]) -> NDArray[Any]:
        if self._rgb:
            key = (*key, slice(0, 3))
        before, after = (self._pixels(key, after=side) for side in (False, True))
        if self._rgb:
            before, after = before.mean(axis=-1), after.mean(axis=-1)
        return residual_in_noise(before, after, fit_gain=self._fit_gain)


def residual_in_noise(
    noisy: NDArray[Any], clean: NDArray[Any], *, fit_gain: bool
) -> NDArray[np.float32]:
    """The residual of a slice, of any number of dimensions, in units of its local noise.

    In units of its spread where the noise cannot be measured, as in small slices.
    """
    from napari_hush.quality import match_gain, noise_model, normalized_residual

    gain, offset = 1.0, 0.0
    try:
        if fit_gain:
            step = (slice(None, None, -(-clean.size // SAMPLED)),)
            gain, offset = match_gain(clean.ravel()[step], noisy.ravel()[step])
        planes = noisy.reshape(-1, *noisy.shape[-2:])
        model = noise_model(planes, "TYX", most_pixels=SAMPLED)
        return normalized_residual(noisy, clean, model, gain=gain, offset=offset)
    except (HushError, ValueError):  # scalars have no planes
        residual = np.asarray(noisy - (gain * clean.astype(np.float64) + offset))
        spread = 1.4826 * float(np.nanmedian(np.abs(residual - np.nanmedian(residual))))
        return (residual / (spread or 1)).astype(np.float32)


def _whole_key(key: Any, ndim: int) -> tuple[Any, ...]:
    """`key` with one part per axis."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [slice(None)] * (ndim - len(parts) + 1)
    return (*parts, *[slice(None)] * (ndim - len(parts)))
