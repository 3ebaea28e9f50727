"""A TIFF file that is written region by region."""

from __future__ import annotations

import math
import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_hush.errors import UnwritableFileError
from napari_hush.io.memory import size_text
from napari_hush.io.results import ResultImage, damaged, placed
from napari_hush.io.tiff_form import tiff_form
from napari_hush.io.tiff_layout import layout_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import FileIO
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_hush.io.pixels import Bounds


class TiffResult:
    """Plain pixels in one run, row by row where they belong; no memory map.

    A memory map would end the process where the disk is full, and count as memory.

    Parameters
    ----------
    image : ResultImage
        What it is.
    target : Path
        What it is called once it is whole, which has a say in the kind of file.
    """

    block: tuple[int, ...] | None = None

    def __init__(self, image: ResultImage, target: Path) -> None:
        self._form = tiff_form(target, image)
        self.axes = self._form.axes
        self._image = image
        self._offset = 0
        self._file: FileIO | None = None

    def begin(self, path: Path) -> None:
        """Make the file, of the size that it will have; see `Result`.

        Raises
        ------
        UnwritableFileError
            If there is less room on the disk than the pixels take.
        """
        form = self._form
        _require_room(path, self._image.nbytes)
        with tifffile.TiffWriter(path, **form.file) as file:
            file.write(shape=form.shape, dtype=self._image.dtype, **form.page)
        self.go_on(path)

    def go_on(self, path: Path, *, alone: bool = True) -> None:
        """Open the file that was begun; see `Result`."""
        layout = layout_of(path)
        if layout.chunks is not None or layout.stored != self._image.dtype:
            raise damaged(path)
        if math.prod(layout.shape) != math.prod(self._form.shape):
            raise damaged(path)
        self._offset = int(layout.offsets[0, 0])
        self._file = open(path, "r+b", buffering=0)  # noqa: SIM115  (see close)

    def write(self, sample: int, inner: Sequence[slice], pixels: NDArray[Any]) -> None:
        """Write a region; see `Result`."""
        assert self._file is not None  # noqa: S101  (begin or go_on comes first)
        form, dtype = self._form, self._image.dtype
        bounds, box = placed(form.axes, form.shape, sample, inner, pixels)
        for start, run in runs(form.shape, bounds, np.ascontiguousarray(box, dtype)):
            left = run.view(np.uint8).data
            self._file.seek(self._offset + start * dtype.itemsize)
            while left:
                left = left[self._file.write(left) :]

    def force(self) -> None:
        """Force what was written to the disk."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Force the whole file to the disk."""
        self.force()

    def close(self) -> None:
        """Close the file as it is."""
        if self._file is not None:
            self._file.close()
            self._file = None


def runs(
    shape: Sequence[int], bounds: Bounds, box: NDArray[Any]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Cut a box into pieces that follow upon one another in an array, slowest axis first.

    Parameters
    ----------
    shape : sequence of int
        Shape of the array.
    bounds : tuple of (int, int)
        The box.
    box : ndarray
        Its pixels, contiguous.

    Yields
    ------
    (int, ndarray)
        Index of the first pixel in the array when it is flat, and the pixels of the run.
    """
    whole = len(shape)
    while whole and bounds[whole - 1] == (0, shape[whole - 1]):
        whole -= 1
    outer = max(whole - 1, 0)  # dimensions whose steps begin another run
    steps = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    first = sum(start * step for (start, _), step in zip(bounds, steps, strict=True))
    flat = box.reshape((*box.shape[:outer], -1))
    for index in np.ndindex(*box.shape[:outer]):
        yield first + sum(i * s for i, s in zip(index, steps, strict=False)), flat[index]


def _require_room(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise UnwritableFileError(
            f"The result takes {size_text(needed)} but {str(path.parent)!r} has "
            f"{size_text(free)} of room; make room, or choose a place on another disk."
        )
