"""Training data from layers, which stay on disk if they are there. No Qt here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_hush import io
from napari_hush.io.lazy import Bounds, LazyPixels
from napari_hush.widgets.data.layers import pixel_shape, source_of

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_hush.boxes import Box

LEAST_PIXELS = 512
"""Fewer pixels are hardly worth a training run."""


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Arrays for the engine, all with the axes of the configuration.

    There is at least one noisy array. The other tuples are empty or as long as their
    partner; masks are not zero where to train.
    """

    noisy: tuple[Any, ...]
    target: tuple[Any, ...] = ()
    validation: tuple[Any, ...] = ()
    validation_target: tuple[Any, ...] = ()
    mask: tuple[Any, ...] = ()

    def too_few_pixels(self) -> str:
        """Why there are too few pixels to learn from, in a sentence; or empty."""
        count = sum(math.prod(array.shape) for array in self.noisy)
        if count >= LEAST_PIXELS:
            return ""
        return (
            f"There are only {count:,} pixels to train on, too few for a network to learn "
            "from; use a larger image or part, or more images."
        )

    def sources(self) -> dict[str, Any]:
        """Arguments of `TrainDataModule`: one array, a list, or None."""
        names = {
            "train_data": self.noisy,
            "train_data_target": self.target,
            "val_data": self.validation,
            "val_data_target": self.validation_target,
            "train_mask": self.mask,
        }
        return {name: _one_or_list(arrays) for name, arrays in names.items()}


def cut(array: Any, window: Box) -> Any:
    """The part of `array` inside `window`, without reading it.

    `window` has a slice with start and stop per dimension, within the shape.
    """
    whole = all(
        part == slice(0, int(size)) for part, size in zip(window, array.shape, strict=True)
    )
    if whole:
        return array
    if isinstance(array, np.ndarray) or type(array).__module__.startswith("dask."):
        return array[window]
    return Window(io.pixels_of(array), window)


class Window(LazyPixels):
    """The part `window` of `pixels`, read on demand."""

    def __init__(self, pixels: Any, window: Sequence[slice]) -> None:
        super().__init__([part.stop - part.start for part in window], pixels.dtype)
        self._pixels = pixels
        self._starts = tuple(part.start for part in window)

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        key = tuple(
            slice(start + low, start + high)
            for start, (low, high) in zip(self._starts, bounds, strict=True)
        )
        return np.array(self._pixels[key])


def whole_of(layer: Image) -> Any:
    """The pixels of a layer, unread, without alpha and at full resolution."""
    return cut(source_of(layer), tuple(slice(0, size) for size in pixel_shape(layer)))


def _one_or_list(arrays: tuple[Any, ...]) -> Any:
    if not arrays:
        return None
    return arrays[0] if len(arrays) == 1 else list(arrays)
