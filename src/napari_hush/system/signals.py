"""Signals that would end the process: a job stops in good order, with an exit code."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any, Self

_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
    if hasattr(signal, name)
)
"""Those of schedulers before a time limit, and of a terminal that closes."""


class Terminated(SystemExit):
    """A signal ended the job; the exit code is 128 plus its number, as in shells."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.name = signal.Signals(number).name


class OnTermination:
    """Call `handle` with the number of each such signal in this context.

    Signals that the program handles or ignores itself stay with it. Only the main thread
    gets signals; in others nothing is changed.
    """

    def __init__(self, handle: Callable[[int], object]) -> None:
        self._handle = handle
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            found = {number: signal.getsignal(number) for number in _SIGNALS}
            self._before = {n: is_ for n, is_ in found.items() if is_ is not None}
        self.install()
        return self

    def install(self) -> None:
        """Set the handlers, again if a library has replaced them."""
        for number, before in self._before.items():
            ours = before is signal.SIG_DFL or isinstance(before, OnTermination)
            signal.signal(number, self if ours else before)

    def __call__(self, number: int, frame: Any) -> None:
        self._handle(number)

    def __exit__(self, *error: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)


def leave_signals_to_parent(worker: int) -> None:
    """Ignore what a terminal or a scheduler sends to all processes of a job."""
    for number in (signal.SIGINT, *_SIGNALS):
        signal.signal(number, signal.SIG_IGN)


def terminate(number: int) -> None:
    """Raise `Terminated`."""
    raise Terminated(number)
