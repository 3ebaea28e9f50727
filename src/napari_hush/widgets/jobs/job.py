"""One job at a time in one worker thread, and its news in the main thread."""

from __future__ import annotations

import gc
import sys
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.qt.threading import FunctionWorker, create_worker
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QObject, QTimer, Signal

from napari_hush.errors import HushError
from napari_hush.widgets.jobs.tasks import StopRequest
from napari_hush.widgets.jobs.thread_priority import in_a_lesser_thread

if TYPE_CHECKING:
    from napari_hush.events import Event, OnProgress
    from napari_hush.widgets.jobs.tasks import Task

__all__ = ["Job"]

QUICKEST_MS, SLOWEST_MS = 66, 1500
"""Milliseconds between two looks into the mailbox: the eye wants no more, nor much less."""
SHOWING = 0.04
"""Share of the main thread's time that may go into showing news."""


class Job(QObject):
    """Runs tasks in a worker thread, one after the other.

    The worker drops events into a mailbox; a timer empties it and hands them over
    together, in order, so a quick job cannot flood the event loop. All events of a job
    arrive before its end does, and its end arrives once the worker is through.
    """

    progressed = Signal(list)
    """Events since the last time, oldest first."""
    returned = Signal(object)
    """The task's result."""
    refused = Signal(str)
    """The task raised a `HushError`: its sentence, fit to show."""
    crashed = Signal(Exception)
    """The task raised anything else. napari shows it, traceback included."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._mailbox: deque[Event] = deque()
        self._stop = StopRequest()
        self._in_hand = _InHand(self._stop)
        self.destroyed.connect(self._in_hand.abandon)  # once: a signal keeps what it calls
        self._result: _Result | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(QUICKEST_MS)
        self._timer.timeout.connect(self._deliver)

    def start(self, task: Task) -> None:
        """Run ``task(report, stop)`` in the worker thread."""
        if self.is_running:
            raise RuntimeError("a job is running already")
        mailbox: deque[Event] = deque()
        self._mailbox, self._stop, self._result = mailbox, StopRequest(), None
        self._in_hand.stop = self._stop
        # The closure holds the mailbox alone: a worker that outlives the dock is harmless.
        worker = create_worker(
            _Guarded(task),
            mailbox.append,
            self._stop,
            _worker_class=StoppableWorker,
            _start_thread=False,
        )
        worker.returned.connect(self._on_returned)
        worker.finished.connect(self._on_finished)
        self._timer.start()
        worker.start()

    def stop(self) -> None:
        """Ask the running job to end; its result still comes."""
        self._stop.set()

    def abandon(self) -> None:
        """Ask the running job to end, for the dock goes: nobody will take its result."""
        self._stop.abandon()

    @property
    def is_running(self) -> bool:
        return bool(self._timer.isActive())

    def setCostOfNews(self, seconds: float) -> None:
        """Say how long it took to show the last events; the next come accordingly.

        With a canvas drawn by the processor, every change of a window costs a drawing of
        all of it, and the processor is what a job needs.
        """
        milliseconds = round(1000 * seconds / SHOWING)
        self._timer.setInterval(min(max(milliseconds, QUICKEST_MS), SLOWEST_MS))

    def _on_returned(self, result: _Result) -> None:
        self._result = result

    def _on_finished(self) -> None:
        self._timer.stop()
        self._deliver()
        result, self._result = self._result, None
        if result is None:
            return
        if result.error is not None:
            error = result.error
            notification_manager.receive_error(type(error), error, error.__traceback__)
            self.crashed.emit(error)
        elif result.refusal:
            self.refused.emit(result.refusal)
        else:
            self.returned.emit(result.value)

    def _deliver(self) -> None:
        events = [self._mailbox.popleft() for _ in range(len(self._mailbox))]
        if events:
            self.progressed.emit(events)


@dataclass
class _InHand:
    """The job that runs, for a `Job` that is no more."""

    stop: StopRequest

    def abandon(self) -> None:
        self.stop.abandon()


@dataclass(frozen=True)
class _Result:
    """How a task ended; one of the three."""

    value: Any = None
    refusal: str = ""
    error: Exception | None = None


class _Guarded:
    """A task whose errors are results, and before whose work the window goes.

    What a worker does with an exception depends on the Qt binding: napari's relay to the
    notifications is not reached with PyQt6, and would make two of them elsewhere.

    napari remembers every worker for as long as it lives, so nothing that the task has, or
    that may stop it, is held any longer than it runs.
    """

    def __init__(self, task: Task) -> None:
        self._task: Task | None = task
        self._words = str(task)

    def __call__(self, report: OnProgress, stop: StopRequest) -> _Result:
        task, self._task = self._task, None
        if task is None:
            raise RuntimeError("a worker runs once")
        try:
            return _Result(value=in_a_lesser_thread(partial(task, report, stop)))
        except HushError as error:
            return _Result(refusal=str(error))
        except Exception as error:
            return _Result(error=error)
        finally:
            stop.forget()
            _release_memory()

    def __str__(self) -> str:
        return self._words


def _release_memory() -> None:
    """Give back to others what torch keeps of a GPU for itself."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        gc.collect()
        torch.cuda.empty_cache()


class StoppableWorker(FunctionWorker):
    """Runs ``task(report, stop)`` in a thread; `quit` makes the stop request.

    Made by ``napari.qt.threading.create_worker``, so napari lists it when the window is
    closed, and calls `quit` if that is confirmed. The inherited `quit` would throw the
    result away, and with it the model.
    """

    def __init__(self, task: Task, report: OnProgress, stop: StopRequest) -> None:
        super().__init__(task, report, stop)
        self._stop = stop

    def run(self) -> None:
        try:
            super().run()
        except RuntimeError:
            # The window is gone, and with it the signals that would tell of the end. An
            # error let through here would abort the whole process.
            if self._signals_are_alive():
                raise

    def quit(self) -> None:
        self._stop.abandon()

    def _signals_are_alive(self) -> bool:
        try:
            self.signals.objectName()
        except RuntimeError:
            return False
        return True
