"""Results that are written to disk region by region, whatever their size.

Several processes can write one result: files next to it synchronize them, without network
connections, so that a process that was lost can be restarted, even on another machine.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_hush.axes import CANONICAL
from napari_hush.errors import DataError, LostProcessError, UnreadableFileError
from napari_hush.io.metadata import ImageMetadata
from napari_hush.system.atomic_write import whole_file

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

    def reopen(self, path: Path, *, alone: bool = True) -> None:
        """Open an unfinished result; `alone` unless other processes write to it.

        Raises an UnreadableFileError if it does not fit this result.
        """

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


_POLL_INTERVAL = 0.2
"""Seconds between checks of the files of the other processes."""


@dataclass(frozen=True)
class FileBarrier:
    """One of the processes of a job; it waits for the others and reports to them."""

    target: Path
    """Path of the result; the files are next to it, with names that begin with a dot."""
    rank: int
    """Number of this process."""
    ranks: int
    """Number of processes."""
    job: str
    """Distinguishes this start of the job from earlier ones."""
    timeout: float
    """Seconds without progress after which the others count as lost."""

    @property
    def is_first(self) -> bool:
        """Whether this process begins the result and moves it to its final path."""
        return self.rank == 0

    def mine(self, numbers: list[int]) -> list[int]:
        """The parts among `numbers` that this process writes."""
        return [number for number in numbers if number % self.ranks == self.rank]

    def start(self) -> None:
        """Let the other processes start; called by the first process."""
        self.remove_files()
        self._send(0, 0)

    def wait_for_start(self) -> None:
        """Wait for `start` of the first process; LostProcessError after `timeout` s."""
        began = time.monotonic()
        while self._received(0) is None:
            if time.monotonic() - began > self.timeout:
                raise self._lost(0)
            time.sleep(_POLL_INTERVAL)

    def report_done(self, clipped: int) -> None:
        """Report that this process is done, and how many pixels it clipped."""
        self._send(self.rank, clipped)

    def wait_for_others(self, missing: Callable[[], int]) -> int:
        """Wait for the others while `missing` falls; return their clipped pixels."""
        fewest, last_progress = missing(), time.monotonic()
        while True:
            received = [self._received(rank) for rank in range(1, self.ranks)]
            clipped = [number for number in received if number is not None]
            if len(clipped) == len(received):
                self.remove_files()
                return sum(clipped)
            now = missing()
            if now < fewest:
                fewest, last_progress = now, time.monotonic()
            if time.monotonic() - last_progress > self.timeout:
                raise self._lost(received.index(None) + 1)
            time.sleep(_POLL_INTERVAL)

    def remove_files(self) -> None:
        """Remove the files of all processes."""
        for rank in range(self.ranks):
            self._file(rank).unlink(missing_ok=True)

    def _file(self, rank: int) -> Path:
        return self.target.with_name(f".{self.target.name}.process-{rank}")

    def _send(self, rank: int, number: int) -> None:
        with whole_file(self._file(rank)) as part:
            part.write_text(json.dumps([self.job, number]), encoding="utf-8")

    def _received(self, rank: int) -> int | None:
        """The number that a process sent in this job, or None."""
        try:
            job, number = json.loads(self._file(rank).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return int(number) if job == self.job else None

    def _lost(self, rank: int) -> LostProcessError:
        return LostProcessError(
            f"Process {rank} of {self.ranks} made no progress for {self.timeout:g} s and "
            f"counts as lost; run the same command again to resume {self.target.name!r}."
        )


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
