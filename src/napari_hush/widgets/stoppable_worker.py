"""A napari worker that can be asked to stop and still delivers its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.qt.threading import FunctionWorker

if TYPE_CHECKING:
    from napari_hush.events import OnProgress
    from napari_hush.widgets.tasks import StopRequest, Task

__all__ = ["StoppableWorker"]


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
