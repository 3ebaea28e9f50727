"""Measuring side by side: processes that answer questions, and the memory they take.

Also runs in the environment of the package compared with, so it needs nothing but numpy,
psutil and the standard library.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MB = 10**6
GB = 10**9


class Partner:
    """A separate process that answers requests, so that two can take turns.

    Parameters
    ----------
    python : str
        Python that runs it.
    script : str
        File beside this one, or a full path, that calls `serve`.
    environment : str
        Environment variables to set, by name.
    """

    def __init__(self, python: str, script: str, **environment: str) -> None:
        self._name = script
        self._process = subprocess.Popen(
            [python, str(Path(__file__).parent / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )

    def ask(self, task: str, **arguments: Any) -> Any:
        """Have a task of the script done and give its answer."""
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the pipes are open from the start")
        process.stdin.write(json.dumps([task, arguments]) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self._name} ended while it did {task!r}; see above.")
        return json.loads(answer)

    def close(self) -> None:
        """End the process and wait for it."""
        self._process.communicate()

    def __enter__(self) -> Partner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(*tasks: Callable[..., Any]) -> None:
    """Answer the questions of a `Partner` by calling `tasks` by their names."""
    by_name = {task.__name__: task for task in tasks}
    answers, sys.stdout = sys.stdout, sys.stderr  # what others print is no answer
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(by_name[name](**arguments)), file=answers, flush=True)


def visit(batches: Callable[[], Iterable[Any]], seconds: float) -> dict[str, float]:
    """Go through epochs of batches for at least `seconds`.

    Parameters
    ----------
    batches : callable
        Gives an epoch of tensors or arrays ``(B, ...)``.
    seconds : float
        No epoch begins after this time.

    Returns
    -------
    dict
        ``patches`` visited, and the ``seconds`` they took.
    """
    patches, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        patches += sum(len(batch) for batch in batches())
    return {"patches": patches, "seconds": elapsed}


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(psutil.Process().memory_info().rss)


class PeakMemory:
    """The most memory held since entering, beyond what was held then.

    Attributes
    ----------
    grown : int
        Bytes; there after leaving.
    """

    grown: int

    def __enter__(self) -> PeakMemory:
        self._status = Path("/proc/self/status")
        # Makes Linux forget the peak of the imports.
        Path("/proc/self/clear_refs").write_text("5")
        self._base = resident()
        return self

    def __exit__(self, *_: object) -> None:
        lines = dict(
            line.split(":", 1) for line in self._status.read_text().splitlines() if line
        )
        self.grown = int(lines["VmHWM"].split()[0]) * 1024 - self._base


class MemoryTrace:
    """Memory held over time, sampled by a thread while inside.

    Attributes
    ----------
    samples : list of tuple
        ``(seconds since entering, bytes)``.
    """

    def __init__(self, interval: float = 0.05) -> None:
        self.samples: list[tuple[float, int]] = []
        self._interval = interval
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> MemoryTrace:
        self._start = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def now(self) -> float:
        """Seconds since entering."""
        return time.perf_counter() - self._start

    def between(self, start: float, end: float) -> np.ndarray:
        """Bytes held from `start` to `end`, in seconds since entering."""
        return np.array([held for t, held in self.samples if start <= t <= end], float)

    def _watch(self) -> None:
        while not self._done.wait(self._interval):
            self.samples.append((self.now(), resident()))


class OpenedFiles:
    """Counts how often files below a folder are opened, from when it is made.

    Parameters
    ----------
    folder : str or Path
        Where the files are.
    ignored : str
        Ending of the names that do not count.
    """

    def __init__(self, folder: str | Path, ignored: str) -> None:
        self.paths: list[str] = []
        self._below = str(folder)
        self._ignored = ignored
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | os.PathLike):
            path = str(arguments[0])
            if path.startswith(self._below) and not path.endswith(self._ignored):
                self.paths.append(path)


def forget(folder: str | Path) -> None:
    """Have the system drop what it keeps in memory of the files below a folder."""
    for path in Path(folder).rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def turns(count: int, *sides: str) -> list[str]:
    """Names in the order in which they take turns, none always first."""
    orders = itertools.cycle([sides, sides[::-1]])
    return [side for order in itertools.islice(orders, count) for side in order]
