"""Drag and drop of layers from the layer list and of files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Layer
from qtpy.QtCore import QEvent, QObject, Qt, Signal

from napari_hush.io.contents import natural_order
from napari_hush.widgets.theme.widgets import mark

if TYPE_CHECKING:
    from napari.components import LayerList
    from qtpy.QtCore import QMimeData
    from qtpy.QtWidgets import QWidget

LAYERS = "application/x-list-index"
"""MIME type of layers dragged from the layer list of napari."""


@dataclass(frozen=True, eq=False)
class Dropped:
    """Dropped layers, or paths in natural order; one of the two is empty."""

    layers: tuple[Any, ...] = ()
    paths: tuple[Path, ...] = ()


def read_drop(mime: QMimeData, layers: LayerList) -> Dropped | None:
    """The layers or paths in `mime`; None if there are none."""
    # The data of napari may have the layers as items; otherwise they are the selected ones.
    items = getattr(mime, "items", None)
    if items is None and mime.hasFormat(LAYERS):
        items = [layer for layer in layers if layer in layers.selection]
    found = tuple(item for item in items or () if isinstance(item, Layer))
    if found:
        return Dropped(layers=found)
    paths = [
        Path(url.toLocalFile() if url.isLocalFile() else bytes(url.toEncoded()).decode())
        for url in mime.urls()
    ]
    return Dropped(paths=tuple(sorted(paths, key=natural_order))) if paths else None


class DropTarget(QObject):
    """Accepts layers and files dropped on `widget`, which is marked while they hover."""

    dropped = Signal(object)
    """This `Dropped` was dropped."""

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
            # The layer list offers only to move, but keeps the layers.
            actions = Qt.DropAction
            event.setDropAction(
                actions.MoveAction if dropped.layers else actions.CopyAction
            )
            event.accept()
            if kind == QEvent.Type.Drop:
                self.dropped.emit(dropped)
            return True
        if kind == QEvent.Type.DragLeave:
            mark(self._widget, "hover", False)
        return False
