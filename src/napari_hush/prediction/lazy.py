"""A denoised image that is computed where it is looked at: a dask array of tiles."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_hush.io import require
from napari_hush.io.lazy import Bounds, LazyPixels
from napari_hush.io.output import placed
from napari_hush.models import keep_freed_memory
from napari_hush.prediction.cast import put, result_dtype
from napari_hush.prediction.denoiser import Denoiser, inner_pixels
from napari_hush.prediction.to_array import check_suits, result_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_hush.io import Image
    from napari_hush.models import Model
    from napari_hush.prediction.tiles import Tile

_one_at_a_time = threading.RLock()
"""A tile takes all cores and hundreds of megabytes; two at once would gain nothing."""


class _Computed(LazyPixels):
    """Regions of a dask array, computed in the thread that asks for them."""

    def __init__(self, array: Any) -> None:
        super().__init__(array.shape, array.dtype)
        self._array = array

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        part = self._array[tuple(slice(*pair) for pair in bounds)]
        return np.array(part.compute(scheduler="synchronous"))


def denoise_lazily(
    model: Model,
    image: Image,
    *,
    dtype: Literal["float32", "source"] = "float32",
    tile_size: Sequence[int] | None = None,
    halo: Sequence[int] | None = None,
    batch_size: int = 1,
    versions: int = 1,
) -> Any:
    """Say what the denoised `image` is, and compute none of it yet.

    Parameters
    ----------
    model : Model
        Network and statistics.
    image : Image
        What to denoise; in memory, on disk, or a dask array. Of the latter what a tile and
        its halo need is computed for each tile anew.
    dtype, tile_size, halo, versions
        See `denoise`.
    batch_size : int
        How many tiles share the memory, which makes them smaller; each is computed by
        itself.

    Returns
    -------
    dask.array.Array
        In the image's axes, one chunk per tile. Its pixels are those of `denoise`.

    Raises
    ------
    HushError
        If dask is not installed, or the image does not suit the model.
    """
    da = require("dask.array", "lazy", "A lazy result")
    check_suits(model, image)
    if hasattr(image.data, "dask"):
        image = replace(image, data=_Computed(image.data))
    settings = {
        "tile_size": tile_size,
        "halo": halo,
        "batch_size": batch_size,
        "versions": versions,
    }
    axes, kind = result_axes(model, image), result_dtype(image, dtype)
    job = _Job(model, image, kind, settings)
    tile = dict(zip("XYZ", reversed(job.denoiser.tile_size(image)), strict=False))
    chunks = tuple(
        _cut(n, n if a == "C" else tile.get(a, 1))
        for a, n in zip(axes.axes, axes.shape, strict=True)
    )
    return da.map_blocks(
        partial(_block, job),
        chunks=chunks,
        dtype=kind,
        meta=np.empty((0,) * len(chunks), kind),
        name=f"hush-{uuid.uuid4().hex}",
    )


class _Job:
    """What denoises any block; made ready once in each process that it is sent to."""

    def __init__(
        self, model: Model, image: Image, dtype: np.dtype[Any], settings: dict[str, Any]
    ) -> None:
        self.model, self.image, self.dtype, self.settings = model, image, dtype, settings
        self.axes = result_axes(model, image)
        self._make_ready()

    def _make_ready(self) -> None:
        self.denoiser = Denoiser(self.model, **self.settings)
        self.fitting = self.denoiser.fitting(self.image)
        self.tiles: dict[tuple[int, ...], Tile] = {
            (tile.sample, *(part.start for part in tile.inner)): tile
            for tile in self.denoiser.plan(self.image)
        }

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: self.__dict__[name]
            for name in ("model", "image", "dtype", "settings", "axes")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_ready()

    def block(self, corner: Sequence[int]) -> NDArray[Any]:
        """The block of the result that begins there."""
        start = dict(zip(self.axes.axes, corner, strict=True))
        times = dict(zip(self.axes.axes, self.axes.shape, strict=True)).get("T", 1)
        sample = start.get("S", 0) * times + start.get("T", 0)
        tile = self.tiles[(sample, *(start[a] for a in "ZYX" if a in start))]
        sizes = [part.stop - part.start for part in tile.inner]
        found = np.empty((self.axes.canonical_shape[1], *sizes), self.dtype)
        for piece, pixels in inner_pixels(self.fitting, [tile]):
            inside = tuple(
                slice(part.start - whole.start, part.stop - whole.start)
                for part, whole in zip(piece.inner, tile.inner, strict=True)
            )
            put(found[(slice(None), *inside)], pixels)
        _, box = placed(self.axes.axes, self.axes.shape, sample, tile.inner, found)
        return box


def _block(job: _Job, *, block_info: dict[Any, Any]) -> NDArray[Any]:
    with _one_at_a_time, keep_freed_memory():
        return job.block([start for start, _ in block_info[None]["array-location"]])


def _cut(size: int, step: int) -> tuple[int, ...]:
    return tuple(min(step, size - start) for start in range(0, size, step))
