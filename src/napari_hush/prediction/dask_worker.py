"""The work of a Dask worker for `prediction.on_dask`: it denoises shards of one image.

Workers open source and result themselves, so that no pixels pass through the scheduler.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from distributed import WorkerPlugin, get_worker

from napari_hush import __version__
from napari_hush.errors import ConfigurationError
from napari_hush.io.lazy import chunk_cache
from napari_hush.io.partial_output import missing_parts
from napari_hush.models import keep_freed_memory
from napari_hush.prediction.progress import ImageProgress, unseen_intensities
from napari_hush.prediction.to_file import FileTarget, FileWork
from napari_hush.system.atomic_write import writing

if TYPE_CHECKING:
    from distributed import Worker
    from numpy.typing import NDArray

    from napari_hush.config import InferenceConfig
    from napari_hush.io import Image, ZarrResult
    from napari_hush.models import Model, Precision
    from napari_hush.quality.warnings import UnseenCounts

_CACHE_BYTES = 2**26
"""Bytes of decoded chunks that a worker keeps, which may have little memory; at least 4
chunks."""
_SEEN_WITHIN = 10.0
"""Seconds until a new folder has to be visible on a worker."""


def dask_setup(worker: Worker) -> None:
    """Leave Ctrl+C, which a terminal sends to local workers as well, to the client."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(frozen=True)
class Plan:
    """Settings that affect pixels and differ between machines; equal on all workers."""

    version: str
    device: str
    precision: Precision
    tile_size: tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """The unfinished result that shards are written to."""

    plan: Plan
    path: str


@dataclass(frozen=True)
class Done:
    """The result of a task."""

    clipped: dict[int, int]
    """Clipped pixels by the number of each shard that is on disk."""
    unseen: UnseenCounts | None = None
    """Intensities of the pixels that were denoised."""


class DenoisingPlugin(WorkerPlugin):  # type: ignore[misc]
    """Denoises shards of one image on a worker, one task at a time."""

    def __init__(
        self,
        name: str,
        model: Model,
        image: Image,
        target: FileTarget,
        config: InferenceConfig,
        *,
        check: bool,
    ) -> None:
        self.name = name
        self._model, self._image, self._target = model, image, target
        self._config, self._check = config, check

    def setup(self, worker: Worker) -> None:
        """Keep the worker, and few chunks."""
        self._worker = worker
        pixels = self._image.data
        chunk = math.prod(pixels.chunks or ()) * pixels.dtype.itemsize
        few = max(_CACHE_BYTES, 4 * chunk)
        self._cached, chunk_cache.limit = chunk_cache.limit, few
        self._stopped = False
        self._one_at_a_time = threading.Lock()
        self._part: Part | None = None

    def teardown(self, worker: Worker) -> None:
        """End the task that is computed after its current tiles."""
        self._stopped = True
        chunk_cache.limit = self._cached

    def plan(self) -> Plan:
        """That of this machine."""
        if self._image.path is not None:
            self._require(self._image.path)
        denoiser = self._work(self._config).denoiser
        device, precision = denoiser.device.type, denoiser.precision
        return Plan(__version__, device, precision, denoiser.tile_size)

    def write(self, part: Part, start: int, stop: int) -> Done:
        """Write the missing ones of shards ``start ... stop - 1``.

        Freed memory, which Dask would give back at once, is given back at the end.
        """
        with self._one_at_a_time, self._all_threads(), keep_freed_memory():
            work = self._opened(part)
            self._unseen = unseen_intensities(self._model, self._config)
            missing = missing_parts(self._target.path, start, stop)
            output = _Written(missing, work.result, self._target.path, self._report)
            try:
                work.write_missing(output, ImageProgress(lambda event: None, self._stops))
            finally:
                output.keep()
            return Done(output.done, self._unseen.counts if self._check else None)

    def complete(self, part: Part, level: int, start: int, stop: int) -> Done:
        """Complete shards of a resolution, see `ZarrResult.complete_shards`."""
        path = self._target.path
        with self._one_at_a_time, writing(path):
            chunk_cache.clear()
            result = cast("ZarrResult", self._opened(part).result)
            done = {}
            for number in range(start, stop):
                if self._stops():
                    break
                result.complete_shards(level, number, number + 1)
                done[number] = 0
            result.force()
        return Done(done)

    def _work(self, config: InferenceConfig) -> FileWork:
        return FileWork(self._model, self._image, self._target, config, self._see)

    def _see(self, pixels: NDArray[Any]) -> None:
        if self._check:
            self._unseen.see(pixels)

    def _opened(self, part: Part) -> FileWork:
        """The work for a result, which is opened once."""
        if part != self._part:
            self._require(Path(part.path))
            plan = part.plan
            if __version__ != plan.version:
                raise ConfigurationError(
                    f"The Dask worker {self._worker.address} has napari-hush "
                    f"{__version__} but others {plan.version}; use one version on all."
                )
            fixed = {"tile_size": plan.tile_size, "precision": plan.precision}
            self._opened_work = self._work(self._config.replace(**fixed))
            device = self._opened_work.denoiser.device.type
            if device != plan.device:
                raise ConfigurationError(
                    f"The Dask worker {self._worker.address} computes on {device} but "
                    f"others on {plan.device}, which round in other ways; use workers of "
                    "one kind."
                )
            self._opened_work.result.reopen(Path(part.path))
            self._part = part
        return self._opened_work

    def _require(self, path: Path) -> None:
        """Wait for a path, which a network file system may show late; else raise."""
        given_up = time.monotonic() + _SEEN_WITHIN
        while not path.exists():
            if time.monotonic() > given_up:
                raise ConfigurationError(
                    f"The Dask worker {self._worker.address} does not see {str(path)!r}; "
                    "all workers need the folders of images and results under the same "
                    "names."
                )
            time.sleep(0.2)

    def _report(self, clipped: dict[int, int]) -> None:
        self._worker.log_event(self.name, [*clipped.items()])

    def _stops(self) -> bool:
        """Whether nobody waits for the current task any more."""
        if self._stopped:
            return True
        task = self._worker.state.tasks.get(self._worker.get_current_task())
        return task is None or task.state != "executing"

    @contextmanager
    def _all_threads(self) -> Iterator[None]:
        """Compute with all threads of the worker, as tasks do so one after the other."""
        before = torch.get_num_threads()
        torch.set_num_threads(self._worker.state.nthreads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


class _Written:
    """The `Output` of a worker, which reports what is on the disk."""

    def __init__(
        self,
        missing: Sequence[int],
        result: Any,
        path: Path,
        report: Callable[[dict[int, int]], None],
    ) -> None:
        self.missing = missing
        self.done: dict[int, int] = {}
        self._noted: dict[int, int] = {}
        self._result, self._path, self._send = result, path, report

    def note(self, number: int, clipped: int) -> None:
        self._noted[number] = clipped

    def keep(self) -> None:
        with writing(self._path):
            self._result.force()
        if self._noted:
            self._send(self._noted)
            self.done |= self._noted
            self._noted = {}


def call(name: str, method: str, *arguments: Any) -> Any:
    """A task: call a method of the plugin; None if the work was stopped."""
    plugin = get_worker().plugins.get(name)
    return plugin and getattr(plugin, method)(*arguments)
