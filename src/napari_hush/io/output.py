"""Results that are written to disk region by region, whatever their size."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from napari_hush.axes import CANONICAL
from napari_hush.errors import UnreadableFileError
from napari_hush.io.metadata import ImageMetadata

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_hush.axes import AxesMap
    from napari_hush.io.lazy import Bounds


@dataclass(frozen=True)
class ResultImage:
    """What a result is, before there is a pixel of it.

    Attributes
    ----------
    axes : AxesMap
        Its axes and shape, in the order of its source; a file may have another one.
    dtype : dtype
        Type of a pixel.
    sizes : ImageMetadata
        Pixel sizes and units, by letter.
    record : mapping, optional
        How it comes about, fit for JSON.
    """

    axes: AxesMap
    dtype: np.dtype[Any]
    sizes: ImageMetadata = field(default_factory=ImageMetadata)
    record: Mapping[str, Any] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that all its pixels take."""
        return math.prod(self.axes.shape) * self.dtype.itemsize


class Result(Protocol):
    """A result that is being written; first call `begin` or `go_on`."""

    block: tuple[int, ...] | None
    """Size ``((Z), Y, X)`` of the blocks that are written as a whole, each once; None where
    any region can be written by itself."""

    axes: str
    """Its axes in the file."""

    def begin(self, path: Path) -> None:
        """Make what will hold the pixels, at ``path``, in place of what is there."""

    def go_on(self, path: Path, *, alone: bool = True) -> None:
        """Open what was begun at ``path``.

        Parameters
        ----------
        path : Path
            Where it is.
        alone : bool
            Whether no other process is writing to it.

        Raises
        ------
        UnreadableFileError
            If it is not what was begun.
        """

    def write(self, sample: int, inner: Sequence[slice], pixels: NDArray[Any]) -> None:
        """Write a region.

        Parameters
        ----------
        sample : int
            Index along S and T, S slowest.
        inner : sequence of slice
            Where, ``((Z), Y, X)``.
        pixels : ndarray
            ``(C, (Z), Y, X)``, of the type of the result.
        """

    def force(self) -> None:
        """Force what was written to the disk."""

    def finish(self) -> None:
        """Do what remains once every region is written, and force all to the disk."""

    def close(self) -> None:
        """Let go of it, as it is."""


def damaged(path: Path) -> UnreadableFileError:
    """Make the error for an unfinished result that is not what was begun."""
    return UnreadableFileError(
        f"The unfinished result {str(path)!r} is not what was begun; delete it."
    )


def ordered(axes: AxesMap, order: str) -> tuple[str, tuple[int, ...]]:
    """Axes and shape of an image in another order.

    Parameters
    ----------
    axes : AxesMap
        The image.
    order : str
        The letters that there are to be, in their order. Without an S among them, S and T
        are one, S the slower. What the image lacks has size 1.
    """
    size = dict(zip(axes.axes, axes.shape, strict=True))
    if "S" not in order:
        size["T"] = size.pop("S", 1) * size.get("T", 1)
    return order, tuple(size.get(letter, 1) for letter in order)


def placed(
    order: str,
    shape: Sequence[int],
    sample: int,
    inner: Sequence[slice],
    pixels: NDArray[Any],
) -> tuple[Bounds, NDArray[Any]]:
    """Where in an array of other axes a region lies, and its pixels in that order.

    Parameters
    ----------
    order : str
        Axes of the array, as `ordered` gives them; C and Z may be missing where they have
        size 1.
    shape : sequence of int
        Its shape.
    sample, inner, pixels
        See `Result.write`.

    Returns
    -------
    bounds : tuple of (int, int)
        Start and stop along each dimension of the array.
    pixels : ndarray
        A view of the shape of that box.
    """
    letters = "CZYX" if pixels.ndim == 4 else "CYX"
    frames = dict(zip(order, shape, strict=True)).get("T", 1)
    start = dict(zip(letters[1:], (part.start for part in inner), strict=True))
    start["S"], start["T"] = divmod(sample, frames)
    absent = [a for a in CANONICAL if a not in letters]
    spread = pixels[(None,) * len(absent)]
    names = [*absent, *letters]
    kept = [names.index(a) for a in order]
    size = dict(zip(names, spread.shape, strict=True))
    left = [i for i in range(spread.ndim) if i not in kept]
    box = spread.transpose(kept + left).reshape([size[a] for a in order])
    bounds = tuple((start.get(a, 0), start.get(a, 0) + size[a]) for a in order)
    return bounds, box
