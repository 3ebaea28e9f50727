"""Writing a whole image as TIFF or OME-Zarr, region by region."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.boxes import Boxes, box_size
from napari_hush.errors import ExistingFileError
from napari_hush.io.output import Result, ResultImage, refuse_masked
from napari_hush.io.partial_output import open_partial_output
from napari_hush.io.tiff.write import TiffResult
from napari_hush.io.zarr.store import is_zarr
from napari_hush.io.zarr.write import ZarrResult
from napari_hush.system.atomic_write import refuse_existing, writing

if TYPE_CHECKING:
    from napari_hush.io.image import Image

_AT_ONCE = 2**22
"""Pixels that are in memory at once, about."""
_TILE = {"Z": 64, "Y": 256, "X": 256}
"""Size of the pieces of which shards are made."""


def write_image(
    path: Path,
    image: Image,
    *,
    record: Mapping[str, Any] | None = None,
    colors: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Write `image`, which may be on disk, with its metadata; False if it was stopped.

    Parameters
    ----------
    path : Path
        An OME-Zarr store if it ends in ``.zarr``, else a TIFF file as of `tiff_forms`. It
        appears under this name once it is complete, and until then is another file.
    image : Image
        Pixels, axes and metadata.
    record : mapping, optional
        Provenance, ready for JSON.
    colors : bool
        Whether the three channels are red, green and blue of one picture.
    overwrite : bool
        Replace an existing file or store.
    on_progress : callable
        Called with the number of regions that are written, and of all.
    should_stop : callable
        Asked before each region; nothing is left of a file that was stopped.

    Raises
    ------
    ExistingFileError
        If the file exists and `overwrite` is off, or a folder that is no Zarr store has
        its name.
    DataError
        If a pixel is masked.
    UnwritableFileError
        If it cannot be written: disk full, folder read-only, and so on.
    """
    refuse_existing(path, overwrite)
    if path.is_dir() and not is_zarr(path):
        raise ExistingFileError(f"{str(path)!r} is a folder; choose another name.")
    refuse_masked(image.mask, image.name)
    axes, dtype = image.axes, np.dtype(image.data.dtype).newbyteorder("=")
    sizes = image.metadata.for_axes(axes.axes, axes.shape)
    described = ResultImage(axes, dtype, sizes, record, colors)
    samples = image.samples
    channels, *inner = samples[0].shape
    result: Result = TiffResult(described, path)
    if path.suffix.lower() == ".zarr":
        tile = [min(n, _TILE[a]) for n, a in zip(inner, "ZYX"[-len(inner) :], strict=True)]
        result = ZarrResult(described, tile, path)
    chunks = getattr(samples[0], "chunks", None)
    pieces = None if chunks is None else chunks[1:]
    size = result.block or box_size(inner, _AT_ONCE // channels, pieces)
    boxes = Boxes(inner, size)
    total = len(samples) * len(boxes)
    with open_partial_output(result, path, {}, 1, overwrite=overwrite) as output:
        for done in range(total):
            if should_stop():
                return False
            number, place = divmod(done, len(boxes))
            box = boxes[place]
            pixels = np.asarray(samples[number][(slice(0, channels), *box)], dtype)
            with writing(path):
                result.write(number, box, pixels)
            on_progress(done + 1, total)
        output.complete()
    return True
