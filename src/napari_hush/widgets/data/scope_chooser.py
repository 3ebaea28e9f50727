"""How much to denoise, and into what type of numbers."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget

if TYPE_CHECKING:
    from qtpy.QtGui import QWheelEvent

__all__ = ["Scope", "ScopeChooser"]


class Scope(Enum):
    """How much of what."""

    LAYER = "whole layer"
    SLICE = "this slice"
    VIEW = "what is in view"
    SELECTED = "selected layers"


_HELP = {
    Scope.LAYER: "Everything in the chosen layer, beginning with what is in view.",
    Scope.SLICE: "The slice that the viewer is at.",
    Scope.VIEW: "The tiles that are in the window now.",
    Scope.SELECTED: "Every image layer that is selected in napari's list, one by one.",
}


class ScopeChooser(QComboBox):
    """Chooses a `Scope`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("scope")
        self.setAccessibleName("How much to denoise")
        self.setToolTip("How much to denoise.")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(100)
        for scope in Scope:
            self.addItem(scope.value, scope)
            self.setItemData(self.count() - 1, _HELP[scope], Qt.ItemDataRole.ToolTipRole)

    def value(self) -> Scope:
        """What is chosen."""
        return Scope(self.currentText())

    def setValue(self, scope: Scope) -> None:
        """Choose `scope`."""
        self.setCurrentText(scope.value)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # the wheel scrolls the dock
