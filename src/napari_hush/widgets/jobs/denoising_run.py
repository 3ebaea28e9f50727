"""A denoising: its job, its state and the layer that it fills."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_hush.events import Event, ImageStarted, TilesDone, WarningIssued
from napari_hush.widgets.jobs import run_state
from napari_hush.widgets.jobs.denoising_task import CanvasReady, Denoising, DenoisingSeveral
from napari_hush.widgets.jobs.job import Job
from napari_hush.widgets.jobs.run_state import Activity, RunState
from napari_hush.widgets.notifications import WarningCollector, notify
from napari_hush.widgets.results.canvas import Canvas
from napari_hush.widgets.results.result_layer import ResultLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DenoisingRun"]


class DenoisingRun(QObject):
    """Denoises layers, one after the other, each into a new layer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where results go.
    parent : QObject, optional
        As of every QObject.
    """

    progressed = Signal()
    """The state is another, or there is more of the result to see."""
    ended = Signal()
    """It is over, in whatever way; the state says how."""

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.state = RunState()
        self.results: list[ResultLayer] = []
        self.whole: Canvas | None = None
        """What was denoised from end to end in the last run, if it was one layer."""
        self._only_a_part = False
        self._cautions = WarningCollector()
        self.job = Job(self)
        self.job.progressed.connect(self._on_progressed)
        self.job.returned.connect(self._on_returned)
        self.job.refused.connect(self._on_refused)
        self.job.crashed.connect(self._on_crashed)

    # ---- Public API

    def start(self, tasks: Sequence[Denoising]) -> None:
        """Denoise in the worker thread; there must be at least one task."""
        self.results = []
        self.whole = None
        self._only_a_part = any(task.region is not None for task in tasks)
        self._cautions.begin()
        subject = ", ".join(task.origin.name for task in tasks)
        self.job.start(tasks[0] if len(tasks) == 1 else DenoisingSeveral(tasks))
        self.state = run_state.begin(Activity.DENOISING, subject, time.monotonic())

    def stop(self) -> None:
        """End after the tiles in hand and keep what is done."""
        self.job.stop()
        if self.state.busy:
            self.state = run_state.stop(self.state)

    @property
    def is_seen(self) -> bool:
        """Whether the layer that fills is shown already."""
        return self._result is not None and self._result.is_seen

    # ---- Private API

    @property
    def _result(self) -> ResultLayer | None:
        return self.results[-1] if self.results else None

    def _on_progressed(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, ImageStarted):
                self._finish_result()
            self.state = run_state.advance(self.state, event, time.monotonic())
            if isinstance(event, CanvasReady):
                self._finish_result()
                self.results.append(
                    ResultLayer(
                        self._viewer,
                        event.origin,
                        event.canvas,
                        event.record,
                        part=event.part,
                    )
                )
            elif isinstance(event, TilesDone) and self._result is not None:
                self._result.show(event.regions)
            elif isinstance(event, WarningIssued):
                self._cautions.take(event)
        if self._result is not None and not self._result.is_there:
            self.job.stop()  # somebody removed it: there is nothing to fill any more
        self.progressed.emit()

    def _finish_result(self) -> None:
        """The next layer's turn has come."""
        if self._result is not None and self.state.done >= self.state.total > 0:
            self._result.finish()

    def _on_returned(self, value: Any) -> None:
        everything = self.state.done == self.state.total > 0
        if isinstance(value, Canvas) and everything and not self._only_a_part:
            self.whole = value
        self._end(run_state.finish(self.state, self._how_it_ended()))

    def _how_it_ended(self) -> str:
        state, result = self.state, self._result
        if result is None or not result.is_there:
            return "Cancelled."
        if state.done < state.total:
            result.finish_partial(state.done)
            return f"Cancelled; {state.done} of {state.total} tiles are denoised."
        result.finish()
        names = ", ".join(f"“{r.name}”" for r in self.results if r.is_there)
        files = ", ".join(f"“{r.file}”" for r in self.results if r.file is not None)
        where = f", which is too large for the memory and lies in {files}" if files else ""
        return f"Denoised into {names}{where}."

    def _on_refused(self, sentence: str) -> None:
        notify(sentence)
        self._fail(sentence)

    def _on_crashed(self, error: Exception) -> None:
        self._fail(f"{type(error).__name__}: {error}")

    def _fail(self, message: str) -> None:
        if self._result is not None and self.state.done < self.state.total:
            self._result.finish_partial(self.state.done)
        self._end(run_state.fail(self.state, message))

    def _end(self, state: RunState) -> None:
        self.state = state
        self.ended.emit()
