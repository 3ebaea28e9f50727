"""Denoise one image tile by tile, straight into its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_hush.axes import AxesMap
from napari_hush.dataset import exact_float, require_finite
from napari_hush.errors import DataError
from napari_hush.events import ImageStarted, OnProgress, PixelsClipped, TilesDone
from napari_hush.models import (
    Model,
    choose_device,
    choose_precision,
    folded,
    freed_memory_kept,
)
from napari_hush.prediction.augmented import averaged
from napari_hush.prediction.fitting import Fitting
from napari_hush.prediction.order import Region, in_order, restricted
from napari_hush.prediction.rounding import put
from napari_hush.prediction.tile_size import fitting_tile
from napari_hush.prediction.tiles import Tile, alike, plan_tiles, read_tile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_hush.io import Image


@freed_memory_kept()
def denoise(
    model: Model,
    image: Image,
    out: NDArray[Any],
    *,
    tile_size: Sequence[int] | None = None,
    halo: Sequence[int] | None = None,
    batch_size: int = 1,
    versions: int = 1,
    on_progress: OnProgress,
    should_stop: Callable[[], bool],
    index: int = 0,
    num_images: int = 1,
    region: Region | None = None,
    first: Callable[[], Region | None] | None = None,
) -> bool:
    """Write the denoised `image` into `out`, tile by tile.

    Parameters
    ----------
    model : Model
        Network and statistics.
    image : Image
        What to denoise, with the channels and dimensions the model was trained on.
    out : ndarray
        Of the shape and axes of `result_axes`, float or integer; gets the source's
        intensities, rounded and clipped where it is of integers.
    tile_size : sequence of int, optional
        ``((Z), Y, X)`` in pixels; does not change the result.
    halo : sequence of int, optional
        Pixels ``((Z), Y, X)`` a tile sees beyond each side, where that is more than the
        network can use.
    batch_size : int
        Tiles per forward pass.
    versions : int
        Mirrored and turned versions to average over: 1, 2, 4 or 8.
    on_progress : callable
        Gets `ImageStarted` and `TilesDone`, and for integers `PixelsClipped` at the end.
    should_stop : callable
        Asked before every forward pass; True leaves the rest of `out` as it was.
    index, num_images : int
        Which image of the job this is, for the events.
    region : tuple of slice, optional
        Part of the image, ``(S, C, (Z), Y, X)``: only tiles that meet it are denoised,
        each of them whole; the rest of `out` is left as it was.
    first : callable, optional
        Asked before every forward pass for the region that somebody looks at, likewise,
        or None; tiles that meet it come before the others.

    Returns
    -------
    bool
        True if every tile was written.

    Raises
    ------
    DataError
        If the image does not suit the model or holds NaN or infinite pixels.
    OutOfMemoryError
        If not even a small tile fits; where a large one does not, smaller ones are used.
    """
    check_suits(model, image)
    samples = image.samples
    results = result_axes(model, image).samples(out)
    device = choose_device(model.config.training_config.device)
    bf16 = choose_precision(model.config.training_config.precision, device) == "bf16"
    network = folded(model.network).to(device)
    shape = image.axes.canonical_shape
    beyond = network.halo
    if halo is not None:
        beyond = tuple(max(pair) for pair in zip(beyond, halo, strict=True))
    at_once = batch_size * min(versions, 4)
    tile_size = tile_size or fitting_tile(network, device, at_once)
    planned = plan_tiles(shape, beyond, network.multiple, tile_size)
    tiles = restricted(planned, region)
    on_progress(ImageStarted(image.name, index, num_images, len(tiles)))

    def compute(group: list[Tile]) -> Tensor:
        inputs = np.stack([read_tile(samples[tile.sample], tile) for tile in group])
        inputs = inputs.astype(exact_float(inputs.dtype))
        require_finite(inputs, image.name)
        batch = model.normalization.normalize(torch.from_numpy(inputs)).to(device)
        if batch.ndim == 4:
            batch = batch.contiguous(memory_format=torch.channels_last)
        with (
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=bf16),
        ):
            clean = averaged(network, batch, versions).float()
        return model.output_normalization.denormalize(clean.cpu())

    fitting = Fitting(compute, beyond, network.multiple)
    done = clipped = 0
    for group in alike(in_order(tiles, first), batch_size):
        if should_stop():
            return False
        for tile, result in fitting(group):
            place = results[tile.sample][(slice(None), *tile.inner)]
            clipped += put(place, result[(slice(None), *tile.crop)].numpy())
        done += len(group)
        on_progress(TilesDone(done, len(tiles), tuple(tile.region for tile in group)))
    if out.dtype.kind in "ui":
        on_progress(PixelsClipped(image.name, clipped, out.size, str(out.dtype)))
    return True


def result_axes(model: Model, image: Image) -> AxesMap:
    """Axes and shape of the denoised `image`: its own, but for the number of channels."""
    channels = model.config.algorithm_config.model.num_classes
    axes, shape = image.axes.axes, image.axes.shape
    if "C" in axes:
        position = axes.index("C")
        return AxesMap(axes, (*shape[:position], channels, *shape[position + 1 :]))
    if channels > 1:
        return AxesMap(f"C{axes}", (channels, *shape))
    return image.axes


def check_suits(model: Model, image: Image) -> None:
    """Refuse an image of other channels or dimensions than the model's.

    Raises
    ------
    DataError
        With what the image has and what the model needs.
    """
    shape = image.axes.canonical_shape
    network = model.config.algorithm_config.model
    if len(shape) - 2 != network.conv_dims:
        raise DataError(
            f"The model was trained in {network.conv_dims}D but {image.name} has the "
            f"axes {image.axes.axes}; name them "
            f"with{'' if network.conv_dims == 3 else 'out'} Z, or use another model."
        )
    if shape[1] != network.in_channels:
        raise DataError(
            f"The model was trained on {network.in_channels} channels but {image.name} has "
            f"{shape[1]}; give an image of {network.in_channels}, or use another model."
        )
