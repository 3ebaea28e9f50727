"""One image and what is known of it, wherever its pixels live."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from napari_hush.axes import CANONICAL, AxesMap
from napari_hush.boxes import Box, Boxes, box_size
from napari_hush.errors import DataError, HushError
from napari_hush.io.lazy import Bounds, LazyPixels
from napari_hush.io.metadata import ImageMetadata
from napari_hush.system.memory import require_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_AT_ONCE = 2**25
"""Bytes read at once from files that can be read bit by bit."""


@runtime_checkable
class Pixels(Protocol):
    """Pixels that may still be on disk: what an array knows of itself, and reading.

    numpy, zarr and dask arrays are all of this kind.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each dimension."""

    @property
    def dtype(self) -> Any:
        """Type of one pixel, as numpy names it."""

    def __getitem__(self, key: Any, /) -> Any:
        """Pixels of an index of integers and slices, as something numpy can turn."""


class Sample:
    """One sample ``(C, (Z), Y, X)`` of pixels that may still be on disk.

    Indexing it with one slice per dimension reads that region, and no more, into a numpy
    array. For pixels in memory `AxesMap.samples` gives plain views instead.

    Parameters
    ----------
    pixels : Pixels
        Pixels in their own axes.
    axes : AxesMap
        Their axes.
    number : int
        Which sample, S slowest, then T.
    """

    def __init__(self, pixels: Pixels, axes: AxesMap, number: int) -> None:
        size = dict(zip(axes.axes, axes.shape, strict=True))
        self._pixels = pixels
        self._axes = axes.axes
        s, t = divmod(number, size.get("T", 1))
        self._fixed = {"S": s, "T": t}
        self.shape = axes.canonical_shape[1:]
        self.dtype = np.dtype(pixels.dtype)
        chunks = getattr(pixels, "chunks", None)
        self.chunks = None if chunks is None else self._canonical_chunks(chunks)
        """Shape of the pieces it is stored in, or None."""
        # Whether no piece holds pixels of other samples as well.
        self._alone = chunks is None or all(
            size == 1
            for a, size in zip(self._axes, _sizes(chunks), strict=True)
            if a in self._fixed
        )

    def __getitem__(self, key: Box) -> NDArray[Any]:
        return self._region(key, self._pixels.__getitem__)

    def read_block(self, key: Box) -> NDArray[Any]:
        """Read a region that is not asked for again soon.

        Where it is made of whole stored pieces, they go past the cache of chunks, which
        then neither grows nor loses what others keep there.
        """
        past = getattr(self._pixels, "read_past", None)
        if past is None or not self._holds_whole_pieces(key):
            return self[key]
        return self._region(key, past)

    def _holds_whole_pieces(self, key: Box) -> bool:
        if self.chunks is None or not self._alone:
            return self.chunks is None
        return all(
            part.start % piece == 0 and (part.stop % piece == 0 or part.stop == size)
            for part, piece, size in zip(key, self.chunks, self.shape, strict=True)
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

    def _canonical_chunks(self, chunks: Any) -> tuple[int, ...]:
        by_letter = dict(zip(self._axes, _sizes(chunks), strict=True))
        return tuple(by_letter.get(letter, 1) for letter in self._letters)


def _sizes(chunks: Any) -> list[int]:
    """Size of pieces: dask gives all of them along an axis, zarr one for all."""
    return [max(c) if isinstance(c, tuple) else int(c) for c in chunks]


@dataclass(frozen=True, eq=False)
class Image:
    """Pixels, their axes, and the name that messages call them by.

    Attributes
    ----------
    data : ndarray or Pixels
        Pixels in the source's own axes; any integer, unsigned, boolean or real dtype.
    axes : AxesMap
        The way from those axes to ``(S, C, (Z), Y, X)`` and back.
    name : str
        File name, or "the array".
    path : Path or None
        Its file, if there is one.
    metadata : ImageMetadata
        Pixel sizes and units, as far as they are known.
    """

    data: Any
    axes: AxesMap
    name: str
    path: Path | None = None
    metadata: ImageMetadata = field(default_factory=ImageMetadata)

    @classmethod
    def from_array(cls, array: Any, axes: str, name: str = "the array") -> Image:
        """Check that `axes` and dtype are usable and wrap `array`.

        Raises
        ------
        DataError
            If the axes do not fit the shape, an axis is empty, or the pixels are no
            real numbers.
        """
        if not isinstance(array, Pixels):
            array = np.asarray(array)
        if np.dtype(array.dtype).kind not in "buif":
            raise DataError(
                f"The pixels of {name} are of type {array.dtype}, but only real "
                "numbers can be used; convert them first."
            )
        try:
            return cls(array, AxesMap(axes, tuple(int(n) for n in array.shape)), name)
        except HushError as error:
            raise type(error)(f"In {name}: {error}") from error

    @property
    def in_memory(self) -> bool:
        """Whether the pixels are in memory already."""
        return type(self.data) is np.ndarray

    @property
    def nbytes(self) -> int:
        """Bytes that all its pixels take in memory."""
        return math.prod(self.axes.shape) * int(np.dtype(self.data.dtype).itemsize)

    @property
    def samples(self) -> list[Any]:
        """One ``(C, (Z), Y, X)`` per sample: views, or `Sample` for pixels on disk."""
        if self.in_memory:
            return self.axes.samples(self.data)
        number = self.axes.canonical_shape[0]
        return [Sample(self.data, self.axes, n) for n in range(number)]

    def loaded(self) -> Image:
        """The same image with its pixels in memory.

        Raises
        ------
        OutOfMemoryError
            If there is less memory than they take.
        """
        if self.in_memory:
            return self
        require_memory(
            self.nbytes, f"The pixels of {self.name}", "read a part, or use a smaller image"
        )
        if getattr(self.data, "chunks", None) is not None:
            return replace(self, data=np.asarray(self.data[...]))
        # Plain bytes come a few at a time, so that they are never there twice.
        pixels = np.empty(self.axes.shape, self.data.dtype)
        size = box_size(self.axes.shape, _AT_ONCE // pixels.itemsize)
        for box in Boxes(self.axes.shape, size):
            pixels[box] = self.data[box]
        return replace(self, data=pixels)


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
