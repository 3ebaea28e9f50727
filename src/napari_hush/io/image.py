"""One image: its pixels in memory or on disk, axes, name and metadata."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.axes import CANONICAL, AxesMap
from napari_hush.boxes import Box, Boxes, box_size
from napari_hush.errors import DataError, HushError, counted
from napari_hush.io.arrays import axes_of, pixels_of
from napari_hush.io.lazy import Bounds, LazyPixels, Pixels, SelectedDimensions, chunk_sizes
from napari_hush.io.metadata import UNNAMED, ImageMetadata, fitting_dimensions
from napari_hush.system.memory import require_memory
from napari_hush.system.optional import require

_AT_ONCE = 2**25
"""Bytes read at once from files without chunks."""


class Sample:
    """Sample `number` ``(C, (Z), Y, X)`` of pixels on disk, S slowest, then T.

    Indexing it with one slice per dimension reads only that region into a numpy array.
    For pixels in memory `AxesMap.samples` returns views instead.
    """

    def __init__(self, pixels: Pixels, axes: AxesMap, number: int) -> None:
        size = dict(zip(axes.axes, axes.shape, strict=True))
        self._pixels = pixels
        self._axes = axes.axes
        s, t = divmod(number, size.get("T", 1))
        self._fixed = {"S": s, "T": t}
        self.shape = axes.canonical_shape[1:]
        self.dtype = np.dtype(pixels.dtype)
        chunks = chunk_sizes(pixels)
        self.chunks: tuple[int, ...] | None = None
        """Shape of a chunk, or None."""
        self._alone = True  # no chunk has pixels of other samples
        if chunks is not None:
            sizes = dict(zip(self._axes, chunks, strict=True))
            self.chunks = tuple(sizes.get(letter, 1) for letter in self._letters)
            self._alone = all(sizes.get(a, 1) == 1 for a in self._fixed)

    def __getitem__(self, key: Box) -> NDArray[Any]:
        return self._region(key, self._pixels.__getitem__)

    def read_block(self, key: Box) -> NDArray[Any]:
        """Read a region that is not read again soon; whole chunks bypass the cache."""
        uncached = getattr(self._pixels, "read_uncached", None)
        if uncached is None or not self._has_whole_chunks(key):
            return self[key]
        return self._region(key, uncached)

    def _has_whole_chunks(self, key: Box) -> bool:
        if self.chunks is None or not self._alone:
            return self.chunks is None
        return all(
            part.start % chunk == 0 and (part.stop % chunk == 0 or part.stop == size)
            for part, chunk, size in zip(key, self.chunks, self.shape, strict=True)
        )

    def _region(self, key: Box, read: Callable[[Any], Any]) -> NDArray[Any]:
        if len(key) != len(self.shape):
            raise IndexError(f"{len(key)} slices for {len(self.shape)} dimensions")
        wanted = dict(
            zip([a for a in CANONICAL[2:] if a in self._letters], key, strict=True)
        )
        index = tuple(wanted.get(a, self._fixed.get(a)) for a in self._axes)
        pixels = np.asarray(read(index))
        left = [a for a in self._axes if a not in self._fixed]
        ordered = pixels.transpose([left.index(a) for a in CANONICAL if a in left])
        return ordered if "C" in self._axes else ordered[None][key[0]]

    @property
    def _letters(self) -> str:
        return "CZYX" if "Z" in self._axes else "CYX"


@dataclass(frozen=True, eq=False)
class Image:
    """Pixels with their axes, name and metadata."""

    data: Any
    """Pixels in the axes of the source; any integer, boolean or real dtype."""
    axes: AxesMap
    """Conversion of these axes to ``(S, C, (Z), Y, X)`` and back."""
    name: str
    """File name, or "the array"; used in messages."""
    path: Path | None = None
    """Its file, if it has one."""
    metadata: ImageMetadata = field(default_factory=ImageMetadata)
    """Known pixel sizes, units, position and channel names."""
    mask: NDArray[np.bool_] | None = None
    """True at masked pixels, of the shape of `data`; None if it is no masked array."""
    dropped: tuple[int, ...] = ()
    """Dimensions of size 1 of an array that `axes` leaves out; its result has them."""
    overridden: str = ""
    """Axes of the source, where those given by the user contradict them."""

    @classmethod
    def from_array(
        cls, array: Any, axes: str, name: str = "the array", *, inherited: bool = False
    ) -> Image:
        """Check axes and dtype, and wrap `array`.

        Dimensions of size 1 that `axes` lacks are left out; axes that are `inherited`
        must agree with those that the array names (`fitting_dimensions`). Masked pixels of
        a masked array are replaced by the mean of the others, per channel. Raises a
        SourceTypeError if `array` is of no known kind, and a DataError if the axes do not
        fit the shape, an axis is empty, or the pixels are not real numbers.
        """
        pixels = pixels_of(array, name)
        if np.dtype(pixels.dtype).kind not in "buif":
            raise DataError(
                f"The pixels of {name} are of type {pixels.dtype}, but only real numbers "
                "can be used; convert them first."
            )
        named = axes_of(array) or UNNAMED * pixels.ndim
        kept, overridden = fitting_dimensions(
            name, named, pixels.shape, axes.upper(), inherited=inherited
        )
        dropped = tuple(n for n in range(pixels.ndim) if n not in kept)
        if dropped and isinstance(pixels, LazyPixels):
            pixels = SelectedDimensions(pixels, kept)
        elif dropped:
            pixels = pixels.squeeze(dropped)
        try:
            fitted = AxesMap(axes, tuple(int(n) for n in pixels.shape))
        except HushError as error:
            raise type(error)(f"In {name}: {error}") from error
        mask = None
        if isinstance(pixels, np.ma.MaskedArray):
            pixels, mask = _without_masked(pixels, fitted.axes)
        return cls(pixels, fitted, name, mask=mask, dropped=dropped, overridden=overridden)

    @property
    def in_memory(self) -> bool:
        """Whether the pixels are in memory."""
        return type(self.data) is np.ndarray

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return math.prod(self.axes.shape) * int(np.dtype(self.data.dtype).itemsize)

    @property
    def samples(self) -> list[Any]:
        """One ``(C, (Z), Y, X)`` per sample: views, or `Sample` for pixels on disk."""
        if self.in_memory:
            return self.axes.samples(self.data)
        number = self.axes.canonical_shape[0]
        return [Sample(self.data, self.axes, n) for n in range(number)]

    def source_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """`shape` of a result with the dimensions of size 1 that the source has."""
        sizes = list(shape)
        more = len(shape) - len(self.axes.shape)  # channels that the source lacks
        for position in self.dropped:
            sizes.insert(position + more, 1)
        return tuple(sizes)

    def like_source(self, result: Any) -> Any:
        """A view of `result`, an array, with these dimensions and the mask of the source.

        Where it has other channels, a pixel masked in any channel is masked in all.
        """
        shape, mask = self.source_shape(result.shape), self.mask
        if mask is None:
            return result.reshape(shape) if self.dropped else result
        if mask.shape != result.shape:
            if "C" in self.axes.axes:
                mask = np.any(mask, self.axes.axes.index("C"), keepdims=True)
            mask = np.broadcast_to(mask, result.shape)
        result, mask = result.reshape(shape), mask.reshape(shape)
        if isinstance(result, np.ndarray):
            return np.ma.array(result, mask=mask.copy())
        array = require("dask.array", "lazy", "A lazy result")
        return array.ma.masked_array(result, array.from_array(mask, result.chunks))

    def loaded(self) -> Image:
        """The image with its pixels in memory; OutOfMemoryError if they do not fit."""
        if self.in_memory:
            return self
        require_memory(
            self.nbytes, f"The pixels of {self.name}", "read a part, or use a smaller image"
        )
        if getattr(self.data, "chunks", None) is not None:
            return replace(self, data=np.asarray(self.data[...]))
        # Plain bytes are read in parts, so that they are never in memory twice.
        pixels = np.empty(self.axes.shape, self.data.dtype)
        size = box_size(self.axes.shape, _AT_ONCE // pixels.itemsize)
        for box in Boxes(self.axes.shape, size):
            pixels[box] = self.data[box]
        return replace(self, data=pixels)


def _without_masked(
    array: np.ma.MaskedArray[Any, Any], axes: str
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Pixels with the mean of the channel where they are masked, and the mask."""
    pixels, mask = np.array(array.data), np.ma.getmaskarray(array)
    by_channel = [
        np.moveaxis(each, axes.index("C"), 0) if "C" in axes else each[None]
        for each in (pixels, mask)
    ]
    for channel, left_out in zip(*by_channel, strict=True):
        valid = channel[~left_out]
        if valid.size and left_out.any():
            with np.errstate(all="ignore"):  # infinite pixels are reported later
                mean = valid.mean(dtype=np.float64)
            channel[left_out] = mean if pixels.dtype.kind == "f" else np.rint(mean)
        elif left_out.any():
            channel[...] = 0
    return pixels, mask


def select_channels(image: Image, channels: Sequence[int] | None) -> Image:
    """The image with these channels, numbers from 0 in this order; nothing is read.

    With None, or without a C axis, it is returned unchanged. Raises a DataError if the
    image lacks a channel.
    """
    axes, shape = image.axes.axes, image.axes.shape
    if channels is None or "C" not in axes:
        return image
    axis = axes.index("C")
    if max(channels) >= shape[axis]:
        raise DataError(
            f"Channel {max(channels)} was chosen but {image.name} has "
            f"{counted(shape[axis], 'channel')}, numbered from 0; choose one of "
            "those, or another image."
        )
    left = AxesMap(axes, (*shape[:axis], len(channels), *shape[axis + 1 :]))
    names = image.metadata.channels
    if len(names) == shape[axis]:
        names = tuple(names[channel] for channel in channels)
        image = replace(image, metadata=replace(image.metadata, channels=names))
    if image.in_memory:
        run = _run(channels)
        index = (slice(None),) * axis + (list(channels) if run is None else run,)
        mask = None if image.mask is None else image.mask[index]
        return replace(image, data=image.data[index], axes=left, mask=mask)
    return replace(image, data=SelectedChannels(image.data, axis, channels), axes=left)


class SelectedChannels(LazyPixels):
    """A selection of the channels of `pixels`, which are along dimension `axis`."""

    def __init__(self, pixels: Pixels, axis: int, channels: Sequence[int]) -> None:
        shape = list(pixels.shape)
        shape[axis] = len(channels)
        chunks = chunk_sizes(pixels)
        if chunks is not None:
            chunks = tuple(min(pair) for pair in zip(chunks, shape, strict=True))
        super().__init__(shape, pixels.dtype, chunks)
        self.pixels = pixels
        self._axis = axis
        self._channels = tuple(channels)

    def fingerprint(self) -> str | None:
        """Fingerprint of all pixels and the channels."""
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
    """The channels as one slice, where they are consecutive."""
    first, last = channels[0], channels[-1]
    return slice(first, last + 1) if list(channels) == [*range(first, last + 1)] else None
