"""Painting at a moment of our choice, so that its cost is known."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QCoreApplication, QEvent

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

__all__ = ["paint_now"]


def paint_now(widget: QWidget) -> float:
    """Paint all that has changed in the widget's window; return the seconds it took."""
    started = time.perf_counter()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)
    QCoreApplication.sendPostedEvents(widget.window(), QEvent.Type.UpdateRequest.value)
    return time.perf_counter() - started
