"""One of a few values, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget

from napari_hush.widgets.words import CHOICES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QWheelEvent

__all__ = ["ChoiceField"]


class ChoiceField(QComboBox):
    """Edits a field of few values; the wheel scrolls the dock, not the choice."""

    valueChanged = Signal()

    def __init__(self, values: Sequence[Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values = list(values)
        self.addItems([CHOICES.get(str(value), str(value)) for value in values])
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(60)
        self.currentIndexChanged.connect(lambda index: self.valueChanged.emit())

    def value(self) -> Any:
        """The chosen value."""
        return self._values[self.currentIndex()]

    def setValue(self, value: Any) -> None:
        """Choose `value`, one of the values."""
        self.setCurrentIndex(self._values.index(value))

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()
