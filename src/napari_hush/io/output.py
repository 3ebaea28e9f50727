"""Results that are written to disk region by region, whatever their size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_hush.axes import CANONICAL
from napari_hush.errors import DataError, UnreadableFileError
from napari_hush.io.metadata import ImageMetadata

if TYPE_CHECKING:
    from napari_hush.axes import AxesMap
    from napari_hush.io.lazy import Bounds

RECORD = "napari_hush"
"""Key of the record in the metadata of files and layers."""


@dataclass(frozen=True)
class ResultImage:
    """Everything but the pixels of a result."""

    axes: AxesMap
    """Axes and shape, in the order of the source; the file may have another order."""
    dtype: np.dtype[Any]
    sizes: ImageMetadata = field(default_factory=ImageMetadata)
    """Pixel sizes, units, position and channel names."""
    record: Mapping[str, Any] | None = None
    """Provenance, ready for JSON."""
    colors: bool = False
    """Whether the three channels are red, green and blue of one picture."""

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return math.prod(self.axes.shape) * self.dtype.itemsize


class Result(Protocol):
    """A result that is being written; first call `begin` or `reopen`."""

    block: tuple[int, ...] | None
    """Size ``((Z), Y, X)`` of blocks that are written whole, each once; None where any
    region can be written."""

    axes: str
    """Its axes in the file."""

    def begin(self, path: Path) -> None:
        """Create the file or store at `path`, replacing what is there."""

    def reopen(self, path: Path) -> None:
        """Open an unfinished result; UnreadableFileError if it does not fit this one."""

    def write(self, sample: int, inner: Sequence[slice], pixels: NDArray[Any]) -> None:
        """Write `pixels` ``(C, (Z), Y, X)``, of the dtype of the result.

        Their place is `inner` ``((Z), Y, X)`` of `sample`, the index along S and T, S
        slowest.
        """

    def force(self) -> None:
        """Force written pixels to the disk."""

    def finish(self) -> None:
        """Complete the file once every region is written, and force it to the disk.

        Raises an UnreadableFileError if written regions are gone.
        """

    def close(self) -> None:
        """Close it as it is."""


def refuse_masked(mask: Any, name: str) -> None:
    """Raise a DataError if a pixel is masked, which no file can hold."""
    if np.any(mask):
        raise DataError(
            f"Pixels of {name} are masked, which a file cannot hold; replace them by a "
            "value first, as numpy.ma.filled does."
        )


def damaged(path: Path) -> UnreadableFileError:
    """Make the error for an unfinished result that does not fit its job."""
    return UnreadableFileError(
        f"The unfinished result {str(path)!r} is damaged or was replaced, by another "
        "program or a fault of the disk; delete it if it is there, and denoise again."
    )


def ordered(axes: AxesMap, order: str) -> tuple[str, tuple[int, ...]]:
    """Axes and shape in another `order`; without an S in it, S and T are joined as T."""
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
    """Place of a region (`Result.write`) in an array of other axes, and its pixels."""
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
