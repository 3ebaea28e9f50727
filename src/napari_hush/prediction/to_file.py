"""Denoise one image into a file, without holding it in memory as a whole."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import ConfigurationError, DataError
from napari_hush.events import WarningIssued
from napari_hush.io import (
    Image,
    Result,
    ResultImage,
    TiffResult,
    ZarrResult,
    changed_meanwhile,
    changes_of,
    open_images,
    open_partial_output,
)
from napari_hush.io.lazy import chunk_cache
from napari_hush.io.partial_output import begun_job
from napari_hush.models import Model, keep_freed_memory
from napari_hush.prediction.cast import put, result_dtype
from napari_hush.prediction.denoiser import Denoiser
from napari_hush.prediction.progress import unseen_intensities
from napari_hush.prediction.tiles import Tile, group_by_shape, within
from napari_hush.prediction.to_array import check_suits, fitted, result_axes
from napari_hush.system.atomic_write import make_folder, writing

if TYPE_CHECKING:
    from napari_hush.config import InferenceConfig
    from napari_hush.io.partial_output import PartialOutput
    from napari_hush.prediction.progress import ImageProgress


@dataclass(frozen=True)
class FileTarget:
    """Where a result is written, and the metadata it gets."""

    path: Path
    """File or store; it appears under this name once it is complete."""
    kind: Literal["tiff", "zarr"]
    source: str
    """Fingerprint that changes when the source changes."""
    record: Mapping[str, Any]
    """Provenance of the result, kept in its metadata."""
    overwrite: bool = False


class FileWork:
    """Denoising `image` into a file: its tiles, and the file they are written to.

    `observe` is that of `Denoiser`. The same arguments make the same tiles, of which
    `blocks` has those of each part of the file.
    """

    def __init__(
        self,
        model: Model,
        image: Image,
        target: FileTarget,
        config: InferenceConfig,
        observe: Callable[[NDArray[Any]], None] | None = None,
    ) -> None:
        self._path, self._batch_size = target.path, config.batch_size
        self.denoiser = Denoiser(model, image, config, observe)
        self.described = _describe(model, image, target, config, self.denoiser.precision)
        self.result: Result = (
            TiffResult(self.described, target.path)
            if target.kind == "tiff"
            else ZarrResult(self.described, self.denoiser.tile_size, target.path)
        )
        self.blocks: Sequence[list[Tile]]
        if self.result.block is None:
            # By batches, whose bits may depend on the tiles in them.
            self.blocks = list(group_by_shape(self.denoiser.plan(), config.batch_size))
            self.num_tiles = sum(map(len, self.blocks))
        else:
            self.blocks = blocks = self.denoiser.blocks(self.result.block)
            self.num_tiles = blocks.num_tiles

    def write_missing(self, output: Output, progress: ImageProgress) -> None:
        """Denoise the missing blocks; each is written while the next one is denoised."""
        numbers: deque[int] = deque()

        def groups() -> Iterator[list[Tile]]:
            for number in output.missing:
                for group in group_by_shape(self.blocks[number], self._batch_size):
                    numbers.append(number)
                    yield group

        canvas, left = None, 0
        with WriteBehind(output) as behind:
            for group, found in self.denoiser.stream(progress.until_stopped(groups())):
                number = numbers.popleft()
                if canvas is None:
                    tiles = self.blocks[number]
                    canvas, left = self._new_canvas(tiles), len(tiles)
                for tile, pixels in found:
                    canvas.put(tile, pixels)
                left -= len(group)
                if not left:
                    behind.submit(number, canvas.write)
                    canvas = None
                progress.advance(group)

    def _new_canvas(self, tiles: Sequence[Tile]) -> _Canvas:
        return _Canvas(self.result, self.described, self._path, tiles)


class Crew(Protocol):
    """Other processes that write the blocks of one image."""

    config: InferenceConfig
    """That with which they, and this process, make the same tiles."""
    device: str
    """The type of device that they compute on."""

    def write(self, work: FileWork, output: PartialOutput, progress: ImageProgress) -> None:
        """Have the missing blocks written, or some if it is stopped."""

    def complete(self, level: int, count: int) -> None:
        """Have the shards of a resolution completed, see `ZarrResult.complete_shards`."""


Hire = Callable[..., AbstractContextManager[Crew]]
"""Gives a `Crew` for the model, image, target, settings, progress and unseen intensities
of `denoise_to_file`."""


@keep_freed_memory()
def denoise_to_file(
    model: Model,
    image: Image,
    target: FileTarget,
    config: InferenceConfig,
    progress: ImageProgress,
    hire: Hire | None = None,
) -> bool:
    """Write the denoised `image` into a file, tile by tile; False if it was stopped.

    A partial result lies beside its place under a name that starts with a dot; the same
    call denoises the missing tiles and ends with the same bits as an uninterrupted one.
    The `Crew` that `hire` gives writes an OME-Zarr, by default this process.

    Raises the errors of `denoise`; ExistingFileError if there is a partial result of
    another model, source or setting and `target.overwrite` is off; UnwritableFileError or
    LostProcessError if it cannot be written or other processes do not respond, and then
    keeps finished tiles.
    """
    check_suits(model, image)
    if progress.should_stop():
        return False
    model = fitted(model, image)
    config = _as_begun(config, model, target)
    unseen = unseen_intensities(model, config)
    hired = hire and hire(model, image, target, config, progress, unseen)
    with hired or nullcontext() as crew:
        if crew is not None:
            if progress.should_stop():  # while it waited for workers
                return False
            config = crew.config
        observe = unseen.see if progress.check else None
        work = FileWork(model, image, target, config, observe)
        described = work.described
        changed = changes_of([image])
        make_folder(target.path.parent)
        with open_partial_output(
            work.result,
            target.path,
            _job(model, image, target, config, work, crew),
            len(work.blocks),
            overwrite=target.overwrite,
        ) as output:
            missing = work.num_tiles
            if len(output.missing) < len(work.blocks):
                missing = sum(len(work.blocks[n]) for n in output.missing)
            progress.start(image, work.num_tiles, work.num_tiles - missing)
            try:
                if crew is None:
                    work.write_missing(output, progress)
                else:
                    crew.write(work, output, progress)
            except DataError:
                output.forget()
                raise
            if name := changed():
                output.forget()
                raise changed_meanwhile(name)
            if not progress.is_complete:
                return False
            chunk_cache.clear()  # pyramid levels need the memory
            if crew is not None and isinstance(work.result, ZarrResult):
                output.complete(partial(work.result.finish, crew.complete))
            else:
                output.complete()
    num_pixels = math.prod(described.axes.shape)
    progress.report_clipped(image, output.clipped, num_pixels, described.dtype)
    if np.any(image.mask):
        progress.on_progress(_unmasked(image.name))
    if progress.check:
        clean = _opened(target, work.result.axes, described)
        progress.report_warnings(model, image, clean, described.dtype, unseen)
    return True


def _unmasked(name: str) -> WarningIssued:
    return WarningIssued(
        "mask",
        f"Pixels of {name} are masked but not those of its result, as a file holds no "
        "mask; leave them out of measurements, or use CAREamist.predict, which keeps it.",
    )


def _as_begun(config: InferenceConfig, model: Model, target: FileTarget) -> InferenceConfig:
    """`config` with tiles and precision of an unfinished result, whose parts need them."""
    begun = begun_job(target.path)
    if (begun.get("model"), begun.get("source")) != (model.sha256, target.source):
        return config
    try:
        known = {name: begun["settings"][name] for name in ("tile_size", "precision")}
        if config.precision in ("32", "bf16"):
            del known["precision"]
        return config.replace(**known)
    except (ConfigurationError, KeyError, TypeError):  # damaged: refused when it is opened
        return config


def _describe(
    model: Model, image: Image, target: FileTarget, config: InferenceConfig, precision: str
) -> ResultImage:
    axes = result_axes(model, image)
    sizes = image.metadata.for_axes(axes.axes, axes.shape)
    record = {**target.record, "precision": precision}
    return ResultImage(axes, result_dtype(image, config.dtype), sizes, record)


def _job(
    model: Model,
    image: Image,
    target: FileTarget,
    config: InferenceConfig,
    work: FileWork,
    crew: Crew | None,
) -> dict[str, Any]:
    """Everything that decides the pixels, kept in the journal of a partial result."""
    denoiser, sizes = work.denoiser, work.described.sizes
    return {
        "model": model.sha256,
        "source": target.source,
        "settings": {
            "axes": image.axes.axes,
            "dtype": str(work.described.dtype),
            "kind": target.kind,
            "sizes": {
                "axes": sizes.axes,
                "scale": sizes.scale,
                "units": {a: unit for a, unit in sizes.units.items() if a in sizes.scale},
            },
            "tile_size": list(denoiser.tile_size),
            "halo": list(denoiser.halo),
            "batch_size": config.batch_size,
            "versions": config.tta,
            "device": crew.device if crew else denoiser.device.type,
            "precision": denoiser.precision,
            **({} if config.own_value == "auto" else {"own_value": config.own_value}),
        },
    }


@dataclass(frozen=True, eq=False)
class _Reordered(Image):
    """An image whose file has the axes in another order; its samples are the same."""

    @property
    def samples(self) -> list[Any]:
        """The samples of the file."""
        samples: list[Any] = self.data.samples
        return samples


def _opened(target: FileTarget, axes: str, described: ResultImage) -> Image:
    """The result in the file, as an image in the axes of its source."""
    own = described.axes.axes
    if "S" not in axes:
        own = own.replace("S", "T")
    (image,) = open_images(target.path, target.kind, "".join(a for a in axes if a in own))
    return _Reordered(image, described.axes, image.name)


class _Canvas:
    """Collects the tiles of one block; a format with blocks gets them as one array."""

    def __init__(
        self, result: Result, image: ResultImage, path: Path, tiles: Sequence[Tile]
    ) -> None:
        self._result, self._path = result, path
        self._dtype = image.dtype
        self._clipped = 0
        self._parts: list[tuple[int, tuple[slice, ...], NDArray[Any]]] = []
        self._block: NDArray[Any] | None = None
        if result.block is not None:
            self._inner = tuple(
                slice(min(p.start for p in parts), max(p.stop for p in parts))
                for parts in zip(*(tile.inner for tile in tiles), strict=True)
            )
            shape = [part.stop - part.start for part in self._inner]
            channels = image.axes.canonical_shape[1]
            self._block = np.empty((channels, *shape), image.dtype)
            self._parts.append((tiles[0].sample, self._inner, self._block))

    def put(self, tile: Tile, pixels: NDArray[np.floating]) -> None:
        """Add the pixels of a tile."""
        if self._block is None:
            place = np.empty(pixels.shape, self._dtype)
            self._parts.append((tile.sample, tile.inner, place))
        else:
            place = self._block[(slice(None), *within(tile.inner, self._inner))]
        self._clipped += put(place, pixels)

    def write(self) -> int:
        """Write all tiles; returns the number of pixels that were clipped."""
        for sample, inner, pixels in self._parts:
            with writing(self._path):
                self._result.write(sample, inner, pixels)
        return self._clipped


KEPT_EVERY = 5.0
"""Seconds of work that a crash may cost; syncing more often would slow the disk down."""


class Output(Protocol):
    """Where finished parts are noted: a `PartialOutput`, or one of another process."""

    missing: Sequence[int]
    """Numbers of the parts to write."""

    def note(self, number: int, clipped: int) -> None:
        """Record that a part is written."""

    def keep(self) -> None:
        """Force the written parts to the disk."""


class WriteBehind:
    """Writes one part of `output` at a time, in order, in a background thread."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._pool = ThreadPoolExecutor(1, "hush-writer")
        self._writing: Future[None] | None = None
        self._kept = time.monotonic()

    def submit(self, number: int, write: Callable[[], int]) -> None:
        """Write in the background; waits for the part before, and raises its error."""
        self.wait()
        self._writing = self._pool.submit(self._write, number, write)

    def wait(self) -> None:
        """Wait until everything is written; raises as `submit` does."""
        future, self._writing = self._writing, None
        if future is not None:
            future.result()

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
        elif self._writing is not None and (other := self._writing.exception()):
            error.add_note(f"Writing the part before failed as well: {other}")

    def _write(self, number: int, write: Callable[[], int]) -> None:
        self._output.note(number, write())
        if time.monotonic() - self._kept >= KEPT_EVERY:
            self._output.keep()
            self._kept = time.monotonic()
