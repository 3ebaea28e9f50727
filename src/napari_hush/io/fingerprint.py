"""What pixels are, whatever file they lie in: a hash of them, and their range."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_hush.boxes import Boxes, box_size
from napari_hush.errors import UnreadableFileError
from napari_hush.io.lazy import LazyPixels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_hush.io.image import Image

MOST_BYTES = 2**24
"""Bytes of an image that are read for its hash; of larger ones, boxes all over it."""
_BOX = 2**19
"""Bytes of one box."""


@dataclass(frozen=True)
class Content:
    """What the pixels of an image are.

    Attributes
    ----------
    name : str
        Name of the file without its folder, or what arrays are called in messages.
    sha256 : str
        Hash of shape, type and pixels in the order ``(S, C, (Z), Y, X)``: the same for the
        same pixels, in whatever file and order of axes they come.
    whole : bool
        Whether all pixels were read; otherwise boxes that are spread evenly.
    lowest, highest : tuple of float
        Of the pixels that were read, one per channel; NaN is passed over.
    """

    name: str
    sha256: str
    whole: bool
    lowest: tuple[float, ...]
    highest: tuple[float, ...]


def content_of(image: Image) -> Content:
    """Read at most `MOST_BYTES` of an image, and say what they are.

    Raises
    ------
    UnreadableFileError
        If a file cannot be read.
    """
    samples = image.samples
    dtype = np.dtype(image.data.dtype)
    plain = dtype.newbyteorder("<")
    shape = image.axes.canonical_shape
    size = math.prod(shape) * dtype.itemsize
    digest = hashlib.sha256(f"{shape} {plain.str}".encode())
    lowest = np.full(shape[1], np.inf)
    highest = np.full(shape[1], -np.inf)
    boxes = Boxes(shape, (1, *box_size(shape[1:], max(1, _BOX // dtype.itemsize))))
    count = MOST_BYTES // _BOX if size > MOST_BYTES else len(boxes)
    for number in np.linspace(0, len(boxes) - 1, min(count, len(boxes))).round():
        sample, *box = boxes[int(number)]
        pixels = np.ascontiguousarray(samples[sample.start][tuple(box)], plain)
        digest.update(pixels.data)
        channels = slice(box[0].start, box[0].stop)
        flat = pixels.reshape(len(pixels), -1)
        lowest[channels] = np.fmin(lowest[channels], np.fmin.reduce(flat, axis=1))
        highest[channels] = np.fmax(highest[channels], np.fmax.reduce(flat, axis=1))
    return Content(
        image.path.name if image.path else image.name,
        digest.hexdigest(),
        size <= MOST_BYTES,
        tuple(lowest.tolist()),
        tuple(highest.tolist()),
    )


def fingerprint_of(image: Image) -> str | None:
    """Tell pixels on disk apart without reading them.

    Parameters
    ----------
    image : Image
        As `open_images` gives it.

    Returns
    -------
    str or None
        The same for the same file, unchanged, with the same axes; None for pixels in
        memory or behind a function of the user's.
    """
    known = image.data.fingerprint() if isinstance(image.data, LazyPixels) else None
    if known is None:
        return None
    return hashlib.sha256(f"{known} {image.axes.axes}".encode()).hexdigest()


def changes_of(images: Sequence[Image]) -> Callable[[], str | None]:
    """Remember what files are, to ask later whether somebody has changed one.

    A TIFF file is looked at whenever a region is read. In a Zarr store a chunk may come,
    go or be written anew without a trace in what is read: hence the question.

    Returns
    -------
    callable
        Names the first image whose file is not what it was; None if all are. Pixels in
        memory or behind a function of the user's count as unchanged.
    """
    before = [fingerprint_of(image) for image in images]

    def changed() -> str | None:
        for image, known in zip(images, before, strict=True):
            if fingerprint_of(image) != known:
                return image.name
        return None

    return changed


def changed_meanwhile(name: str) -> UnreadableFileError:
    """Make the error for a file that was changed while it was denoised."""
    return UnreadableFileError(
        f"{name} was changed while it was denoised, so the result is none of it; start "
        "again once it stays as it is."
    )


def file_stamp(path: Path) -> str:
    """Tell a file of any kind from itself after a change: path, size and time."""
    status = path.stat()
    known = (str(path.resolve()), status.st_size, status.st_mtime_ns)
    return hashlib.sha256(repr(known).encode()).hexdigest()
