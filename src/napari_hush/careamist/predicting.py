"""The part of the facade that denoises."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_hush.careamist.base import Base
from napari_hush.config import InferenceConfig
from napari_hush.errors import ConfigurationError, DataError
from napari_hush.io import (
    changed_meanwhile,
    changes_of,
    explain_memory_error,
    require_memory,
)
from napari_hush.lightning import PredictDataModule
from napari_hush.prediction import (
    check_suits,
    denoise,
    denoise_lazily,
    result_axes,
    result_dtype,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_hush.io import Image, ReadSource
    from napari_hush.models import Model
    from napari_hush.prediction import Region


class Predicts(Base):
    """Denoises images into arrays."""

    def predict(
        self,
        source: Any,
        *,
        axes: str | None = None,
        data_type: str | None = None,
        tile_size: Sequence[int] | None = None,
        tile_overlap: Sequence[int] | None = None,
        batch_size: int | None = None,
        level: int | None = None,
        tta: bool | int = False,
        read_source_func: ReadSource | None = None,
        extension_filter: str = "",
        out: NDArray[Any] | None = None,
        should_stop: Callable[[], bool] | None = None,
        dtype: Literal["float32", "source"] = "float32",
        region: Region | None = None,
        first: Callable[[], Region | None] | None = None,
        judge: bool = True,
        lazy: bool = False,
    ) -> Any:
        """Denoise images.

        Parameters
        ----------
        source : array, str, Path, or list of one kind of them
            Images of any size, from one pixel up.
        axes : str, optional
            Their axes, slowest first; by default those of the training data.
        data_type : {"array", "tiff", "zarr", "custom"}, optional
            By default "array" for arrays; for paths "zarr" if the first is a Zarr store,
            "custom" if custom data were trained on, otherwise "tiff". A folder is of the
            type of the training data.
        tile_size : sequence of int, optional
            Pixels denoised at once, ``[Y, X]`` or ``[Z, Y, X]``; does not change the
            result, only how much memory it takes.
        tile_overlap : sequence of int, optional
            Pixels that neighbouring tiles share at least; never less than the network can
            see, so by default as much as that.
        batch_size : int, optional
            Tiles per forward pass, 1 by default.
        level : int, optional
            Which resolution of OME-Zarr images to denoise, 0 for the finest; by default
            the one that was trained on.
        tta : bool or int
            Test-time augmentation: average over 2, 4 or 8 mirrored and turned versions;
            True for 8.
        read_source_func : callable, optional
            For custom data: called as ``func(path, axes)``, returns an array.
        extension_filter : str
            For custom data: which file names count, e.g. ``"*.npy"``.
        out : ndarray, optional
            For one array: where to write, of the result's shape and type, tile by tile.
        should_stop : callable, optional
            True ends after the tiles in hand; `out` keeps those that are done, what is
            missing is left as it was (zeros where `out` was not given).
        dtype : {"float32", "source"}
            Type of the results. "source" is that of each image: integers are rounded, and
            clipped to what the type can hold; a `PixelsClipped` event tells how many were.
        region : tuple of slice, optional
            Only the part of each image that is of interest, ``(S, C, (Z), Y, X)`` in
            pixels (T counts as S): tiles that meet it are denoised, the others not.
        first : callable, optional
            Asked again and again for such a region, or None: it is denoised first.
        judge : bool
            Tell what speaks against a result, as `WarningIssued` events: structure that was
            taken away, intensities or pixel sizes that were not trained on, saturation.
            Costs some hundredths of a second per image.
        lazy : bool
            Compute nothing yet: results are dask arrays with one chunk per tile, whose
            pixels are computed when they are asked for. Takes neither `out`, `region`,
            `first` nor `should_stop`, tells no events and judges nothing.

        Returns
        -------
        ndarray or list of ndarray, or of dask.array.Array if `lazy`
            float32 or the type of the source, in the source's axes, shape and intensities
            (where the model makes another number of channels, that many; C first if the
            source has none). One array for one array; for a list of arrays or for paths a
            list, one entry per image or file, in order.

        Raises
        ------
        HushError
            If there is no model yet, or an image does not suit it.
        """
        model = self.trained
        config, images = self._opened(
            source,
            read_source_func,
            extension_filter,
            axes=axes,
            data_type=data_type,
            tile_size=tile_size,
            tile_overlap=tile_overlap,
            batch_size=batch_size,
            level=level,
            tta=tta,
            dtype=dtype,
        )
        one = config.data_type == "array" and not isinstance(source, list | tuple)
        if out is not None:
            _check_out(out, model, images, one, config.dtype)
        for image in images:
            check_suits(model, image)
            result_dtype(image, config.dtype)
        if lazy:
            if any(given is not None for given in (out, region, first, should_stop)):
                raise ConfigurationError(
                    "A lazy result is computed later, piece by piece; leave out, region, "
                    "first and should_stop out."
                )
            lazily = [
                denoise_lazily(model, image, dtype=config.dtype, **tiling(config))
                for image in images
            ]
            return lazily[0] if one else lazily
        results = []
        for index, image in enumerate(images):
            shape = result_axes(model, image).shape
            kind = result_dtype(image, config.dtype)
            if out is None:
                require_memory(
                    math.prod(shape) * kind.itemsize,
                    f"The result of {image.name}",
                    "denoise into files (predict_to_disk), or a part of it (region)",
                )
            result = np.zeros(shape, kind) if out is None else out
            results.append(result)
            changed = changes_of([image])
            with explain_memory_error("denoising"):
                whole = denoise(
                    model,
                    image,
                    result,
                    **tiling(config),
                    on_progress=self.on_progress,
                    should_stop=should_stop or never,
                    index=index,
                    num_images=len(images),
                    region=region,
                    first=first,
                    judge=judge,
                )
            if name := changed():
                raise changed_meanwhile(name)
            if not whole:
                break
        return results[0] if one else results

    def _opened(
        self,
        source: Any,
        read_source_func: ReadSource | None,
        extension_filter: str,
        *,
        axes: str | None = None,
        data_type: str | None = None,
        tile_size: Sequence[int] | None = None,
        tile_overlap: Sequence[int] | None = None,
        batch_size: int | None = None,
        level: int | None = None,
        tta: bool | int = False,
        dtype: Literal["float32", "source"] = "float32",
    ) -> tuple[InferenceConfig, list[Image]]:
        """How to denoise, and the images, which may still be on disk."""
        model = self.trained
        data_type = data_type or self._data_type(source)
        config = InferenceConfig.build(
            {
                "data_type": data_type,
                "axes": axes or self.config.data_config.axes,
                "level": self._level(data_type) if level is None else level,
                "tile_size": None if tile_size is None else tuple(tile_size),
                "tile_overlap": None if tile_overlap is None else tuple(tile_overlap),
                "tta": (8 if tta else 1) if isinstance(tta, bool) else tta,
                "channels": self.config.data_config.channels,
                "dtype": dtype,
                "image_means": model.normalization.means,
                "image_stds": model.normalization.stds,
                **({} if batch_size is None else {"batch_size": batch_size}),
            }
        )
        data = PredictDataModule(
            config,
            source,
            read_source_func,
            extension_filter,
            model.config.algorithm_config.model,
        )
        data.prepare_data()
        data.setup("predict")
        return config, data.images


def tiling(config: InferenceConfig) -> dict[str, Any]:
    """What of `config` the functions that denoise tiles take."""
    overlap = config.tile_overlap
    return {
        "tile_size": config.tile_size,
        "halo": None if overlap is None else [-(-n // 2) for n in overlap],
        "batch_size": config.batch_size,
        "versions": config.tta,
    }


def never() -> bool:
    """Nobody asks to stop."""
    return False


def _check_out(
    out: NDArray[Any],
    model: Model,
    images: Sequence[Image],
    one: bool,
    dtype: Literal["float32", "source"],
) -> None:
    if not one:
        raise ConfigurationError("out goes with a single array; leave it out otherwise.")
    shape, kind = result_axes(model, images[0]).shape, result_dtype(images[0], dtype)
    if out.shape != shape or out.dtype != kind:
        raise DataError(
            f"out is {out.dtype} of shape {out.shape}; it must be {kind} of the result's "
            f"shape {shape}."
        )
