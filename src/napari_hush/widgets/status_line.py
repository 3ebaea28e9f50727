"""The one line that says what is going on, or what stands in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QLabel, QWidget

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent

__all__ = ["StatusLine"]

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
