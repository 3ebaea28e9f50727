"""Identity of images: of their pixels (`content_of`), and of their files."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_hush.boxes import Box, Boxes, box_size
from napari_hush.errors import UnreadableFileError
from napari_hush.io.contents import file_of
from napari_hush.io.lazy import LazyPixels
from napari_hush.io.zarr.store import address_of

if TYPE_CHECKING:
    from napari_hush.io.image import Image

MAX_HASHED_BYTES = 2**24
"""At most this many bytes of an image are hashed; larger images are sampled in evenly
spread boxes."""
_BOX = 2**19
"""Bytes of one box."""


@dataclass(frozen=True)
class Content:
    """Hash and range of the pixels of an image."""

    name: str
    """Name of the file without its folder, or "the array"."""
    sha256: str
    """Hash of shape, dtype and pixels in the order ``(S, C, (Z), Y, X)``, so it does not
    depend on the file format and the order of axes."""
    whole: bool
    """Whether all pixels were read, or evenly spread boxes."""
    lowest: tuple[float, ...]
    """Smallest of the pixels that were read, one per channel, without NaN."""
    highest: tuple[float, ...]
    """Largest of them, one per channel."""


def content_of(image: Image) -> Content:
    """Hash an image; at most `MAX_HASHED_BYTES` of it are read."""
    samples = image.samples
    dtype = np.dtype(image.data.dtype)
    plain = dtype.newbyteorder("<")
    shape = image.axes.canonical_shape
    size = math.prod(shape) * dtype.itemsize
    digest = hashlib.sha256(f"{shape} {plain.str}".encode())
    lowest = np.full(shape[1], np.inf)
    highest = np.full(shape[1], -np.inf)
    for sample, *box in _sampled(shape, dtype.itemsize):
        pixels = np.ascontiguousarray(samples[sample.start][tuple(box)], plain)
        digest.update(pixels.data)
        channels = slice(box[0].start, box[0].stop)
        flat = pixels.reshape(len(pixels), -1)
        lowest[channels] = np.fmin(lowest[channels], np.fmin.reduce(flat, axis=1))
        highest[channels] = np.fmax(highest[channels], np.fmax.reduce(flat, axis=1))
    return Content(
        image.path.name if image.path else image.name,
        digest.hexdigest(),
        size <= MAX_HASHED_BYTES,
        tuple(lowest.tolist()),
        tuple(highest.tolist()),
    )


def same_pixels(one: Image, other: Image) -> bool:
    """Whether two images are equal, and not constant, of any dtype; reads as `content_of`.

    Reading ends at the first difference, so other images cost one box.
    """
    shape = one.axes.canonical_shape
    if other.axes.canonical_shape != shape:
        return False
    samples, lowest, highest = (one.samples, other.samples), np.inf, -np.inf
    itemsize = max(np.dtype(image.data.dtype).itemsize for image in (one, other))
    for sample, *box in _sampled(shape, itemsize):
        ours, theirs = (np.asarray(each[sample.start][tuple(box)]) for each in samples)
        if not np.array_equal(ours, theirs):
            return False
        lowest, highest = min(lowest, ours.min()), max(highest, ours.max())
    return bool(lowest < highest)


def _sampled(shape: tuple[int, ...], itemsize: int) -> Iterator[Box]:
    """Boxes ``(S, C, (Z), Y, X)`` of up to `MAX_HASHED_BYTES`, evenly spread."""
    boxes = Boxes(shape, (1, *box_size(shape[1:], max(1, _BOX // itemsize))))
    count, size = len(boxes), math.prod(shape) * itemsize
    if size > MAX_HASHED_BYTES:
        count = min(count, MAX_HASHED_BYTES // _BOX)
    for number in np.linspace(0, len(boxes) - 1, count).round():
        yield boxes[int(number)]


def fingerprint_of(image: Image) -> str | None:
    """Identify pixels on disk without reading them: equal for an unchanged file and axes.

    None for pixels in memory or behind a custom reader.
    """
    known = image.data.fingerprint() if isinstance(image.data, LazyPixels) else None
    if known is None:
        return None
    return hashlib.sha256(f"{known} {image.axes.axes}".encode()).hexdigest()


def file_stamp(path: Path) -> str:
    """Identify any file by its path, size and time of modification."""
    status = file_of(path).stat()
    known = (str(path.resolve()), status.st_size, status.st_mtime_ns)
    return hashlib.sha256(repr(known).encode()).hexdigest()


def change_stamps(image: Image) -> list[tuple[int, int]]:
    """Number and time of change of each file of an image.

    The system sets them when a file is replaced, also if its time of modification is set
    back, as by tar and rsync.
    """
    if image.path is None or address_of(image.path) is not None:
        return []
    others = getattr(getattr(image.data, "layout", None), "others", ())
    files = [str(path) for path in (file_of(image.path), *(path for path, _ in others))]
    for folder, _, names in os.walk(files[0]):  # a Zarr store
        files += [os.path.join(folder, name) for name in sorted(names)]
    stamps = map(os.stat, files)
    return [(status.st_ino, status.st_ctime_ns) for status in stamps]


def changes_of(images: Sequence[Image]) -> Callable[[], str | None]:
    """Watch the files of images: the result names the first one that changed, or None.

    TIFF files are checked at every read. In a Zarr store, chunks can change unnoticed.
    Pixels in memory or behind a custom reader count as unchanged.
    """
    before = [fingerprint_of(image) for image in images]

    def changed() -> str | None:
        for image, known in zip(images, before, strict=True):
            if fingerprint_of(image) != known:
                return image.name
        return None

    return changed


def changed_meanwhile(name: str) -> UnreadableFileError:
    """Make the error for a file that changed while it was denoised."""
    return UnreadableFileError(
        f"{name} was changed while it was denoised, so there is no result; start "
        "again once the file is complete."
    )
