"""Denoise one image on the workers of a Dask cluster, into one OME-Zarr.

A task writes a run of shards and returns how many pixels it clipped in each. Workers open
source and result themselves, so that no pixels pass through the scheduler. The model gets
to each worker once, in a plugin, also to workers that join later.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import PicklingError
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from dask.system import CPU_COUNT
from distributed import (
    Client,
    Future,
    LocalCluster,
    Nanny,
    Scheduler,
    SpecCluster,
    WorkerPlugin,
    get_worker,
)
from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker

from napari_hush import __version__
from napari_hush.errors import ConfigurationError, LostProcessError
from napari_hush.io.lazy import LazyPixels, chunk_cache
from napari_hush.io.partial_output import missing_parts
from napari_hush.models import keep_freed_memory
from napari_hush.prediction.progress import ImageProgress, never, unseen_intensities
from napari_hush.prediction.to_file import KEPT_EVERY, FileTarget, FileWork
from napari_hush.system.atomic_write import writing

if TYPE_CHECKING:
    from distributed import Worker
    from numpy.typing import NDArray

    from napari_hush.config import InferenceConfig
    from napari_hush.io import Image, ZarrResult
    from napari_hush.io.partial_output import PartialOutput
    from napari_hush.models import Model, Precision
    from napari_hush.prediction.to_file import Hire
    from napari_hush.quality import UnseenIntensities
    from napari_hush.quality.warnings import UnseenCounts

_log = logging.getLogger(__name__)

MOST_TASKS = 10_000
"""Tasks of a large image, about; a task of a larger image writes more shards."""
MOST_SHARDS = 16
"""Shards of a task of an image with fewer shards than `MOST_TASKS` times that."""
AT_ONCE = 2
"""Tasks per worker that the scheduler has: one is computed, the next one waits there."""
_ATTEMPTS = 3
"""Times that shards are asked for, if tasks end without them."""
_POLL_INTERVAL = 0.2
"""Seconds between questions whether to stop."""
_COUNT_INTERVAL = 2.0
"""Seconds between counts of the workers."""
_STOP_TIMEOUT = 60.0
"""Seconds that workers may take to end their tasks."""
_CONNECT_TIMEOUT = 10.0
"""Seconds that a scheduler may take to answer."""
_CACHE_BYTES = 2**26
"""Bytes of decoded chunks that a worker keeps, which may have little memory; at least 4
chunks."""
_CORES = 4
"""Cores of a local worker."""


def batch_size(left: int, count: int, workers: int) -> int:
    """Shards of the next task, if `left` of `count` belong to none yet.

    Tasks get smaller at the end, so that all workers end at about the same time.
    """
    most = max(MOST_SHARDS, -(-count // MOST_TASKS))
    return max(1, min(most, left // (AT_ONCE * workers)))


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """A client of the scheduler at an address or of a scheduler file; "local" starts one.

    Raises a ConfigurationError if none answers.
    """
    if address == "local":
        with _local_cluster() as cluster, Client(cluster, set_as_default=False) as client:
            yield client
        return
    where: dict[str, Any] = {"address": address}
    if address.endswith(".json"):
        if not Path(address).is_file():
            raise ConfigurationError(
                f"There is no scheduler file {address!r}; give the file or the address of "
                "a running Dask scheduler, or local."
            )
        where = {"scheduler_file": address}
    try:
        client = Client(**where, timeout=_CONNECT_TIMEOUT, set_as_default=False)
    except (OSError, ValueError, RuntimeError, ImportError, TypeError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ConfigurationError(
            f"No Dask scheduler answers at {address!r} ({reason}); start one with dask "
            "scheduler and give its address, such as tcp://machine:8786, or local."
        ) from error
    with client:
        yield client


def _local_cluster() -> SpecCluster:
    """One worker per GPU, or per few cores."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    options: dict[str, Any] = {"preload": [__name__]}  # for `dask_setup`
    if not gpus:
        count = max(1, CPU_COUNT // _CORES)
        return LocalCluster(
            n_workers=count,
            threads_per_worker=max(1, CPU_COUNT // count),
            dashboard_address=":0",
            **options,
        )
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = given.split(",") if given else [str(number) for number in range(gpus)]
    options["nthreads"] = max(1, CPU_COUNT // gpus)
    return SpecCluster(
        scheduler={"cls": Scheduler, "options": {"dashboard_address": ":0"}},
        workers={
            number: {
                "cls": Nanny,
                "options": {**options, "env": {"CUDA_VISIBLE_DEVICES": name}},
            }
            for number, name in enumerate(names)
        },
    )


def dask_setup(worker: Worker) -> None:
    """Leave Ctrl+C, which a terminal sends to local workers as well, to the client."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(frozen=True)
class Plan:
    """What decides the pixels and differs between machines; the same on all workers."""

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
    """What a worker needs to denoise shards of one image, one task at a time."""

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
        """Keep the worker, few chunks, and freed memory, which Dask gives back at once."""
        self._worker = worker
        pixels = self._image.data
        chunk = math.prod(pixels.chunks or ()) * pixels.dtype.itemsize
        few = max(_CACHE_BYTES, 4 * chunk)
        self._cached, chunk_cache.limit = chunk_cache.limit, few
        self._memory = ExitStack()
        self._memory.enter_context(keep_freed_memory())
        self._stopped = False
        self._one_at_a_time = threading.Lock()
        self._part: Part | None = None

    def teardown(self, worker: Worker) -> None:
        """End the task that is computed after its current tiles."""
        self._stopped = True
        chunk_cache.limit = self._cached
        self._memory.close()

    def plan(self) -> Plan:
        """That of this machine."""
        denoiser = self._work(self._config).denoiser
        device, precision = denoiser.device.type, denoiser.precision
        return Plan(__version__, device, precision, denoiser.tile_size)

    def write(self, part: Part, start: int, stop: int) -> Done:
        """Write the missing ones of shards ``start ... stop - 1``."""
        with self._one_at_a_time, self._all_threads():
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


def _call(name: str, method: str, *arguments: Any) -> Any:
    """A task: call a method of the plugin; None if the work was stopped."""
    plugin = get_worker().plugins.get(name)
    return plugin and getattr(plugin, method)(*arguments)


def crew_of(client: Any) -> Hire:
    """Have images denoised by the workers of a Dask `client`, see `denoise_to_file`."""
    if not isinstance(client, Client) or client.asynchronous:
        raise ConfigurationError(
            f"client is a {type(client).__name__}; give a dask.distributed.Client that "
            "is not asynchronous."
        )

    @contextmanager
    def hire(
        model: Model,
        image: Image,
        target: FileTarget,
        config: InferenceConfig,
        progress: ImageProgress,
        unseen: UnseenIntensities,
    ) -> Iterator[DaskCrew]:
        if not isinstance(image.data, LazyPixels) or image.path is None:
            raise ConfigurationError(
                f"{image.name} can only be read as a whole, and Dask workers read parts of "
                "images; convert it to OME-Zarr or TIFF, or denoise it without Dask."
            )
        target = replace(target, path=target.path.absolute())
        name = f"hush-{uuid.uuid4().hex}"
        plugin = DenoisingPlugin(name, model, image, target, config, check=progress.check)
        crew = DaskCrew(client, plugin, progress, unseen)
        try:
            crew.make_plan(config)
            yield crew
        finally:
            crew.stop()

    return hire


class DaskCrew:
    """The workers of a Dask client; the `Crew` of one image."""

    def __init__(
        self,
        client: Client,
        plugin: DenoisingPlugin,
        progress: ImageProgress,
        unseen: UnseenIntensities,
    ) -> None:
        self._client, self._name = client, plugin.name
        self._progress, self._unseen = progress, unseen
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._running: dict[str, Future] = {}
        self._started = self._workers = 0
        self._counted = -math.inf
        self._stopped = False
        with _connection():
            try:
                client.register_plugin(plugin, name=plugin.name)
            except (ImportError, AttributeError) as error:
                raise ConfigurationError(
                    f"The Dask workers cannot load napari-hush ({error}); install version "
                    f"{__version__} in their Python environment."
                ) from error
            except (TypeError, ValueError, PicklingError) as error:
                raise ConfigurationError(
                    f"The model or the image cannot be sent to Dask workers ({error}); "
                    "denoise without Dask."
                ) from error
            client.subscribe_topic(self._name, lambda event: self._inbox.put(event[1]))

    def make_plan(self, config: InferenceConfig) -> None:
        """Set `config` and `device` to those of the first worker, unless it is stopped."""
        self.config, self.device = config, ""
        if not self._num_workers():
            _log.warning("There is no Dask worker yet; waiting for the first one.")
        self._submit("plan")
        while self._running and not self._progress.should_stop():
            for plan in self._received():
                self._plan = plan
                self.device = plan.device
                self.config = config.replace(
                    tile_size=plan.tile_size, precision=plan.precision
                )

    def write(self, work: FileWork, output: PartialOutput, progress: ImageProgress) -> None:
        """Have the missing shards written, see `Crew`."""
        missing = np.zeros(len(work.blocks), bool)
        missing[output.missing] = True
        self._part = Part(self._plan, str(output.part.absolute()))
        kept = time.monotonic()

        def note(number: int, clipped: int) -> None:
            nonlocal kept
            output.note(number, clipped)
            if time.monotonic() - kept >= KEPT_EVERY:
                output.keep()
                kept = time.monotonic()
            progress.advance(work.blocks[number])

        self._run("write", missing, note, should_stop=progress.should_stop)

    def complete(self, level: int, count: int) -> None:
        """Have shards of a resolution completed, see `Crew`."""
        self._run("complete", np.ones(count, bool), lambda number, clipped: None, level)

    def stop(self) -> None:
        """End tasks after their current tiles."""
        if self._stopped:
            return
        self._stopped = True
        with suppress(Exception):  # the scheduler may be gone, in whatever way
            self._client.unsubscribe_topic(self._name)
            self._client.unregister_worker_plugin(self._name)

    def _run(
        self,
        method: str,
        missing: NDArray[np.bool_],
        note: Callable[[int, int], None],
        *arguments: Any,
        should_stop: Callable[[], bool] = never,
    ) -> None:
        """Have `method` of the plugin called for all `missing` shards, some per task.

        ``note(number, clipped)`` is called once for each that is on the disk.
        """

        def arrived(done: Done) -> None:
            for number, clipped in done.clipped.items():
                if missing[number]:  # not reported before
                    missing[number] = False
                    note(number, clipped)
            if done.unseen is not None:
                self._unseen.add(done.unseen)

        for _ in range(_ATTEMPTS):
            numbers, taken = np.flatnonzero(missing), 0
            try:
                while self._running or taken < len(numbers):
                    if should_stop():
                        self.stop()
                        return
                    while taken < len(numbers) and self._has_room():
                        left = len(numbers) - taken
                        size = batch_size(left, len(numbers), max(1, self._num_workers()))
                        first, last = numbers[taken], numbers[taken + size - 1]
                        taken += size
                        batch = (int(first), int(last) + 1)
                        self._submit(method, self._part, *arguments, *batch)
                    for done in self._received():
                        arrived(done)
            finally:
                if self._running:
                    self._stop_running(arrived)
            if not missing.any():
                return
        raise _lost("ended tasks without their shards")

    def _stop_running(self, arrived: Callable[[Done], None]) -> None:
        """Stop all tasks, and wait until they have ended and said what is written."""
        self.stop()
        since = time.monotonic()
        while self._running and time.monotonic() - since < _STOP_TIMEOUT:
            try:
                if not self._num_workers():
                    return
                for done in self._received():
                    arrived(done)
            except LostProcessError:
                if self._client.status != "running":
                    return
            except Exception:  # noqa: S110  (the first error counts)
                pass

    def _has_room(self) -> bool:
        return len(self._running) < AT_ONCE * max(1, self._num_workers())

    def _num_workers(self) -> int:
        """Number of workers now; they may come and go."""
        if time.monotonic() - self._counted >= _COUNT_INTERVAL:
            with _connection():
                self._workers = len(self._client.nthreads())
            self._counted = time.monotonic()
        return self._workers

    def _submit(self, method: str, *arguments: Any) -> None:
        self._started += 1
        key = f"{self._name}-{self._started}"
        with _connection():
            future = self._client.submit(_call, self._name, method, *arguments, key=key)
        self._running[key] = future
        future.add_done_callback(self._inbox.put)

    def _received(self) -> Iterator[Any]:
        """Results and reports that have arrived; waits for the first one for a moment."""
        if self._client.status != "running":
            raise _lost("lost the connection to its scheduler")
        timeout = _POLL_INTERVAL
        with suppress(queue.Empty):
            while True:
                found = self._inbox.get(timeout=timeout)
                timeout = 0.0
                if not isinstance(found, Future):
                    yield Done(dict(found))
                elif found.key in self._running:
                    yield self._result_of(found) or Done({})

    def _result_of(self, future: Future) -> Any:
        del self._running[future.key]
        try:
            with _connection():
                return future.result()
        except KilledWorker as error:
            raise _lost(
                "lost a worker several times at the same task, as by too little memory"
            ) from error
        except CancelledError as error:
            raise _lost("cancelled a task") from error


def _lost(what: str) -> LostProcessError:
    return LostProcessError(
        f"The Dask cluster {what}; finished shards are kept, so run the same again, "
        "with or without Dask, to resume."
    )


@contextmanager
def _connection() -> Iterator[None]:
    """Turn errors of the connection to the scheduler into a LostProcessError."""
    try:
        yield
    except (CommClosedError, TimeoutError) as error:
        raise _lost("lost the connection to its scheduler") from error
