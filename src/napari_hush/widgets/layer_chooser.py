"""The list of image layers to choose from, which follows the viewer's list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Layer
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget

from napari_hush.widgets.view_layers import is_view

if TYPE_CHECKING:
    from napari.components import LayerList
    from qtpy.QtGui import QWheelEvent

__all__ = ["LayerChooser"]

MATTERS = ("data", "axis_labels", "scale", "units", "name")
"""Events of a layer after which its axes or what is said about it may be others."""
NONE = "none"
"""What no layer is called where there may be none."""
MINIMUM_WIDTH = 100
"""Pixels."""


class LayerChooser(QComboBox):
    """Chooses one image layer of a viewer, by identity and not by name.

    The choice survives renaming and reordering. When the chosen layer goes, the first
    of the others is chosen.

    Parameters
    ----------
    layers : LayerList
        The viewer's layers.
    name : str
        The objectName.
    tip : str
        What the chosen layer is for.
    kinds : tuple of types
        Kinds of layers to choose from.
    optional : bool
        Offer "none", which is also what there is at first.
    parent : QWidget, optional
        As of every widget.
    """

    valueChanged = Signal(object)
    """The chosen layer, or None if there is no image layer any more."""
    edited = Signal(str)
    """Something about the chosen layer that matters here: one of `MATTERS`."""

    def __init__(
        self,
        layers: LayerList,
        name: str = "noisy_layer",
        tip: str = "The image layer to learn from and to denoise.",
        kinds: tuple[type[Layer], ...] = (Image,),
        *,
        optional: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._layers = layers
        self._kinds = kinds
        self._optional = optional
        self._choices: list[Image | None] = []
        self._chosen: Image | None = None

        self.setObjectName(name)
        self.setToolTip(tip)
        self.setPlaceholderText("no image layer yet")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        # A long name must not widen the dock: it is cut, and shown whole in the list.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(MINIMUM_WIDTH)

        self.currentIndexChanged.connect(self._on_index_changed)
        events = layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.connect(self._on_list_changed)
        self._on_list_changed()

    # ---- Public API

    def value(self) -> Image | None:
        """The chosen layer; None if there is no layer to choose, or none was chosen."""
        return self._chosen

    def setValue(self, layer: Image | None) -> None:
        """Choose `layer`, which must be in the viewer."""
        self.setCurrentIndex(self._choices.index(layer))

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # the wheel scrolls the dock

    # ---- Private API

    def _on_list_changed(self, event: Any = None) -> None:
        # Iterating gives the layers themselves, indexing napari's proxies of them.
        found = [
            layer
            for layer in self._layers
            if isinstance(layer, self._kinds) and not is_view(layer)
        ]
        self._choices = [None, *found] if self._optional else found
        chosen = self._chosen if self._chosen in self._choices else None
        if chosen is None and self._choices:
            chosen = self._choices[0]
        with QSignalBlocker(self):
            self.clear()
            self.addItems([NONE if one is None else one.name for one in self._choices])
            self.setCurrentIndex(self._choices.index(chosen) if self._choices else -1)
        self._choose(chosen)

    def _on_index_changed(self, index: int) -> None:
        self._choose(self._choices[index] if index >= 0 else None)

    def _choose(self, layer: Image | None) -> None:
        if layer is self._chosen:
            return
        if self._chosen is not None:
            for name in MATTERS:
                self._chosen.events[name].disconnect(self._on_edited)
        if layer is not None:
            for name in MATTERS:
                layer.events[name].connect(self._on_edited)
        self._chosen = layer
        self.valueChanged.emit(layer)

    def _on_edited(self, event: Any) -> None:
        self.edited.emit(event.type)
