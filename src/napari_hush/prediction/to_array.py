"""Denoise one image tile by tile into an array, or lazily into a dask array."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.axes import AxesMap
from napari_hush.boxes import spans
from napari_hush.errors import DataError, counted
from napari_hush.io.frames import check_frames
from napari_hush.io.lazy import Bounds, LazyPixels
from napari_hush.io.output import placed
from napari_hush.models import Model, keep_freed_memory
from napari_hush.models.built_in import (
    suited,
    suited_config,
)
from napari_hush.prediction.cast import put, result_dtype
from napari_hush.prediction.denoiser import Denoiser
from napari_hush.prediction.own_scaling import own_scalings
from napari_hush.prediction.progress import unseen_intensities
from napari_hush.prediction.tiles import Region, group_by_shape, in_order, meets, within
from napari_hush.system.optional import require

if TYPE_CHECKING:
    from napari_hush.config import InferenceConfig
    from napari_hush.io import Image
    from napari_hush.models import Model
    from napari_hush.prediction.progress import ImageProgress


@keep_freed_memory()
def denoise(
    model: Model,
    image: Image,
    out: NDArray[Any],
    config: InferenceConfig,
    progress: ImageProgress,
    *,
    region: Region | None = None,
    first: Callable[[], Region | None] | None = None,
) -> bool:
    """Write the denoised `image` into `out`, tile by tile; False if it was stopped.

    `out` has the axes and shape of `result_axes` and gets the source's intensities, rounded
    and clipped if it is integer. Only tiles that meet `region` ``(S, C, (Z), Y, X)`` are
    denoised, each of them whole; the rest of `out` is left unchanged. ``first()``, called
    before every forward pass, returns a region whose tiles come before the others, or None.

    Raises DataError if the image does not suit the model or holds NaN or infinite pixels,
    and OutOfMemoryError if not even a small tile fits.
    """
    check_suits(model, image)
    model = fitted(model, image)
    results = result_axes(model, image).samples(out)
    unseen = unseen_intensities(model, config)
    denoiser = Denoiser(model, image, config, unseen.see if progress.check else None)
    tiles = [tile for tile in denoiser.plan() if region is None or meets(tile, region)]
    progress.start(image, len(tiles))
    clipped = 0
    groups = group_by_shape(in_order(tiles, first), config.batch_size)
    for group, found in denoiser.stream(progress.until_stopped(groups)):
        for tile, pixels in found:
            clipped += put(results[tile.sample][(slice(None), *tile.inner)], pixels)
        progress.advance(group)
    if not progress.is_complete:
        return False
    progress.report_clipped(image, clipped, out.size, out.dtype)
    if progress.check:
        progress.report_warnings(model, image, out, out.dtype, unseen, region)
    return True


def result_axes(model: Model, image: Image) -> AxesMap:
    """Axes and shape of the result: those of `image` with the model's output channels."""
    network = suited_config(model, image).algorithm_config.model
    return with_channels(image.axes, network.num_classes)


def with_channels(given: AxesMap, channels: int) -> AxesMap:
    """The axes `given` with another number of channels; C is first if there is none."""
    axes, shape = given.axes, given.shape
    if "C" in axes:
        position = axes.index("C")
        return AxesMap(axes, (*shape[:position], channels, *shape[position + 1 :]))
    if channels > 1:
        return AxesMap(f"C{axes}", (channels, *shape))
    return given


def check_suits(model: Model, image: Image) -> None:
    """Raise DataError if `image` has other channels or dimensions than the model.

    Also if it has too few frames for its time context.
    """
    shape = image.axes.canonical_shape
    network = suited_config(model, image).algorithm_config.model
    if len(shape) - 2 != network.conv_dims:
        advice = "with Z" if network.conv_dims == 3 else "with S in place of Z"
        raise DataError(
            f"The model was trained in {network.conv_dims}D but {image.name} has the "
            f"axes {image.axes.axes}; name them {advice}, or use another model."
        )
    if shape[1] != network.in_channels:
        raise DataError(
            f"The model was trained on {counted(network.in_channels, 'channel')} but "
            f"{image.name} has "
            f"{shape[1]}; give an image with {network.in_channels}, or use another model."
        )
    check_frames(image, network.time_context)


def fitted(model: Model, image: Image) -> Model:
    """`model`, or of a built-in one that for `image`, whose pixels are read once.

    Each sample is scaled by its own mean and by the standard deviation within squares of
    32 pixels, to which hot pixels do not count. A constant channel stays as it is. Raises
    DataError for NaN or infinite pixels.
    """
    if not model.per_image:
        return model
    found = tuple(own_scalings(sample, image.name) for sample in image.samples)
    before, after = found[0]
    return replace(
        suited(model, image),
        normalization=before,
        target_normalization=after,
        of_samples=found,
    )


_one_at_a_time = threading.RLock()
"""A tile uses all cores and hundreds of megabytes; two at once would gain nothing."""


def denoise_lazily(model: Model, image: Image, config: InferenceConfig) -> Any:
    """A dask array in the axes of `image` with the pixels of `denoise`, one chunk per tile.

    Each tile is computed alone, when its pixels are asked for; `batch_size` only makes
    tiles smaller. If the image is a dask array itself, the pixels of a tile and its halo
    are computed anew for each tile. Raises HushError if dask is not installed, or the image
    does not suit the model.
    """
    da = require("dask.array", "lazy", "A lazy result")
    check_suits(model, image)
    model = fitted(model, image)
    if hasattr(getattr(image.data, "array", None), "dask"):
        image = replace(image, data=_Computed(image.data.array))
    blocks = _Blocks(model, image, config)
    tile = dict(zip("XYZ", reversed(blocks.denoiser.tile_size), strict=False))
    chunks = tuple(
        tuple(
            part.stop - part.start for part in spans(n, n if a == "C" else tile.get(a, 1))
        )
        for a, n in zip(blocks.axes.axes, blocks.axes.shape, strict=True)
    )
    # As a separate task, so that each worker of a cluster gets the model once.
    shared = require("dask", "lazy", "A lazy result").delayed(
        blocks, pure=False, traverse=False
    )
    return da.map_blocks(
        _compute_block,
        blocks=shared,
        chunks=chunks,
        dtype=blocks.dtype,
        meta=np.empty((0,) * len(chunks), blocks.dtype),
        name=f"hush-{uuid.uuid4().hex}",
    )


class _Computed(LazyPixels):
    """Regions of a dask array, computed in the thread that asks for them."""

    def __init__(self, array: Any) -> None:
        super().__init__(array.shape, array.dtype)
        self._array = array

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        part = self._array[tuple(slice(*pair) for pair in bounds)]
        return np.array(part.compute(scheduler="synchronous"))


class _Blocks:
    """Computes any block of the result; set up anew in each process that unpickles it."""

    def __init__(self, model: Model, image: Image, config: InferenceConfig) -> None:
        self._given = (model, image, config)
        self.axes = result_axes(model, image)
        self.dtype = result_dtype(image, config.dtype)
        self.denoiser = Denoiser(model, image, config)
        self._tiles = {
            (tile.sample, *(part.start for part in tile.inner)): tile
            for tile in self.denoiser.plan()
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return _Blocks, self._given

    def block(self, corner: Sequence[int]) -> NDArray[Any]:
        """The block whose first pixel is at `corner`, in the axes of the result."""
        start = dict(zip(self.axes.axes, corner, strict=True))
        times = dict(zip(self.axes.axes, self.axes.shape, strict=True)).get("T", 1)
        sample = start.get("S", 0) * times + start.get("T", 0)
        tile = self._tiles[(sample, *(start[a] for a in "ZYX" if a in start))]
        sizes = [part.stop - part.start for part in tile.inner]
        found = np.empty((self.axes.canonical_shape[1], *sizes), self.dtype)
        for piece, pixels in self.denoiser.denoise([tile]):
            put(found[(slice(None), *within(piece.inner, tile.inner))], pixels)
        _, box = placed(self.axes.axes, self.axes.shape, sample, tile.inner, found)
        return box


def _compute_block(*, blocks: _Blocks, block_info: dict[Any, Any]) -> NDArray[Any]:
    with _one_at_a_time, keep_freed_memory():
        return blocks.block([start for start, _ in block_info[None]["array-location"]])
