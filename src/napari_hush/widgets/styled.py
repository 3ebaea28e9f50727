"""Properties of widgets that the dock's stylesheet looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

__all__ = ["mark"]


def mark(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the stylesheet looks at, and have it look again."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
