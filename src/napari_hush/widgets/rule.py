"""The thin line between two groups of controls."""

from __future__ import annotations

from qtpy.QtWidgets import QFrame, QWidget

__all__ = ["Rule"]


class Rule(QFrame):
    """A horizontal line, one pixel thick, in the quiet colour of the theme."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(1)
        self.setProperty("role", "line")
