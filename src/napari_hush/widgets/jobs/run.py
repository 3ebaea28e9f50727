"""One task at a time in a worker thread, and the state of that run in the main thread."""

from __future__ import annotations

import gc
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.qt.threading import FunctionWorker, create_worker
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QObject, QTimer, Signal

from napari_hush.errors import HushError
from napari_hush.events import WarningIssued
from napari_hush.widgets.jobs import run_state
from napari_hush.widgets.jobs.run_state import Activity, RunState
from napari_hush.widgets.jobs.tasks import StopRequest
from napari_hush.widgets.jobs.thread_priority import in_low_priority_thread
from napari_hush.widgets.notifications import WarningCollector

if TYPE_CHECKING:
    from napari_hush.events import Event, OnProgress
    from napari_hush.widgets.jobs.tasks import Task

SHORTEST_MS, LONGEST_MS = 66, 1500
"""Milliseconds between two deliveries of events."""
PAINT_SHARE = 0.04
"""Share of the main thread's time that painting new events may take."""


class Run(QObject):
    """Runs one task at a time in a worker thread and keeps its state.

    The worker appends events to a mailbox, which a timer empties, so that a fast task
    cannot flood the event loop. All events are delivered before the end of the task.

    `on_result` takes the result of a task and returns the final message of the state. The
    task is asked to stop when this object is destroyed.
    """

    progressed = Signal(list)
    """Events since the last delivery, oldest first; `state` includes them."""
    refused = Signal(str)
    """Message of a `HushError`; `ended` follows."""
    ended = Signal()
    """The task has ended; `state` is `DONE` or `FAILED`."""

    def __init__(
        self,
        parent: QObject | None = None,
        on_result: Callable[[Any], str] | None = None,
        warnings: WarningCollector | None = None,
    ) -> None:
        super().__init__(parent)
        self.state = RunState()
        self._on_result = on_result
        self._warnings = warnings or WarningCollector()
        self._mailbox: deque[Event] = deque()
        self._stop = StopRequest()
        self._current = _Current(self._stop)
        self.destroyed.connect(self._current.abandon)
        # Keeps `_current` alive: slots of objects that are garbage, too, are not called.
        weakref.finalize(self, self._current.abandon).atexit = False
        self._outcome: _Outcome | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(SHORTEST_MS)
        self._timer.timeout.connect(self._deliver)

    def start(self, activity: Activity, subject: str, task: Task) -> None:
        """Call ``task(report, stop)`` in a worker thread; no other task may run."""
        if self.state.busy:
            raise RuntimeError("a task is running already")
        mailbox: deque[Event] = deque()
        self._mailbox, self._stop, self._outcome = mailbox, StopRequest(), None
        self._current.stop = self._stop
        self._warnings.begin()
        # Holds the mailbox, not self: a worker that outlives the dock does no harm.
        worker = create_worker(
            _Guarded(task),
            mailbox.append,
            self._stop,
            _worker_class=StoppableWorker,
            _start_thread=False,
        )
        worker.returned.connect(self._on_returned)
        worker.finished.connect(self._on_finished)
        self.state = run_state.begin(activity, subject, time.monotonic())
        self._timer.start()
        worker.start()

    def stop(self) -> None:
        """Ask the task to end early; its result still arrives."""
        if self.state.busy:
            self._stop.set()
            self.state = run_state.stop(self.state)

    def abandon(self) -> None:
        """Ask the task to end because the dock closes: nobody takes its result."""
        self._stop.abandon()

    def reset(self) -> None:
        """Forget how the last task ended."""
        if not self.state.busy:
            self.state = RunState()

    def showMessage(self, message: str) -> None:
        """Have `state` say `message` until the next task, as if a task had ended so."""
        self.state = run_state.finish(replace(self.state, stopped=False), message)

    def showHint(self, hint: str) -> None:
        """Have `state` say `hint` while the task runs."""
        self.state = replace(self.state, hint=hint)

    def setPaintTime(self, seconds: float) -> None:
        """Deliver less often if painting the last events took many `seconds`.

        Without a GPU, each change of the window redraws it on the processor that the task
        needs.
        """
        milliseconds = round(1000 * seconds / PAINT_SHARE)
        self._timer.setInterval(min(max(milliseconds, SHORTEST_MS), LONGEST_MS))

    def _deliver(self) -> None:
        events = [self._mailbox.popleft() for _ in range(len(self._mailbox))]
        now = time.monotonic()
        for event in events:
            self.state = run_state.advance(self.state, event, now)
            if isinstance(event, WarningIssued):
                self._warnings.take(event)
        if events:
            self.progressed.emit(events)

    def _on_returned(self, outcome: _Outcome) -> None:
        self._outcome = outcome

    def _on_finished(self) -> None:
        self._timer.stop()
        self._deliver()
        outcome, self._outcome = self._outcome, None
        if outcome is None:
            return
        if outcome.error is None:
            message = "" if self._on_result is None else self._on_result(outcome.value)
            self.state = run_state.finish(self.state, message)
        elif isinstance(outcome.error, HushError):
            self.state = run_state.fail(self.state, str(outcome.error))
            self.refused.emit(self.state.message)
        else:
            error = outcome.error
            notification_manager.receive_error(type(error), error, error.__traceback__)
            message = f"{type(error).__name__}: {error}"
            self.state = run_state.fail(self.state, message)
        self.ended.emit()


@dataclass
class _Current:
    """The running task of a `Run` that is destroyed."""

    stop: StopRequest

    def abandon(self) -> None:
        self.stop.abandon()


@dataclass(frozen=True)
class _Outcome:
    """The result of a task, or its error."""

    value: Any = None
    error: Exception | None = None


class _Guarded:
    """A task whose errors are results: with PyQt6 napari shows none, with others two.

    napari keeps all workers, so references to data are dropped when the task ends.
    """

    def __init__(self, task: Task) -> None:
        self._task: Task | None = task
        self._description = str(task)

    def __call__(self, report: OnProgress, stop: StopRequest) -> _Outcome:
        task, self._task = self._task, None
        if task is None:
            raise RuntimeError("a worker runs once")
        try:
            return _Outcome(value=in_low_priority_thread(partial(task, report, stop)))
        except Exception as error:
            return _Outcome(error=error)
        finally:
            stop.forget()
            _release_gpu_memory()

    def __str__(self) -> str:
        return self._description


def _release_gpu_memory() -> None:
    """Return the GPU memory that torch caches to other programs."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)  # absent while it is imported
    if cuda is not None and cuda.is_available() and cuda.is_initialized():
        gc.collect()
        cuda.empty_cache()


class StoppableWorker(FunctionWorker):
    """Runs ``task(report, stop)`` in a thread; `quit` sets the stop request.

    Made by ``napari.qt.threading.create_worker``, so napari lists it when the window is
    closed, and calls `quit` if that is confirmed. The inherited `quit` would drop the
    result, and with it the model.
    """

    def __init__(self, task: Task, report: OnProgress, stop: StopRequest) -> None:
        super().__init__(task, report, stop)
        self._stop = stop

    def run(self) -> None:
        try:
            super().run()
        except RuntimeError:
            try:
                self.signals.objectName()
            except RuntimeError:
                return  # the window and its signals are gone: an error would abort Python
            raise

    def quit(self) -> None:
        self._stop.abandon()
