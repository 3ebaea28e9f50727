"""Arrays that people bring: numpy, and those that keep their pixels elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.errors import SourceTypeError
from napari_hush.io.images import Pixels
from napari_hush.io.metadata import letters_of
from napari_hush.io.pixels import Bounds, LazyPixels
from napari_hush.io.zarr_pixels import ZarrPixels
from napari_hush.io.zarr_store import array_axes

if TYPE_CHECKING:
    from numpy.typing import NDArray


class LabelledPixels(LazyPixels):
    """Pixels of an ``xarray.DataArray`` that was opened from a file, left there.

    Parameters
    ----------
    array : xarray.DataArray
        The array; only its positions count, not its coordinates.
    """

    def __init__(self, array: Any) -> None:
        super().__init__(array.shape, array.dtype)
        self._array = array

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        return np.array(self._array[tuple(slice(*pair) for pair in bounds)])


def lazily(array: Any) -> Any:
    """Give an array in the form that reads its regions best, without reading it.

    Zarr arrays get the cache of decoded chunks; of labelled arrays (xarray) what is
    beneath the labels is taken; dask arrays, numpy arrays and all others stay as they
    are.
    """
    kind = _kind(array)
    if kind == ("zarr", "Array"):
        return ZarrPixels(array)
    if kind == ("xarray", "DataArray"):
        in_file = array.chunks is None and "source" in array.encoding
        return LabelledPixels(array) if in_file else lazily(array.data)
    return array


def check_array(array: Any) -> None:
    """Check that something can be taken for an array, without reading it.

    Raises
    ------
    SourceTypeError
        If it cannot.
    """
    if _kind(array) == ("zarr", "Group"):
        raise SourceTypeError(
            "An image was given as a Zarr group; give one of its arrays, for example "
            "group['0']."
        )
    if not hasattr(array, "__array__") and not isinstance(array, Pixels):
        raise SourceTypeError(
            f"An image was given as {type(array).__name__}; give an array (numpy, zarr, "
            "dask, xarray) or a path."
        )


def axes_of(array: Any) -> str | None:
    """Axes that an array itself names, one letter per dimension.

    Returns
    -------
    str or None
        Of an xarray by its dims, of a Zarr array by its dimension names; None if it has
        no names, or others than those of the axes.
    """
    kind = _kind(array)
    if kind == ("xarray", "DataArray"):
        return letters_of(array.dims)
    return array_axes(array) if kind == ("zarr", "Array") else None


def _kind(array: Any) -> tuple[str, str]:
    # By name, since importing these packages to ask takes seconds.
    return type(array).__module__.partition(".")[0], type(array).__name__
