"""`denoise`: one image and one model in, the denoised image out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_hush.arguments import by_any_name
from napari_hush.careamist import CAREamist
from napari_hush.errors import SourceTypeError
from napari_hush.io import axes_of, is_path, read_metadata
from napari_hush.io.arrays import without_dataset

if TYPE_CHECKING:
    from napari_hush.events import OnProgress
    from napari_hush.models import Model


@by_any_name
def denoise(
    image: Any,
    model: CAREamist | Model | str | Path = "built-in",
    *,
    axes: str | None = None,
    lazy: bool = False,
    tile_size: Sequence[int] | None = None,
    tta: bool | int = False,
    own_value: Literal["auto", "off"] = "auto",
    dtype: Literal["float32", "source"] = "float32",
    on_progress: OnProgress | None = None,
) -> Any:
    """Denoise one image.

    Parameters
    ----------
    image : array, str or Path
        A numpy, torch, dask, zarr or xarray array, or an image file or Zarr store.
    model : CAREamist, Model, str or Path
        The trained model, or its file; by default the built-in denoiser, which was trained
        on simulated images alone.
    axes : str, optional
        Axes of the image, one letter out of S, T, C, Z, Y, X per dimension, slowest first;
        by default those that the image names (xarray, zarr, files), else those of the
        training data, or YX for the built-in denoiser.
    lazy : bool
        Return a dask array with one chunk per tile, computed on access (``.compute()``, a
        slice, a viewer). Tiles are read with a halo, so their borders do not show.
    tile_size, tta, own_value, dtype
        Settings of `CAREamist.predict`; `tile_size` are also the chunks of a lazy result.
    on_progress : callable, optional
        Gets the events of `napari_hush.events`; a lazy result has none.

    Returns
    -------
    ndarray, dask.array.Array or xarray.DataArray
        In the axes, shape and intensities of the image. An xarray for an xarray, with its
        name, dimensions, coordinates and attributes; in it a dask array if `lazy`.

    Raises
    ------
    HushError
        If the image does not suit the model, or a file cannot be read.

    Examples
    --------
    >>> from napari_hush import denoise
    >>> first_look = denoise(noisy)                               # doctest: +SKIP
    >>> clean = denoise(noisy, "cells.safetensors", axes="ZYX")   # doctest: +SKIP
    >>> part = denoise("brain.zarr", "cells.safetensors", lazy=True)[500]  # doctest: +SKIP
    """
    if isinstance(image, list | tuple):
        raise SourceTypeError(
            "denoise takes one image but got a list; call it for each, or use "
            "CAREamist.predict, which takes lists."
        )
    if not isinstance(model, CAREamist):
        model = CAREamist(model, on_progress=on_progress)
    elif on_progress is not None:
        model = CAREamist(model.trained, on_progress=on_progress)
    image = without_dataset(image)
    if axes is None:
        axes = read_metadata(Path(image)).axes if is_path(image) else axes_of(image)
    found = model.predict(
        image,
        axes=axes,
        lazy=lazy,
        tile_size=tile_size,
        tta=tta,
        own_value=own_value,
        dtype=dtype,
    )
    result = found[0] if isinstance(found, list) else found
    is_xarray = type(image).__module__.partition(".")[0] == "xarray"
    return _labelled(result, image) if is_xarray else result


def _labelled(result: Any, source: Any) -> Any:
    """The result as an xarray, with the labels of `source` that fit."""
    import xarray

    dims = tuple(source.dims)
    if result.ndim > len(dims):
        dims = ("c", *dims)
    size = dict(zip(dims, result.shape, strict=True))
    coords = {
        name: values
        for name, values in source.coords.items()
        if all(size[dim] == source.sizes[dim] for dim in values.dims)
    }
    return xarray.DataArray(result, coords, dims, source.name, source.attrs)
