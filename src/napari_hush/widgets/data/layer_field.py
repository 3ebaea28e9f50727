"""Fields to choose layers, which also take layers and files by drag and drop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Layer
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFileDialog, QMenu, QToolButton, QWidget

from napari_hush.io.contents import natural_order
from napari_hush.widgets.data.chosen_files import ChosenFiles, ImageOnDisk
from napari_hush.widgets.data.drag_and_drop import DropTarget
from napari_hush.widgets.data.helper_layers import is_view
from napari_hush.widgets.data.layers import REFERENCE, RESULT
from napari_hush.widgets.notifications import notify
from napari_hush.widgets.settings.fields import ComboBox
from napari_hush.widgets.theme.widgets import column, quiet_label, row, small_button

if TYPE_CHECKING:
    from napari.components import LayerList


class LayerField(QWidget):
    """Chooses layers: one in a `LayerChooser`, further ones in a menu if `several`.

    The objectName of the `chooser` of the first layer is `name`, that of this widget
    ``{name}s``.
    """

    valueChanged = Signal()
    """Other layers were chosen."""
    edited = Signal(str)
    """`LayerChooser.edited` of the first layer, or `FURTHER` for another one."""
    filesAsked = Signal(list)
    """These paths are wanted from disk; read them and call `setFiles`."""
    dropped = Signal(object)
    """This `Dropped` was dropped; open its paths and call `takeLayers`."""

    def __init__(
        self,
        layers: LayerList,
        name: str,
        tip: str,
        kinds: tuple[type[Layer], ...] = (Image,),
        *,
        optional: bool = True,
        several: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._layers = layers
        self._kinds = kinds
        self._several = several
        self._takes_any = optional
        """Whether results and ground truths are offered as well."""
        self._more: list[Image] = []

        # ---- widgets
        self.setObjectName(f"{name}s")
        self.setToolTip(f"{tip}\nDrop layers or files here.")
        self.chooser = LayerChooser(layers, name, tip, kinds, optional=optional)
        tip = "Add layers, or use files from disk without opening them as layers."
        more = small_button(f"{name}_more", "+", tip)
        more.setAccessibleName("Further layers and files")
        more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        more.setVisible(several)
        self._menu = QMenu(self)
        more.setMenu(self._menu)
        self._others = quiet_label(f"{name}_others")
        self._others.hide()

        # ---- layout
        line = row(spacing=4)
        line.addWidget(self.chooser, 1)
        line.addWidget(more)
        layout = column(self, spacing=2)
        layout.addLayout(line)
        layout.addWidget(self._others)

        # ---- connections
        self.chooser.valueChanged.connect(self._on_chosen)
        self.chooser.edited.connect(self._on_edited)
        self._menu.aboutToShow.connect(self._fill_menu)
        DropTarget(self, layers).dropped.connect(self.dropped)
        layers.events.removed.connect(self._on_removed)

    def value(self) -> list[Image | ImageOnDisk]:
        """The chosen layers, or the images of the chosen files."""
        if (files := self.chooser.files()) is not None:
            return list(files.images)
        first = self.chooser.value()
        return [] if first is None else [first, *self._more]

    def setLayers(self, layers: Sequence[Any]) -> bool:
        """Choose those of `layers` that are of the right kind; False if none is."""
        fit = [layer for layer in layers if self.chooser.offers(layer)]
        if not fit:
            return False
        self.chooser.setValue(fit[0])
        self._set_more(fit[1:] if self._several else [])
        return True

    def setFiles(self, files: ChosenFiles) -> None:
        """Choose the images in `files`."""
        self.chooser.setFiles(files)

    def takeLayers(self, layers: Sequence[Any]) -> None:
        """Choose dropped layers, or say why none of them can be chosen."""
        if self.setLayers(layers) or not layers:
            return
        layer, kind = layers[0], " or ".join(each.__name__ for each in self._kinds)
        if not isinstance(layer, self._kinds):
            what = f"is a {type(layer).__name__} layer"
        elif is_view(layer):
            what = "only shows other layers"
        else:
            what = "is in another window"
        notify(f"“{layer.name}” {what}; choose a layer of the type {kind}.")

    def _fill_menu(self) -> None:
        self._menu.clear()
        for layer in self._layers:
            fits = layer in self._more or self._takes_any or _may_be_noisy(layer)
            if fits and self.chooser.offers(layer) and layer is not self.chooser.value():
                action = self._menu.addAction(layer.name)
                action.setCheckable(True)
                action.setChecked(layer in self._more)
                action.toggled.connect(lambda on, layer=layer: self._on_ticked(layer, on))
        self._menu.addSeparator()
        self._menu.addAction("Files from disk …").triggered.connect(self._ask_files)
        self._menu.addAction("Folder from disk …").triggered.connect(self._ask_folder)

    def _ask_files(self) -> None:
        chosen, _ = QFileDialog.getOpenFileNames(self, "Use files from disk")
        if chosen:
            self.filesAsked.emit(sorted(map(Path, chosen), key=natural_order))

    def _ask_folder(self) -> None:
        if chosen := QFileDialog.getExistingDirectory(self, "Use a folder from disk"):
            self.filesAsked.emit([Path(chosen)])

    def _on_ticked(self, layer: Image, on: bool) -> None:
        others = [one for one in self._more if one is not layer]
        self._set_more([*others, layer] if on else others)

    def _on_chosen(self, layer: Image | None) -> None:
        others = [one for one in self._more if one is not layer]
        self._set_more([] if layer is None else others)

    def _set_more(self, layers: list[Image]) -> None:
        for layer in self._more:
            for name in MATTERS:
                layer.events[name].disconnect(self._on_further_edited)
        self._more = layers
        for layer in layers:
            for name in MATTERS:
                layer.events[name].connect(self._on_further_edited)
        self._show()
        self.valueChanged.emit()

    def _on_edited(self, what: str) -> None:
        self._show()
        self.edited.emit(what)

    def _on_further_edited(self, event: Any) -> None:
        self._on_edited(FURTHER)

    def _on_removed(self, event: Any) -> None:
        left = [layer for layer in self._more if layer in self._layers]
        if len(left) < len(self._more):
            self._set_more(left)

    def _show(self) -> None:
        names = ", ".join(layer.name for layer in self._more)
        self._others.setText(f"and {names}" if names else "")
        self._others.setToolTip(names)
        self._others.setVisible(bool(names))


MATTERS = (
    *("data", "axis_labels", "units", "name"),
    *("scale", "translate", "rotate", "shear", "affine"),
)
"""Events of a layer that may change its axes, its description, or what lies inside it."""
FURTHER = "further"
"""Something of a layer that is not the first one."""
NONE = "none"
"""Text for no layer."""
MINIMUM_WIDTH = 80
"""Pixels."""


class LayerChooser(ComboBox):
    """Chooses one layer of the given `kinds`, or none if `optional`.

    The choice survives renaming and reordering. When the chosen layer is removed, the
    first of the others is chosen that is neither a result nor a reference of a sample.
    """

    valueChanged = Signal(object)
    """The chosen layer, or None."""
    edited = Signal(str)
    """An event of the chosen layer, one of `MATTERS`."""

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
        super().__init__(MINIMUM_WIDTH, parent)
        self._layers = layers
        self._kinds = kinds
        self._optional = optional
        self._choices: list[Image | ChosenFiles | None] = []
        self._chosen: Image | ChosenFiles | None = None
        self._files: list[ChosenFiles] = []
        self._by_hand = False

        self.setObjectName(name)
        self.setToolTip(tip)
        self.setPlaceholderText("no image yet")

        self.currentIndexChanged.connect(self._on_index_changed)
        events = layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.connect(self._on_list_changed)
        self._on_list_changed()

    def value(self) -> Image | None:
        """The chosen layer, or None."""
        return None if isinstance(self._chosen, ChosenFiles) else self._chosen

    def files(self) -> ChosenFiles | None:
        """The chosen files, or None."""
        return self._chosen if isinstance(self._chosen, ChosenFiles) else None

    def setFiles(self, files: ChosenFiles) -> None:
        """Offer `files`, in place of an earlier choice of the same, and choose them."""
        others = [one for one in self._files if one.paths != files.paths]
        self._files = [*others, files]
        self._on_list_changed()
        self.setCurrentIndex(self._choices.index(files))

    def setValue(self, layer: Image | None) -> None:
        """Choose `layer`, which must be in the viewer."""
        self.setCurrentIndex(self._choices.index(layer))
        self._by_hand = True

    def follow(self, layer: Any) -> None:
        """Choose `layer` if it is noisy, unless another one was chosen by hand."""
        if self._by_hand or not self.offers(layer) or not _may_be_noisy(layer):
            return
        with QSignalBlocker(self):
            self.setCurrentIndex(self._choices.index(layer))
        self._choose(layer)

    def offers(self, layer: Any) -> bool:
        """Whether `layer` can be chosen."""
        return any(layer is one for one in self._choices)

    def _on_list_changed(self, event: Any = None) -> None:
        # Iterating gives the layers themselves, indexing gives napari's proxies.
        found = [
            layer
            for layer in self._layers
            if isinstance(layer, self._kinds) and not is_view(layer)
        ]
        self._choices = [*([None] if self._optional else []), *found, *self._files]
        chosen = self._chosen if self._chosen in self._choices else None
        if chosen is None:
            self._by_hand = False
            chosen = next(filter(_may_be_noisy, self._choices), None)
        with QSignalBlocker(self):
            self.clear()
            self.addItems([_text(one) for one in self._choices])
            known = chosen in self._choices
            self.setCurrentIndex(self._choices.index(chosen) if known else -1)
        self._choose(chosen)

    def _on_index_changed(self, index: int) -> None:
        self._by_hand = True
        self._choose(self._choices[index] if index >= 0 else None)

    def _choose(self, chosen: Image | ChosenFiles | None) -> None:
        if chosen is self._chosen:
            return
        if (layer := self.value()) is not None:
            for name in MATTERS:
                layer.events[name].disconnect(self._on_edited)
        self._chosen = chosen
        if (layer := self.value()) is not None:
            for name in MATTERS:
                layer.events[name].connect(self._on_edited)
        self.valueChanged.emit(layer)

    def _on_edited(self, event: Any) -> None:
        # Shapes also report what is about to change.
        if not str(getattr(event, "action", "")).endswith("ing"):
            self.edited.emit(event.type)


def _may_be_noisy(choice: Image | ChosenFiles | None) -> bool:
    """Whether it is neither a result nor a target or ground truth of a sample."""
    return not (isinstance(choice, Layer) and {RESULT, REFERENCE} & choice.metadata.keys())


def _text(choice: Image | ChosenFiles | None) -> str:
    if isinstance(choice, ChosenFiles):
        return choice.title
    return NONE if choice is None else str(choice.name)
