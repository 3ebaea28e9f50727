"""Chooses the training data: layers, their axes, and which part of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.layers import Image, Labels
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFileDialog, QFormLayout, QLabel, QWidget

from napari_hush.errors import HushError
from napari_hush.io.contents import natural_order
from napari_hush.widgets.data import layers
from napari_hush.widgets.data.axes_chips import AxesChips
from napari_hush.widgets.data.chosen_data import ChosenData
from napari_hush.widgets.data.chosen_files import in_order_of
from napari_hush.widgets.data.drag_and_drop import DropTarget
from napari_hush.widgets.data.empty_state import EmptyState
from napari_hush.widgets.data.file_metadata import FileMetadataReader
from napari_hush.widgets.data.file_opener import SAMPLE, FileOpener
from napari_hush.widgets.data.layer_field import LayerField
from napari_hush.widgets.data.region_field import RegionField
from napari_hush.widgets.data.regions import Extent
from napari_hush.widgets.theme.collapsible import Collapsible
from napari_hush.widgets.theme.help import HelpButton
from napari_hush.widgets.theme.widgets import WrappedLabel, column, form, row

if TYPE_CHECKING:
    import napari.viewer

    from napari_hush.widgets.data.chosen_files import ChosenFiles, ImageOnDisk

ROLES = {
    "noisy": ("Noisy", "Noisy images to train on; the first one is also denoised."),
    "target": ("Target", "The same scene as the noisy image, with less noise; same size."),
    "validation": (
        "Validation",
        "Noisy images for validation only; without any, a tenth of the data is used.",
    ),
    "validation_target": ("Val. target", "The targets of the validation images."),
    "truth": (
        "Ground truth",
        "A clean image of the same scene. Results are compared with it (PSNR, SSIM);\n"
        "it is not used for training.",
    ),
    "mask": ("Mask", "Labels or an image; only patches that touch it are trained on."),
}
"""Label and help of the field of each role."""


class DataPanel(QWidget):
    """Chooses the layers to train on, and their axes; `fields` are by role."""

    valueChanged = Signal()
    """Layers, axes or the part to train on have changed."""
    renamed = Signal()
    dropped = Signal(object, str)
    """This `Dropped` was dropped on the field of a role."""
    refused = Signal(str)
    """Why a file cannot be opened, in one sentence."""

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._locked = False
        self._own_axes: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        """Axes that the user has set, by image."""
        self._files = FileMetadataReader(viewer.layers, self)
        self._opener = FileOpener(viewer, self)

        # ---- widgets
        self.fields = {
            role: LayerField(
                viewer.layers,
                f"{role}_layer",
                tip,
                (Image, Labels) if role == "mask" else (Image,),
                optional=role != "noisy",
                several=role not in ("mask", "truth"),
            )
            for role, (_, tip) in ROLES.items()
        }
        self._empty = EmptyState()
        self.axes = AxesChips()
        self._facts = WrappedLabel("facts", role="quiet")
        self.region = RegionField(viewer, self.layer)
        self.fold = Collapsible("fold_data", "More data", QWidget, help="data")

        # ---- layout
        self._form = form()
        self._labels: dict[str, QLabel] = {}
        self._add(self._form, "noisy")
        self._form.addRow(self._empty)
        self._axes_row = QWidget()
        axes = row(self._axes_row)
        axes.addWidget(self.axes, 1)
        axes.addWidget(HelpButton("image"))
        self._form.addRow("Axes", self._axes_row)
        self._form.addRow("", self._facts)
        self._add(self._form, "target")
        more = QWidget()
        self._more_form = form(more)
        self._more_form.setContentsMargins(0, 0, 0, 0)
        for role in ("validation", "validation_target", "mask", "truth"):
            self._add(self._more_form, role)
        self._more_form.addRow("Part", self.region)
        self.fold.content().layout().addWidget(more)
        layout = column(self)
        layout.addLayout(self._form)
        layout.addWidget(self.fold)

        self._connect()
        self.showTargets(False)
        self._show_first()

    def _connect(self) -> None:
        noisy = self.fields["noisy"]
        noisy.valueChanged.connect(self._on_noisy)
        noisy.edited.connect(self._on_edited)
        for role, field in self.fields.items():
            field.dropped.connect(lambda what, role=role: self.dropped.emit(what, role))
            field.filesAsked.connect(lambda paths, role=role: self.useFiles(paths, role))
            if role != "noisy":
                field.valueChanged.connect(self.valueChanged)
                field.edited.connect(lambda what: self.valueChanged.emit())
        self.axes.valueChanged.connect(self._on_axes)
        self._files.known.connect(self._on_file_known)
        self._opener.opened.connect(self._on_opened)
        self._empty.openAsked.connect(self._on_open)
        self._empty.sampleAsked.connect(self._opener.openSample)
        DropTarget(self._empty, self._viewer.layers).dropped.connect(
            lambda what: self.dropped.emit(what, "noisy")
        )
        self._opener.chosen.connect(lambda role, files: self.fields[role].setFiles(files))
        self._opener.changed.connect(self.valueChanged)
        self._opener.refused.connect(self.refused)
        self.region.valueChanged.connect(self.valueChanged)

    def layer(self) -> Image | None:
        """The first noisy layer, which is also the one to denoise; None for files."""
        return self.fields["noisy"].chooser.value()

    def files(self) -> ChosenFiles | None:
        """The noisy images, if they are in files that are no layers."""
        return self.fields["noisy"].chooser.files()

    def first(self) -> Image | ImageOnDisk | None:
        """The first noisy image, a layer or in a file."""
        files = self.files()
        return self.layer() if files is None else files.images[0]

    def subject(self) -> str:
        """Name of the chosen layer, file or folder; empty without one."""
        chosen = self.files() or self.layer()
        return "" if chosen is None else str(chosen.name)

    def previewed(self) -> Image | None:
        """The layer that previews lie over: the chosen one, or the first of the files.

        Adds that of files to the viewer.
        """
        files = self.files()
        if files is None:
            return self.layer()
        if files.first not in self._viewer.layers:
            self._viewer.add_layer(files.first)
        return files.first

    def value(self) -> ChosenData | None:
        """All chosen images; None without a noisy one."""
        chosen = {
            role: tuple(field.value())
            for role, field in self.fields.items()
            if role != "truth"
        }
        if not chosen["noisy"]:
            return None
        unpaired = ""
        for images, targets in ("noisy", "target"), ("validation", "validation_target"):
            try:
                chosen[targets] = in_order_of(chosen[images], chosen[targets])
            except HushError as error:
                unpaired = str(error)
        return ChosenData(
            axes=self.axes.value(),
            extent=self.region.value() if self.files() is None else Extent.EVERYTHING,
            shapes=self.region.shapes.value(),
            unpaired=unpaired,
            **chosen,
        )

    def describe(self) -> str:
        """Size and pixel size of the noisy images, or empty."""
        files, layer = self.files(), self.layer()
        if files is not None:
            return files.describe()
        return "" if layer is None else layers.describe(layer)

    def follow(self, layer: Any) -> None:
        """Choose `layer`, which was opened or selected, unless that is for a person to do.

        That is so with targets, several images, or where they chose one here.
        """
        alone = self.fields["target"].isHidden() and len(self.fields["noisy"].value()) < 2
        others = (field.value() for role, field in self.fields.items() if role != "noisy")
        if alone and not any(layer is one for many in others for one in many):
            self.fields["noisy"].chooser.follow(layer)

    def setAxes(self, axes: str) -> None:
        """Show `axes` of the engine, as those of the image."""
        layer = self.first()
        shape = () if layer is None else layers.pixel_shape(layer)
        self.axes.setValue(layers.fitted_axes(axes, shape), shape)

    def showTargets(self, needed: bool) -> None:
        """Show the rows for targets, for methods that need them."""
        needed = needed and self.first() is not None
        for role in ("target", "validation_target"):
            self.fields[role].setVisible(needed)
            self._labels[role].setVisible(needed)

    def waiting(self) -> str:
        """Work that has to end before the data are known, in one sentence; or empty."""
        layer = self.layer()
        if layer is not None and self._files.isReading(layer):
            return f"Reading the axes of “{layer.name}” from its file …"
        return self._opener.message()

    def showFacts(self, facts: str, *, axes_wrong: bool) -> None:
        """Show the size of the image, and whether its axes are wrong or guessed."""
        layer = self.first()
        if layer is not None and layer not in self._own_axes and layers.is_guess(layer):
            size, line, more = facts.partition("\n")
            facts = f"{size} · axes guessed{line}{more}"
        self._facts.setText(facts)
        self.axes.setWrong(axes_wrong)

    def setLocked(self, locked: bool) -> None:
        """Disable what a training run has read already, and would ignore."""
        self._locked = locked
        self.axes.setEnabled(not locked)
        for role, field in self.fields.items():
            field.setEnabled(not locked or role in ("noisy", "truth"))
        self._enable_region()

    def labels(self) -> list[QLabel]:
        """Labels of all rows, for aligning them."""
        items = [
            rows.itemAt(row, QFormLayout.ItemRole.LabelRole)
            for rows in (self._form, self._more_form)
            for row in range(rows.rowCount())
        ]
        return [item.widget() for item in items if item is not None and item.widget()]

    def openFiles(self, paths: list[Path], role: str = "noisy") -> None:
        """Open files as layers, in the background, and choose them for `role`."""
        self._opener.open(paths, role)

    def useFiles(self, paths: list[Path], role: str = "noisy") -> None:
        """Choose files or a folder, in the background, to read from disk for `role`."""
        self._opener.open(paths, role, on_disk=True)

    def _add(self, rows: QFormLayout, role: str) -> None:
        words, tip = ROLES[role]
        field = self.fields[role]
        label = QLabel(words)
        label.setToolTip(tip)
        label.setBuddy(field.chooser)
        field.chooser.setAccessibleName(words)
        rows.addRow(label, field)
        self._labels[role] = label

    def _enable_region(self) -> None:
        self.region.setEnabled(self.files() is None and not self._locked)

    def _on_opened(self, role: str, new: list[Any]) -> None:
        if role != SAMPLE:
            self.fields[role].takeLayers(new)
            return
        for part, layer in zip(("truth", "noisy"), new, strict=True):
            self.fields[part].setLayers([layer])

    def _on_open(self) -> None:
        chosen, _ = QFileDialog.getOpenFileNames(self, "Open images")
        if chosen:
            self.openFiles(sorted(map(Path, chosen), key=natural_order))

    def _on_noisy(self) -> None:
        self._show_first()
        self.valueChanged.emit()

    def _on_edited(self, what: str) -> None:
        layer = self.layer()
        if layer is None or what == "name":
            self.renamed.emit()
            return
        if what == "axis_labels":
            self._own_axes.pop(layer, None)
        self._infer_axes()
        self.valueChanged.emit()

    def _on_axes(self, axes: str) -> None:
        if (layer := self.first()) is not None:
            self._own_axes[layer] = axes
        self.valueChanged.emit()

    def _on_file_known(self, layer: Image) -> None:
        if any(layer is one for field in self.fields.values() for one in field.value()):
            self._infer_axes()
            self.valueChanged.emit()

    def _show_first(self) -> None:
        """Show the axes of the first noisy image, or where to get one."""
        there = self.first() is not None
        self._empty.setVisible(not there)
        label = self._form.labelForField(self._axes_row)
        for widget in (label, self._axes_row, self._facts, self.fold):
            widget.setVisible(there)
        self._enable_region()
        self._infer_axes()

    def _infer_axes(self) -> None:
        """Show the axes of the layer, or those that the user has set for it."""
        layer = self.first()
        if layer is not None:
            shape, axes = layers.pixel_shape(layer), self._own_axes.get(layer, "")
            if len(axes) != len(shape):
                axes = layers.infer_axes(layer)
            with QSignalBlocker(self.axes):
                self.axes.setValue(axes, shape)
