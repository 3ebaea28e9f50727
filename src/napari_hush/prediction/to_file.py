"""Denoise one image into a file, which never is in memory as a whole."""

from __future__ import annotations

import itertools
import math
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from napari_hush.errors import ConfigurationError, DataError
from napari_hush.events import ImageStarted, OnProgress, PixelsClipped, TilesDone
from napari_hush.io import (
    FileBarrier,
    Image,
    ImageMetadata,
    Result,
    ResultImage,
    TiffResult,
    ZarrResult,
    changed_meanwhile,
    changes_of,
    open_images,
    open_partial_output,
)
from napari_hush.io.chunk_cache import chunk_cache
from napari_hush.models import Model, keep_freed_memory
from napari_hush.prediction.cast import put, result_dtype
from napari_hush.prediction.denoiser import Denoiser
from napari_hush.prediction.tiles import Tile, group_by_shape
from napari_hush.prediction.to_array import cautions, check_suits, result_axes
from napari_hush.quality import UnseenIntensities
from napari_hush.system.atomic_write import make_folder, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from napari_hush.io.partial_output import PartialOutput


@dataclass(frozen=True)
class FileTarget:
    """Where the result of a file goes and what is known of it.

    Attributes
    ----------
    path : Path
        Its place; it appears under this name once it is whole.
    kind : {"tiff", "zarr"}
        TIFF or OME-Zarr.
    source : str
        What changes when the source changes.
    record : mapping
        How the result comes about; kept in its metadata.
    overwrite : bool
        Whether it may replace what is there.
    """

    path: Path
    kind: Literal["tiff", "zarr"]
    source: str
    record: Mapping[str, Any]
    overwrite: bool = False


@keep_freed_memory()
def denoise_to_file(
    model: Model,
    image: Image,
    target: FileTarget,
    *,
    dtype: Literal["float32", "source"] = "float32",
    tile_size: Sequence[int] | None = None,
    halo: Sequence[int] | None = None,
    batch_size: int = 1,
    versions: int = 1,
    on_progress: OnProgress,
    should_stop: Callable[[], bool],
    index: int = 0,
    num_images: int = 1,
    judge: bool = False,
    meeting: FileBarrier | None = None,
) -> bool:
    """Write the denoised `image` into a file, tile by tile.

    A result that is not whole lies beside its place under a name that starts with a dot;
    the same call goes on with the tiles that are missing, and ends with the same bits as
    if nothing had happened.

    Parameters
    ----------
    model : Model
        Network and statistics.
    image : Image
        What to denoise; on disk or in memory.
    target : FileTarget
        Where to write.
    dtype : {"float32", "source"}
        Type of the result, see `result_dtype`.
    tile_size, halo, batch_size, versions, on_progress, should_stop, index, num_images
        See `denoise`.
    judge : bool
        See `denoise`.
    meeting : Meeting, optional
        Of several processes that write one OME-Zarr, each its own shards.

    Returns
    -------
    bool
        True if the result is whole, or this process has done its part of it; False if
        `should_stop` ended it.

    Raises
    ------
    DataError
        If the image does not suit the model or holds NaN or infinite pixels.
    ConfigurationError
        If there are more processes than shards.
    LostProcessError
        If another process does nothing any more; what is done is kept.
    ExistingFileError
        If an unfinished result of another model, source or setting is there and
        `target.overwrite` is off.
    UnwritableFileError
        If it cannot be written; tiles that are done are kept.
    """
    check_suits(model, image)
    if should_stop():
        return False
    denoiser = Denoiser(
        model, tile_size=tile_size, halo=halo, batch_size=batch_size, versions=versions
    )
    axes = result_axes(model, image)
    known = image.metadata
    sizes = {a: size for a, size in known.scale.items() if a in axes.axes}
    what = ResultImage(
        axes,
        result_dtype(image, dtype),
        ImageMetadata.of(axes.axes, sizes, known.units),
        target.record,
    )
    result: Result = (
        TiffResult(what, target.path)
        if target.kind == "tiff"
        else ZarrResult(what, denoiser.tile_size(image), target.path)
    )
    blocks = in_blocks(denoiser.plan(image), result.block, batch_size)
    own = range(len(blocks))
    if meeting is not None:
        if meeting.ranks > len(blocks):
            raise ConfigurationError(
                f"The result of {image.name} has {len(blocks)} shards but {meeting.ranks} "
                "processes share them, so some would have nothing to do; use "
                f"{len(blocks)} processes or fewer."
            )
        own = range(meeting.rank, len(blocks), meeting.ranks)
    job = {
        "model": model.sha256,
        "source": target.source,
        "settings": {
            "axes": image.axes.axes,
            "dtype": str(what.dtype),
            "kind": target.kind,
            "sizes": asdict(what.sizes),
            "tile_size": list(denoiser.tile_size(image)),
            "halo": list(denoiser.halo),
            "batch_size": batch_size,
            "versions": versions,
            "device": denoiser.device.type,
            "precision": denoiser.precision,
        },
    }
    path, unseen = target.path, UnseenIntensities(model.provenance.ranges)
    fitting = denoiser.fitting(image, unseen.see if judge else None)
    changed = changes_of([image])
    make_folder(path.parent)
    with open_partial_output(
        result, path, job, len(blocks), overwrite=target.overwrite, barrier=meeting
    ) as place:
        number = sum(len(blocks[n]) for n in own)
        done = number - sum(len(blocks[n]) for n in place.missing)
        on_progress(ImageStarted(image.name, index, num_images, number))
        if done:
            on_progress(TilesDone(done, number, ()))
        work = [
            (n, g) for n in place.missing for g in group_by_shape(blocks[n], batch_size)
        ]
        groups = itertools.takewhile(lambda _: not should_stop(), (g for _, g in work))
        canvas, left = None, 0
        try:
            with WriteBehind(place) as behind:
                for (n, _), (group, found) in zip(
                    work, denoiser.stream(fitting, groups), strict=False
                ):
                    if canvas is None:
                        canvas, left = (
                            _Canvas(result, what, blocks[n], path),
                            len(blocks[n]),
                        )
                    for tile, pixels in found:
                        canvas.put(tile, pixels)
                    done, left = done + len(group), left - len(group)
                    if not left:
                        behind.write(n, canvas)
                        canvas = None
                    on_progress(TilesDone(done, number, tuple(t.region for t in group)))
            if name := changed():
                place.forget()
                raise changed_meanwhile(name)
        except DataError:
            place.forget()
            raise
        if done < number:
            return False
        chunk_cache.clear()  # what was read has served; coarse resolutions need the room
        place.complete()
        clipped = place.clipped
    if meeting is not None and not meeting.is_first:
        return True
    if what.dtype.kind in "ui":
        count = math.prod(axes.shape)
        on_progress(PixelsClipped(image.name, clipped, count, str(what.dtype)))
    if judge:
        clean = _opened(path, target.kind, result.axes, what)
        for caution in (unseen.caution(image.name), *cautions(model, image, clean)):
            if caution is not None:
                on_progress(caution)
    return True


@dataclass(frozen=True, eq=False)
class _Turned(Image):
    """An image in a file of another order of axes, but for which it is the same."""

    @property
    def samples(self) -> list[Any]:
        """Those of the file."""
        found: list[Any] = self.data.samples
        return found


def _opened(
    path: Path, kind: Literal["tiff", "zarr"], axes: str, what: ResultImage
) -> Image:
    """The result in the file, as an image in the axes of its source."""
    own = what.axes.axes if "S" in axes else what.axes.axes.replace("S", "T")
    (image,) = open_images(path, kind, "".join(a for a in axes if a in own))
    return _Turned(image, what.axes, image.name)


class _Canvas:
    """Takes the tiles of one block, of a result that may want it as a whole."""

    def __init__(
        self, result: Result, image: ResultImage, tiles: Sequence[Tile], path: Path
    ) -> None:
        self._result, self._path = result, path
        self._dtype = image.dtype
        self._clipped = 0
        self._parts: list[tuple[int, tuple[slice, ...], NDArray[Any]]] = []
        self._whole: NDArray[Any] | None = None
        if result.block is not None:
            self._inner = tuple(
                slice(min(p.start for p in parts), max(p.stop for p in parts))
                for parts in zip(*(tile.inner for tile in tiles), strict=True)
            )
            shape = [part.stop - part.start for part in self._inner]
            channels = image.axes.canonical_shape[1]
            self._whole = np.empty((channels, *shape), image.dtype)
            self._parts.append((tiles[0].sample, self._inner, self._whole))

    def put(self, tile: Tile, pixels: NDArray[np.float32]) -> None:
        """Take a tile."""
        if self._whole is None:
            place = np.empty(pixels.shape, self._dtype)
            self._parts.append((tile.sample, tile.inner, place))
        else:
            inside = (
                slice(part.start - box.start, part.stop - box.start)
                for part, box in zip(tile.inner, self._inner, strict=True)
            )
            place = self._whole[(slice(None), *inside)]
        self._clipped += put(place, pixels)

    def finish(self) -> int:
        """Write everything; the number of pixels that were clipped."""
        for sample, inner, pixels in self._parts:
            with writing(self._path):
                self._result.write(sample, inner, pixels)
        return self._clipped


def in_blocks(
    tiles: Sequence[Tile], block: Sequence[int] | None, batch_size: int
) -> list[list[Tile]]:
    """Group tiles by what is written at once.

    Parameters
    ----------
    tiles : sequence of Tile
        All of an image.
    block : sequence of int, optional
        Size ``((Z), Y, X)`` of blocks that are made of whole tiles; None where each tile
        is written by itself.
    batch_size : int
        Tiles that are denoised at once, which always are the same ones, whichever are
        missing, since their bits may depend on it.
    """
    if block is None:
        return list(group_by_shape(tiles, batch_size))
    blocks: dict[tuple[int, ...], list[Tile]] = {}
    for tile in tiles:
        place = (p.start // n for p, n in zip(tile.inner, block, strict=True))
        blocks.setdefault((tile.sample, *place), []).append(tile)
    return [blocks[key] for key in sorted(blocks)]


KEPT_EVERY = 5.0
"""Seconds of work that a crash may cost; forcing more often to the disk would slow it."""


class Written(Protocol):
    """A part that knows how it is written."""

    def finish(self) -> int:
        """Write it; the number of pixels that were clipped."""


class WriteBehind:
    """Writes one part at a time, in order, in a thread of its own.

    A part is noted in the journal once it is written. Leaving waits for the part in hand,
    whatever else has happened.

    Parameters
    ----------
    place : Unfinished
        The result that the parts belong to; nobody else may note parts meanwhile.
    """

    def __init__(self, place: PartialOutput) -> None:
        self._place = place
        self._pool = ThreadPoolExecutor(1, "hush-writer")
        self._in_hand: Future[None] | None = None
        self._kept = time.monotonic()

    def write(self, number: int, part: Written) -> None:
        """Write `part` before long; waits for the one before it.

        Raises
        ------
        UnwritableFileError
            If that one could not be written.
        """
        self.wait()
        self._in_hand = self._pool.submit(self._write, number, part)

    def wait(self) -> None:
        """Wait until everything is written; raises as `write` does."""
        in_hand, self._in_hand = self._in_hand, None
        if in_hand is not None:
            in_hand.result()

    def __enter__(self) -> WriteBehind:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()
        if error is None:
            self.wait()
        elif self._in_hand is not None and (other := self._in_hand.exception()):
            error.add_note(f"The part in hand could not be written either: {other}")

    def _write(self, number: int, part: Written) -> None:
        self._place.note(number, part.finish())
        if time.monotonic() - self._kept >= KEPT_EVERY:
            self._place.keep()
            self._kept = time.monotonic()
