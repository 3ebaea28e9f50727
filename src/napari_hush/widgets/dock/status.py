"""A run's bar in napari's activity dock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils import progress
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget
from superqt import QElidingLabel

from napari_hush.system.hardware import describe_machine
from napari_hush.widgets.jobs.run_state import RunState

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent

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


LINES = 2
"""Lines kept free, so that a long sentence moves nothing else."""
MARGINS = 14
"""Pixels that the label takes above and below its lines."""


class StatusLine(QWidget):
    """A sentence in a room of its own, which grows only if the sentence needs it.

    The label is in no layout: its text changes many times a second, and each change
    would have the whole dock laid out and drawn again.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = QLabel(self)
        self._label.setObjectName("status")
        self._label.setWordWrap(True)
        self._label.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    # ---- Public API

    def setText(self, text: str, kind: str) -> None:
        """Show `text`; `kind` is what the stylesheet looks at."""
        if self._label.property("kind") != kind:
            self._label.setProperty("kind", kind)
            self._label.style().unpolish(self._label)
            self._label.style().polish(self._label)
        self._label.setText(text)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    # ---- Private API

    def _fit(self) -> None:
        self._label.ensurePolished()  # only then it has the font of the theme
        kept_free = LINES * self._label.fontMetrics().lineSpacing() + MARGINS
        height = max(kept_free, self._label.heightForWidth(self.width()))
        if height != self.minimumHeight():
            self.setFixedHeight(height)
        self._label.setGeometry(0, 0, self.width(), height)


FOOTER_EVERY_MS = 2000
"""Milliseconds between two looks while something runs."""


class Footer(QElidingLabel):
    """Says which device works and how much of its memory is in use."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._device = self._told = ""
        self.setObjectName("footer")
        self.setProperty("role", "quiet")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._timer = QTimer(self)
        self._timer.setInterval(FOOTER_EVERY_MS)
        self._timer.timeout.connect(self._look)
        self._look()

    def showRun(self, device: str, *, busy: bool, told: str = "") -> None:
        """Show the device that torch calls `device`; keep looking while `busy`.

        Where another process works on it, it alone can look; then `told` is what it said.
        """
        if (device and device != self._device) or told != self._told:
            self._device, self._told = device or self._device, told
            self._look()
        if busy and not self._timer.isActive():
            self._timer.start()
        elif not busy and self._timer.isActive():
            self._timer.stop()
            self._look()

    def _look(self) -> None:
        words = self._told or describe_machine(self._device)
        if words != self.text():
            self.setText(words)
            self.setToolTip(words)
