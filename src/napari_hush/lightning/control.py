"""Stop, pause and resume a run from other threads; a clock that pauses with it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_hush.system.signals import OnTermination

if TYPE_CHECKING:
    from napari_hush.models import Model


class RunControl:
    """Requests to stop or pause a run or for its model, read after every step.

    All methods may be called from any thread, before and during a run.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.should_stop = False
        """Whether the run is to end after the current step."""
        self.signal: int | None = None
        """Number of the signal that stopped the run, which is to be resumed later."""
        self.is_paused = False
        """Whether the run is paused, or is to pause after the current step."""
        self._requests: list[Callable[[Model], None]] = []

    def stop(self, signal: int | None = None) -> None:
        """End the run after the current step, or at once if it is paused."""
        self._set(should_stop=True, signal=self.signal or signal)

    def pause(self) -> None:
        """Pause the run after the current step."""
        self._set(is_paused=True)

    def resume(self) -> None:
        """Continue a paused run."""
        self._set(is_paused=False)

    def request_model(self, take: Callable[[Model], None]) -> None:
        """Have the current model passed to `take` after the current step."""
        with self._changed:
            self._requests.append(take)
            self._changed.notify_all()

    def taken_requests(self) -> list[Callable[[Model], None]]:
        """The functions that wait for a model; they are forgotten."""
        with self._changed:
            requests, self._requests = self._requests, []
        return requests

    def wait(self) -> None:
        """Sleep while paused, until the run is resumed or stopped or a model requested."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.should_stop or not self.is_paused or self._requests
            )

    def _set(self, **requests: bool | int | None) -> None:
        """Set attributes, and wake the threads that wait."""
        with self._changed:
            vars(self).update(requests)
            self._changed.notify_all()


class RunClock:
    """Seconds that pass while training is not paused."""

    def __init__(self) -> None:
        self._left_out = 0.0
        self._started = self()

    @property
    def elapsed(self) -> float:
        """Seconds since the clock was made, pauses left out."""
        return self() - self._started

    def __call__(self) -> float:
        """Seconds since some fixed time, pauses left out."""
        return time.perf_counter() - self._left_out

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Leave out the time spent in this context."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._left_out += time.perf_counter() - started


@contextmanager
def signals_stop(control: RunControl) -> Iterator[Callable[[], None]]:
    """Let the first Ctrl-C, and signals that would end the process, stop the run.

    Lightning by itself exits the process, with code 0 after SIGTERM. Only the main thread
    gets signals. Yields a function that sets the handlers again once Lightning has replaced
    them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = signal.getsignal(signal.SIGINT)
    stopping: list[threading.Thread] = []

    def stop(number: int | None) -> None:
        # In another thread: this one may hold the lock that stopping needs.
        stopping.append(threading.Thread(target=control.stop, args=(number,)))
        stopping[-1].start()

    def once(number: int, frame: Any) -> None:
        stop(None)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, once)
    try:
        with OnTermination(stop) as handlers:
            yield handlers.install
    finally:
        signal.signal(signal.SIGINT, before)
        for thread in stopping:
            thread.join()
