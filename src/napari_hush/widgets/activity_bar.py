"""A run's bar in napari's activity dock."""

from __future__ import annotations

from napari.utils import progress
from qtpy.QtCore import QObject, QTimer

from napari_hush.widgets.run_state import RunState

__all__ = ["ActivityBar"]

EVERY_MS = 1000
"""Milliseconds between two changes: each has the whole window drawn."""


class ActivityBar(QObject):
    """Shows a `RunState` in napari's activity dock while it is busy.

    The bar is only touched from the event loop. napari draws the window at once when a
    bar changes, and in the middle of a change of a layer, where `show` may be called, that
    would draw pixels which are not there any more.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._state = RunState()
        self._bar: progress | None = None
        self._total = 0
        self._timer = QTimer(self)
        self._timer.setInterval(EVERY_MS)
        self._timer.timeout.connect(self._on_timeout)

    def show(self, state: RunState) -> None:
        """Show where `state` is, before long; the bar goes when the run ends."""
        self._state = state
        if state.busy and not self._timer.isActive():
            self._timer.start()

    def close(self) -> None:
        """Take the bar away, now."""
        self._timer.stop()
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()

    def _on_timeout(self) -> None:
        state = self._state
        if not state.busy:
            self.close()
            return
        if self._bar is None or state.total != self._total:
            if self._bar is not None:
                self._bar.close()
            words = f"{state.activity.value.capitalize()}: {state.subject}"
            self._total = state.total
            self._bar = progress(total=state.total, desc=words)
        elif state.done > self._bar.n:
            self._bar.update(state.done - self._bar.n)
