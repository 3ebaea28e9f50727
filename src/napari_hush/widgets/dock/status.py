"""Status of runs: the bar in napari's activity dock, the status line, the footer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils import progress
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QLabel, QProgressBar, QSizePolicy, QWidget
from superqt import QElidingLabel

from napari_hush.system.memory import describe_machine
from napari_hush.widgets.jobs.run_state import RunState
from napari_hush.widgets.theme.widgets import mark, show_text

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent

EVERY_MS = 1000
"""Milliseconds between two updates; each repaints the whole window."""


class ActivityBar(QObject):
    """Shows a `RunState` in napari's activity dock while it is busy.

    The bar changes only in the event loop: napari repaints the window at once, and `show`
    may be called while a layer changes, whose old pixels are gone.
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
        """Show `state` soon; the bar is removed when the run ends."""
        self._state = state
        if state.busy and not self._timer.isActive():
            self._timer.start()

    def close(self) -> None:
        """Remove the bar at once."""
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


def show_progress(bar: QProgressBar, value: int, maximum: int) -> None:
    """Show `value` of `maximum`."""
    bar.setUpdatesEnabled(False)  # or each change repaints the window
    bar.setMaximum(maximum)
    bar.setValue(value)
    bar.setUpdatesEnabled(True)


LINES = 2
"""Height in lines, so that most sentences do not move the controls below."""
MARGINS = 14
"""Pixels above and below the lines."""


class StatusLine(QWidget):
    """A sentence of up to two lines; it grows for longer ones.

    The label is in no layout, because each change of its text, many per second, would lay
    out and repaint the whole dock.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = QLabel(self)
        self._label.setObjectName("status")
        self._label.setWordWrap(True)
        self._label.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def setText(self, text: str, kind: str) -> None:
        """Show `text`; `kind` selects its color."""
        mark(self._label, "kind", kind)
        self._label.setText(text)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def _fit(self) -> None:
        self._label.ensurePolished()  # otherwise it does not have the theme's font yet
        kept_free = LINES * self._label.fontMetrics().lineSpacing() + MARGINS
        height = max(kept_free, self._label.heightForWidth(self.width()))
        if height != self.minimumHeight():
            self.setFixedHeight(height)
        self._label.setGeometry(0, 0, self.width(), height)


FOOTER_EVERY_MS = 2000
"""Milliseconds between two updates while something runs."""


class Footer(QElidingLabel):
    """Shows the device and how much of its memory is in use."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._device = self._reported = ""
        self.setObjectName("footer")
        self.setProperty("role", "quiet")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._timer = QTimer(self)
        self._timer.setInterval(FOOTER_EVERY_MS)
        self._timer.timeout.connect(self._update)
        self._update()

    def showRun(self, device: str, *, busy: bool, reported: str = "") -> None:
        """Show the torch device `device`, and update it while `busy`.

        `reported` comes from the process that uses the device, if it is another one.
        """
        if (device and device != self._device) or reported != self._reported:
            self._device, self._reported = device or self._device, reported
            self._update()
        if busy and not self._timer.isActive():
            self._timer.start()
        elif not busy and self._timer.isActive():
            self._timer.stop()
            self._update()

    def _update(self) -> None:
        show_text(self, self._reported or describe_machine(self._device))
