"""One image and what is known of it, wherever its pixels come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.axes import AxesMap
from napari_hush.errors import DataError, HushError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Image:
    """Pixels, their axes, and the name that messages call them by.

    Attributes
    ----------
    data : ndarray
        Pixels in the source's own axes; any integer, unsigned, boolean or real dtype.
    axes : AxesMap
        The way from those axes to ``(S, C, (Z), Y, X)`` and back.
    name : str
        File name, or "the array".
    """

    data: NDArray[Any]
    axes: AxesMap
    name: str

    @classmethod
    def from_array(cls, array: Any, axes: str, name: str = "the array") -> Image:
        """Check that `axes` and dtype are usable and wrap `array`.

        Raises
        ------
        DataError
            If the axes do not fit the shape, an axis is empty, or the pixels are no
            real numbers.
        """
        array = np.asarray(array)
        if array.dtype.kind not in "buif":
            raise DataError(
                f"The pixels of {name} are of type {array.dtype}, but only real "
                "numbers can be used; convert them first."
            )
        try:
            return cls(array, AxesMap(axes, tuple(array.shape)), name)
        except HushError as error:
            raise type(error)(f"In {name}: {error}") from error

    @property
    def samples(self) -> list[NDArray[Any]]:
        """Views of the pixels, one ``(C, (Z), Y, X)`` per sample."""
        return self.axes.samples(self.data)
