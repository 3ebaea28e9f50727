"""Denoise one image tile by tile, straight into its result."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from napari_hush.axes import AxesMap
from napari_hush.errors import DataError
from napari_hush.events import (
    ImageStarted,
    OnProgress,
    PixelsClipped,
    TilesDone,
    WarningIssued,
)
from napari_hush.models import Model, keep_freed_memory
from napari_hush.prediction.cast import put
from napari_hush.prediction.denoiser import Denoiser
from napari_hush.prediction.tiles import Region, group_by_shape, in_order, restricted
from napari_hush.quality import (
    UnseenIntensities,
    residual_warning,
    saturation,
    size_warning,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_hush.io import Image


@keep_freed_memory()
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
    judge: bool = False,
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
    judge : bool
        Whether to report `WarningIssued` events about the result at the end.

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
    results = result_axes(model, image).samples(out)
    denoiser = Denoiser(
        model, tile_size=tile_size, halo=halo, batch_size=batch_size, versions=versions
    )
    tiles = restricted(denoiser.plan(image), region)
    on_progress(ImageStarted(image.name, index, num_images, len(tiles)))
    unseen = UnseenIntensities(model.provenance.ranges)
    fitting = denoiser.fitting(image, unseen.see if judge else None)
    done = clipped = 0
    groups = group_by_shape(in_order(tiles, first), batch_size)
    going_on = itertools.takewhile(lambda group: not should_stop(), groups)
    for group, found in denoiser.stream(fitting, going_on):
        for tile, pixels in found:
            place = results[tile.sample][(slice(None), *tile.inner)]
            clipped += put(place, pixels)
        done += len(group)
        on_progress(TilesDone(done, len(tiles), tuple(tile.region for tile in group)))
    if done < len(tiles):
        return False
    if out.dtype.kind in "ui":
        on_progress(PixelsClipped(image.name, clipped, out.size, str(out.dtype)))
    if judge:
        for caution in (unseen.caution(image.name), *cautions(model, image, out, region)):
            if caution is not None:
                on_progress(caution)
    return True


def cautions(
    model: Model, image: Image, out: Any, region: Region | None = None
) -> Iterator[WarningIssued | None]:
    """What speaks against the result, as far as it can be told without the truth."""
    yield size_warning(image.name, image.metadata, model.provenance.pixel_size)
    yield saturation(image)
    # What CARE takes away need not be noise alone.
    if region is None and model.config.algorithm_config.algorithm != "care":
        yield residual_warning(image, out)


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
