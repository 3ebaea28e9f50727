"""Garbage collections that do not block the window, although napari runs many."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from qtpy.QtCore import QEvent, QObject, QTimer

from napari_hush.widgets.data.helper_layers import bare, is_view
from napari_hush.widgets.jobs.tasks import LOADER

if TYPE_CHECKING:
    from napari.layers import Layer
    from qtpy.QtWidgets import QWidget

LOOK_MS = 1000
"""Milliseconds between two looks whether the time has come."""


class ShortCollections(QObject):
    """Freezes the objects that exist once the engine is loaded, some 600,000.

    napari collects garbage each time a layer is removed, which takes 0.4 s with all these
    objects, and some ms without them. Frozen objects are never freed: all are thawed while
    `dock` is hidden, and for a moment after layers are removed that were frozen; until its
    end if a task runs, whose data would be frozen as well. `is_idle` returns whether none
    runs.
    """

    def __init__(self, viewer: Any, is_idle: Callable[[], bool], dock: QWidget) -> None:
        super().__init__(dock)
        self._dock = dock
        self._layers = bare(viewer).layers
        self._is_idle = is_idle
        self._is_frozen = False  # by this object; `load_engine` freezes first
        self._free: WeakSet[Layer] = WeakSet()  # layers that are not frozen
        self._has_garbage = False  # among the frozen objects, or those to be frozen
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._layers.events.inserted.connect(self._on_inserted)
        self._layers.events.removed.connect(self._on_removed)
        dock.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Show:
            self._timer.start()
        elif event.type() == QEvent.Type.Hide:
            self._timer.stop()
            self._thaw()
        return False

    def _look(self) -> None:
        if self._has_garbage:
            self._thaw()
            gc.collect()
            self._has_garbage = False
        if self._is_frozen or not (_is_loaded() and self._is_idle()):
            return
        if not any(map(is_view, self._layers)):
            self._is_frozen = True
            self._free.clear()
            gc.freeze()
            self._timer.stop()

    def _thaw(self) -> None:
        self._is_frozen = False
        gc.unfreeze()

    def _on_inserted(self, event: Any) -> None:
        if _is_loaded():
            self._free.add(event.value)

    def _on_removed(self, event: Any) -> None:
        if not (event.value in self._free or is_view(event.value)):
            self._has_garbage = True
            if self._dock.isVisible():
                self._timer.start()  # anew: several may go, one after the other


def _is_loaded() -> bool:
    is_loading = any(thread.name == LOADER for thread in threading.enumerate())
    return "napari_hush.careamist" in sys.modules and not is_loading
