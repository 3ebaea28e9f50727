"""A number box that leaves the mouse wheel to the scrolling dock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSpinBox, QWidget

if TYPE_CHECKING:
    from qtpy.QtGui import QWheelEvent

__all__ = ["SpinBox"]


class SpinBox(QSpinBox):
    """Turns with the wheel only after it has been clicked into."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()
