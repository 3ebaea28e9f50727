"""What people drop onto the dock: layers from napari's list, files from the desktop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Layer
from qtpy.QtCore import QEvent, QObject, Qt, Signal

from napari_hush.widgets.theme.widgets import mark

if TYPE_CHECKING:
    from napari.components import LayerList
    from qtpy.QtCore import QMimeData
    from qtpy.QtWidgets import QWidget

__all__ = ["DropTarget", "Dropped", "read_drop"]

LAYERS = "application/x-list-index"
"""Format that napari's layer list drags its layers in."""


@dataclass(frozen=True, eq=False)
class Dropped:
    """What was dropped: layers or paths, one of the two."""

    layers: tuple[Any, ...] = ()
    paths: tuple[Path, ...] = ()


def read_drop(mime: QMimeData, layers: LayerList) -> Dropped | None:
    """What `mime` holds that can be used here; None if that is nothing."""
    # What napari drags brings the layers themselves; else what is dragged is selected.
    items = getattr(mime, "items", None)
    if items is None and mime.hasFormat(LAYERS):
        items = [layer for layer in layers if layer in layers.selection]
    found = tuple(item for item in items or () if isinstance(item, Layer))
    if found:
        return Dropped(layers=found)
    paths = tuple(Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile())
    return Dropped(paths=paths) if paths else None


class DropTarget(QObject):
    """Lets layers and files be dropped on a widget and its children.

    Parameters
    ----------
    widget : QWidget
        What they are dropped on; it is marked while something hovers over it.
    layers : LayerList
        The viewer's layers.
    """

    dropped = Signal(object)
    """Somebody dropped this `Dropped`."""

    def __init__(self, widget: QWidget, layers: LayerList) -> None:
        super().__init__(widget)
        self._widget = widget
        self._layers = layers
        widget.setAcceptDrops(True)
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind in (QEvent.Type.DragEnter, QEvent.Type.DragMove, QEvent.Type.Drop):
            dropped = read_drop(event.mimeData(), self._layers)
            if dropped is None:
                return False
            mark(self._widget, "hover", kind != QEvent.Type.Drop)
            # The list of layers offers moving alone, yet keeps what was taken from it.
            event.setDropAction(
                Qt.DropAction.MoveAction if dropped.layers else Qt.DropAction.CopyAction
            )
            event.accept()
            if kind == QEvent.Type.Drop:
                self.dropped.emit(dropped)
            return True
        if kind == QEvent.Type.DragLeave:
            mark(self._widget, "hover", False)
        return False
