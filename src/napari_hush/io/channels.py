"""Some channels of an image, as an image of its own."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.axes import AxesMap
from napari_hush.errors import DataError
from napari_hush.io.pixels import Bounds, LazyPixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_hush.io.images import Image, Pixels


def select_channels(image: Image, channels: Sequence[int] | None) -> Image:
    """The image with these channels alone, in this order; nothing is read.

    Parameters
    ----------
    image : Image
        In memory or on disk. Without a C axis it is returned as it is: it is one channel,
        whichever.
    channels : sequence of int, optional
        Numbers from 0; None for all.

    Raises
    ------
    DataError
        If the image has no such channel.
    """
    axes, shape = image.axes.axes, image.axes.shape
    if channels is None or "C" not in axes:
        return image
    axis = axes.index("C")
    if max(channels) >= shape[axis]:
        raise DataError(
            f"Channel {max(channels)} was chosen but {image.name} has {shape[axis]} "
            f"channels, numbered from 0; choose among those, or give an image that has it."
        )
    left = AxesMap(axes, (*shape[:axis], len(channels), *shape[axis + 1 :]))
    if image.in_memory:
        run = _run(channels)
        index = (slice(None),) * axis + (list(channels) if run is None else run,)
        return replace(image, data=image.data[index], axes=left)
    return replace(image, data=SelectedChannels(image.data, axis, channels), axes=left)


class SelectedChannels(LazyPixels):
    """The same pixels with some of their channels.

    Parameters
    ----------
    pixels : Pixels
        All channels.
    axis : int
        Which dimension the channels are.
    channels : sequence of int
        Which of them, in which order.
    """

    def __init__(self, pixels: Pixels, axis: int, channels: Sequence[int]) -> None:
        shape = list(pixels.shape)
        shape[axis] = len(channels)
        chunks = getattr(pixels, "chunks", None)
        if chunks is not None:
            # dask gives the sizes of all chunks along an axis.
            sizes = [max(c) if isinstance(c, tuple) else int(c) for c in chunks]
            chunks = [min(pair) for pair in zip(sizes, shape, strict=True)]
        super().__init__(shape, pixels.dtype, chunks)
        self.pixels = pixels
        self._axis = axis
        self._channels = tuple(channels)

    def fingerprint(self) -> str | None:
        """That of the pixels beneath, and the channels."""
        known = self.pixels.fingerprint() if isinstance(self.pixels, LazyPixels) else None
        if known is None:
            return None
        return hashlib.sha256(f"{known} {self._channels}".encode()).hexdigest()

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        chosen = self._channels[slice(*bounds[self._axis])]
        run = _run(chosen)
        index = [slice(*pair) for pair in bounds]
        parts = []
        for part in [run] if run is not None else [slice(c, c + 1) for c in chosen]:
            index[self._axis] = part
            parts.append(np.asarray(self.pixels[tuple(index)]))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, self._axis)


def _run(channels: Sequence[int]) -> slice | None:
    """The channels as one slice, where they follow upon each other."""
    first, last = channels[0], channels[-1]
    return slice(first, last + 1) if list(channels) == [*range(first, last + 1)] else None
