"""Denoise one image on the workers of a Dask cluster, into one OME-Zarr.

A task writes a run of shards and returns how many pixels it clipped in each. The model gets
to each worker once, in a plugin, also to workers that join later.
"""

from __future__ import annotations

import json
import logging
import math
import os
import queue
import re
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from pickle import PicklingError
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
import torch
from dask.system import CPU_COUNT
from distributed import Client, Future, LocalCluster, Nanny, Scheduler, SpecCluster
from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker

from napari_hush import __version__
from napari_hush.errors import ConfigurationError, LostProcessError
from napari_hush.io.lazy import LazyPixels
from napari_hush.prediction import dask_worker
from napari_hush.prediction.dask_worker import DenoisingPlugin, Done, Part, call
from napari_hush.prediction.progress import ImageProgress, never
from napari_hush.prediction.to_file import KEPT_EVERY, FileTarget, FileWork

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_hush.config import InferenceConfig
    from napari_hush.io import Image
    from napari_hush.io.partial_output import PartialOutput
    from napari_hush.models import Model
    from napari_hush.prediction.to_file import Hire
    from napari_hush.quality import UnseenIntensities

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
_WITH_PORT = ("", "tcp", "tls", "ucx", "ws", "wss")
"""Protocols whose addresses have a port."""
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
        # Records of the profiler would grow by 0.1 MB per second in each process.
        with (
            dask.config.set({"distributed.worker.profile.enabled": False}),
            _local_cluster() as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield client
        return
    if address.endswith(".json"):
        address = _address_in(Path(address))
    scheme, _, place = address.rpartition("://")
    if scheme in _WITH_PORT and not re.search(r":\d+/?$", place):
        raise ConfigurationError(
            f"{address!r} is not the address of a Dask scheduler; give host and port, such "
            "as tcp://machine:8786, or a scheduler file (.json), or local."
        )
    try:
        client = Client(address, timeout=_CONNECT_TIMEOUT, set_as_default=False)
    except (OSError, ValueError, RuntimeError, ImportError, TypeError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ConfigurationError(
            f"No Dask scheduler answers at {address!r} ({reason}); start one with dask "
            "scheduler and give its address, such as tcp://machine:8786, or local."
        ) from error
    with client:
        yield client


def _address_in(file: Path) -> str:
    """The address in a scheduler file; raises a ConfigurationError if it has none."""
    if not file.is_file():
        raise ConfigurationError(
            f"There is no scheduler file {str(file)!r}; give the file or the address of a "
            "running Dask scheduler, or local."
        )
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["address"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{str(file)!r} is not a Dask scheduler file; give the one that dask scheduler "
            "--scheduler-file writes, or an address, or local."
        ) from error
    return str(found)


def _local_cluster() -> SpecCluster:
    """One worker per GPU, or per few cores."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    options: dict[str, Any] = {"preload": [dask_worker.__name__]}
    quiet = logging.ERROR  # else nannies tell of workers that are slow to end
    if not gpus:
        count = max(1, CPU_COUNT // _CORES)
        return LocalCluster(
            n_workers=count,
            threads_per_worker=max(1, CPU_COUNT // count),
            dashboard_address=":0",
            silence_logs=quiet,
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
        silence_logs=quiet,
    )


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
            except Exception as error:
                _log.debug("A task failed while others were stopped: %s", error)

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
            future = self._client.submit(call, self._name, method, *arguments, key=key)
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
