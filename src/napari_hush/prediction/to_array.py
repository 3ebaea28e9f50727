"""Denoise one image tile by tile into an array."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_hush.axes import AxesMap
from napari_hush.errors import DataError
from napari_hush.models import Model, keep_freed_memory
from napari_hush.prediction.cast import put
from napari_hush.prediction.denoiser import Denoiser
from napari_hush.prediction.tiles import Region, group_by_shape, in_order, meets
from napari_hush.quality import UnseenIntensities

if TYPE_CHECKING:
    from napari_hush.config import InferenceConfig
    from napari_hush.io import Image
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
    results = result_axes(model, image).samples(out)
    unseen = UnseenIntensities(model.provenance.ranges)
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
    channels = model.config.algorithm_config.model.num_classes
    axes, shape = image.axes.axes, image.axes.shape
    if "C" in axes:
        position = axes.index("C")
        return AxesMap(axes, (*shape[:position], channels, *shape[position + 1 :]))
    if channels > 1:
        return AxesMap(f"C{axes}", (channels, *shape))
    return image.axes


def check_suits(model: Model, image: Image) -> None:
    """Raise DataError if `image` has other channels or dimensions than the model."""
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
            f"{shape[1]}; give an image with {network.in_channels}, or use another model."
        )
