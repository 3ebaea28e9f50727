"""The common part of readers that use the library of a file format."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import (
    DataError,
    HushError,
    MissingFileError,
    UnreadableFileError,
)
from napari_hush.io.contents import Contents, Part, split_reference
from napari_hush.io.lazy import SerialPixels
from napari_hush.io.metadata import UNNAMED, ImageMetadata

MOST_PLANES = 10**7
"""Planes of an image from which a file is taken for damaged."""


class FilePixels(SerialPixels):
    """Pixels of a file, which a subclass opens within ``with self._reading()``."""

    kind = ""
    """The kind of file, for messages: "a CZI file"."""

    def __init__(
        self,
        path: Path,
        shape: Sequence[int],
        dtype: Any,
        named: str,
        metadata: ImageMetadata,
        chunks: Sequence[int] | None = None,
    ) -> None:
        super().__init__(shape, dtype, chunks)
        self.path = path
        self.file = split_reference(path)[0]
        self.stamp = stamp_of(self.file)
        self.named = named
        """Axes that the file names, `UNNAMED` for others."""
        self.metadata = metadata

    def fingerprint(self) -> str:
        """Hash of path, size, time of modification, shape and type of the file."""
        known = (str(self.path), *self.stamp, self.named, self.shape, self.dtype.str)
        return hashlib.sha256(repr(known).encode()).hexdigest()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, reading(self.file, self.kind):
            if stamp_of(self.file) != self.stamp:
                raise UnreadableFileError(
                    f"{str(self.file)!r} was changed by someone else since it was opened; "
                    "start again once the file is complete."
                )
            yield


@contextmanager
def reading(file: Path, kind: str) -> Iterator[None]:
    """Turn the errors of a library into an UnreadableFileError that names the file."""
    try:
        yield
    except (HushError, MemoryError):
        raise
    except ImportError as error:
        raise HushError(
            f"{str(file)!r} is compressed in a way that needs another package "
            f'({one_line(error)}); run: pip install "napari-hush[tiff]"'
        ) from error
    except Exception as error:  # libraries raise many kinds on damaged files
        if not os.path.exists(file):
            raise MissingFileError(
                f"There is no file {str(file)!r}; check the path."
            ) from error
        raise UnreadableFileError(
            f"{str(file)!r} cannot be read as {kind} ({one_line(error)}); replace "
            "it or leave it out."
        ) from error


@contextmanager
def sensible_lengths() -> Iterator[None]:
    """Take a file for damaged where a small part of it does not fit into memory."""
    try:
        yield
    except MemoryError as error:
        raise ValueError("a part of it has a length beyond all memory") from error


@contextmanager
def parsing(file: Path, kind: str) -> Iterator[None]:
    """Read what is no pixels, of which no part is too large for the memory."""
    with reading(file, kind), sensible_lengths():
        yield


def stamp_of(file: Path) -> tuple[int, int]:
    """Size and time of modification of a file."""
    status = os.stat(file)
    return status.st_size, status.st_mtime_ns


def image_number(path: Path, numbers: Sequence[int]) -> int:
    """The number of the image that a reference names, by default the first."""
    file, number = split_reference(path)
    if not numbers:
        raise DataError(f"{str(file)!r} has no image; leave it out.")
    if number is not None and number not in numbers:
        raise DataError(
            f"{str(file)!r} has no image {number}; it has {', '.join(map(str, numbers))}."
        )
    return numbers[0] if number is None else number


def check_complete(path: Path, lacks: str) -> None:
    """Raise a DataError if an image lacks something."""
    if lacks:
        raise DataError(
            f"{str(path)!r} is incomplete, it lacks {lacks}; complete it or leave it out."
        )


def several_colors(file: Path) -> DataError:
    """Make the error for colors in more than one channel."""
    return DataError(
        f"{str(file)!r} has several channels with several colors each; export the channels "
        "one by one."
    )


def contents_of(
    path: Path, found: Sequence[Part], left_out: Sequence[str] = ()
) -> Contents:
    """The images of a file, or the one that a reference names.

    Their warnings say how much of the planned image was recorded, "3 of 8 time points".
    """
    file, number = split_reference(path)
    chosen = image_number(path, [each.number for each in found])
    several = len(found) > 1
    parts = []
    for each in found:
        if number is not None and each.number != chosen:
            continue
        reference = file.with_name(f"{file.name}#{each.number}") if several else path
        said = each.warning and (
            f"{str(reference)!r} was not recorded to the end, it has {each.warning}."
        )
        parts.append(each._replace(reference=reference, warning=said))
    return Contents(path, tuple(parts), "scene" if several else "image", tuple(left_out))


def known(axes: str, make: Callable[[], ImageMetadata]) -> ImageMetadata:
    """The metadata that `make` returns; the axes alone if they cannot be read."""
    try:
        return make()
    except (MemoryError, HushError):
        raise
    except Exception as error:  # metadata never cost pixels
        return ImageMetadata.of(axes, {}, {}, unknown=[f"metadata = {one_line(error)}"])


def letters_of_dimensions(names: Sequence[str], colors: str) -> str:
    """One letter per dimension of a file: C for `colors`, and S or `UNNAMED` for others."""
    letters: list[str] = []
    for name in names:
        letter = name if name in "TCZYX" else "C" if name in colors else "S"
        taken = letter != name and (letter in names or letter in letters)
        letters.append(UNNAMED if taken else letter)
    return "".join(letters)


def squeezed(axes: str, shape: Sequence[int]) -> str:
    """The axes without those of one step, but for Y and X."""
    pairs = zip(axes, shape, strict=True)
    return "".join(axis for axis, size in pairs if size != 1 or axis in "YX")


def usable_times(present: NDArray[Any], what: str) -> tuple[int, str, str]:
    """Compare the planes of a file, time first, with what it promises.

    An acquisition that was stopped is used up to its last complete time point. Returns the
    number of time points, what is missing, and what is to be said of it.
    """
    total = present.shape[0]
    times = present.reshape(total, -1)
    complete = np.asarray(times.all(axis=1))
    count = total if complete.all() else int(complete.argmin())
    if count == total:
        return count, "", ""
    if count and not times[count + 1 :].any():
        return count, "", f"{count} of {total} time points"
    return total, f"{times.size - int(times.sum())} of {times.size} {what}", ""


def one_line(error: Exception) -> str:
    """The message of an error in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
