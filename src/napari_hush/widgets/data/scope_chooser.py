"""Chooses how much to denoise."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt

from napari_hush.widgets.settings.fields import ComboBox

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget


class Scope(Enum):
    """How much to denoise."""

    LAYER = "Whole layer"
    SLICE = "Current slice"
    VIEW = "Visible region"
    SELECTED = "Selected layers"


_HELP = {
    Scope.LAYER: "The whole layer, the visible part first.",
    Scope.SLICE: "The current slice.",
    Scope.VIEW: "The tiles that are visible now.",
    Scope.SELECTED: "All image layers selected in the layer list, one by one.",
}


class ScopeChooser(ComboBox):
    """Chooses a `Scope`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(100, parent)
        self.setObjectName("scope")
        self.setAccessibleName("How much to denoise")
        self.setToolTip("How much to denoise.")
        for scope in Scope:
            self.addItem(scope.value, scope)
            self.setItemData(self.count() - 1, _HELP[scope], Qt.ItemDataRole.ToolTipRole)

    def value(self) -> Scope:
        """The chosen scope."""
        return Scope(self.currentText())

    def setValue(self, scope: Scope) -> None:
        """Choose `scope`."""
        self.setCurrentText(scope.value)
