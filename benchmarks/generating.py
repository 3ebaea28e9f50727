"""Large images on disk, written about as fast as the disk takes them.

One tile of noise is repeated with other offsets, since drawing billions of pixels would
take longer than everything that is measured on them.
"""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING

import numpy as np
import tifffile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_TILE = 1024
_FILE = 7 * _TILE
"""Side of a TIFF file; 103 MB of uint16."""
_FRAME = 2 * _TILE
"""Side of a frame of the Zarr store."""
_DRAWN = 16
"""Frames of the Zarr store that differ; the others repeat them."""


def noise(shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Noise like that of a camera: grey values around 1000, spread by 60."""
    rng = np.random.default_rng(0)
    tile = rng.normal(1000, 60, _TILE * _TILE).astype(np.uint16)
    pixels = np.empty(math.prod(shape), np.uint16)
    for number, start in enumerate(range(0, pixels.size, tile.size)):
        part = pixels[start : start + tile.size]
        part[:] = np.roll(tile, 7919 * number)[: part.size]
    return pixels.reshape(shape)


def tiffs(folder: Path, nbytes: float, dtype: str = "uint16") -> int:
    """Write a folder of plain TIFF files ``YX`` and return how many bytes of pixels."""
    folder.mkdir(parents=True)
    image = noise((_FILE, _FILE)).astype(dtype)
    count = max(2, round(nbytes / image.nbytes))
    for number in range(count):
        tifffile.imwrite(folder / f"{number:03}.tif", np.roll(image, 97 * number, axis=0))
    return count * image.nbytes


def stack(path: Path, nbytes: float) -> int:
    """Write one plain TIFF file ``TYX`` and return how many bytes of pixels."""
    frames = round(nbytes / (2 * _TILE * _TILE))
    image = noise((frames, _TILE, _TILE))
    tifffile.imwrite(path, image, photometric="minisblack")
    return image.nbytes


def ome_zarr(folder: Path, nbytes: float, dtype: str = "uint16") -> int:
    """Write an OME-Zarr 0.5 image ``TYX`` and return how many bytes of pixels.

    Chunks hold a million pixels of one frame and are packed (zstd).
    """
    import zarr

    frames = max(_DRAWN, round(nbytes / (np.dtype(dtype).itemsize * _FRAME * _FRAME)))
    group = zarr.open_group(folder, mode="w", zarr_format=3)
    array = group.create_array(
        "0",
        shape=(frames, _FRAME, _FRAME),
        chunks=(1, _TILE, _TILE),
        dtype=dtype,
        dimension_names=("t", "y", "x"),
    )
    array[:_DRAWN] = noise((_DRAWN, _FRAME, _FRAME)).astype(dtype)
    packed = folder / "0" / "c"
    for frame in range(_DRAWN, frames):
        shutil.copytree(packed / str(frame % _DRAWN), packed / str(frame))
    axes = [{"name": "t", "type": "time"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    scale = [{"type": "scale", "scale": [1.0, 0.1, 0.1]}]
    level = {"path": "0", "coordinateTransformations": scale}
    described = {"axes": axes, "datasets": [level], "name": "noise"}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [described]}
    return int(array.nbytes)
