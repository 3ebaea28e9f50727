"""What to learn from: layers, their axes, and which part of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Shapes
from napari.utils.notifications import show_error
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_hush.errors import HushError
from napari_hush.widgets.data import layers
from napari_hush.widgets.data.axes_chips import AxesChips
from napari_hush.widgets.data.layer_field import LayerChooser, LayerField
from napari_hush.widgets.data.open_as_layers import open_as_layers
from napari_hush.widgets.data.regions import Extent
from napari_hush.widgets.settings.fields import ChoiceField
from napari_hush.widgets.theme.collapsible import Collapsible

if TYPE_CHECKING:
    from pathlib import Path

    import napari.viewer

__all__ = ["DataPanel"]

ROLES = {
    "noisy": ("Noisy", "The noisy image to learn from; the first one is also denoised."),
    "target": ("Target", "What the noisy image should become: same scene, same size."),
    "validation": (
        "Validation",
        "Noisy images kept aside to watch the training; none takes a tenth of the data.",
    ),
    "validation_target": ("… target", "The targets of the validation images."),
    "truth": (
        "Truth",
        "A clean picture of the same scene, if there is one: results are measured by it\n"
        "(PSNR, SSIM), and nothing is learned from it.",
    ),
    "mask": ("Mask", "Labels or an image: only patches that touch it are learned from."),
}
"""Words and help of the fields."""


class DataPanel(QWidget):
    """Chooses the layers to learn from.

    Attributes
    ----------
    fields : dict of str to LayerField
        By role: noisy, target, validation, validation_target, truth, mask.
    axes : AxesChips
        Of the noisy layer.
    """

    valueChanged = Signal()
    """Other layers, other axes, another part of them."""
    layerChanged = Signal()
    """The first noisy layer is another one, or has other dimensions."""
    renamed = Signal()

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer

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
        self.axes = AxesChips()
        self._facts = QElidingLabel()
        self._facts.setObjectName("facts")
        self._facts.setProperty("role", "quiet")
        self._facts.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.extent = ChoiceField([extent.value for extent in Extent])
        self.extent.setObjectName("extent")
        self.extent.setAccessibleName("Part to learn from")
        self.extent.setToolTip(
            "Learn from everything, from what the viewer shows, from the step that is "
            "shown, or from the rectangles around drawn shapes."
        )
        self.shapes = LayerChooser(
            viewer.layers,
            "shapes_layer",
            "The shapes to learn inside of.",
            (Shapes,),
        )
        self.shapes.setPlaceholderText("no Shapes layer yet")
        self.fold = Collapsible("fold_data", "More data", QWidget)

        # ---- layout
        self._form = _form()
        self._labels: dict[str, QLabel] = {}
        self._add(self._form, "noisy")
        self._form.addRow("Axes", self.axes)
        self._form.addRow("", self._facts)
        self._add(self._form, "target")
        more = QWidget()
        self._more_form = _form()
        more.setLayout(self._more_form)
        self._more_form.setContentsMargins(0, 0, 0, 0)
        for role in ("validation", "validation_target", "mask", "truth"):
            self._add(self._more_form, role)
        self._more_form.addRow("Part", self.extent)
        self._more_form.addRow("Shapes", self.shapes)
        self.fold.content().layout().addWidget(more)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._form)
        layout.addWidget(self.fold)

        # ---- connections
        noisy = self.fields["noisy"]
        noisy.valueChanged.connect(self._on_noisy)
        noisy.edited.connect(self._on_edited)
        for role, field in self.fields.items():
            field.filesDropped.connect(lambda paths, role=role: self.openFiles(paths, role))
            if role != "noisy":
                field.valueChanged.connect(self.valueChanged)
                field.edited.connect(lambda what: self.valueChanged.emit())
        self.axes.valueChanged.connect(lambda axes: self.valueChanged.emit())
        self.extent.valueChanged.connect(self._on_extent)
        self.shapes.valueChanged.connect(lambda layer: self.valueChanged.emit())

        self.showTargets(False)
        self._on_extent()
        self._infer_axes()

    # ---- Public API

    def layer(self) -> Image | None:
        """The first noisy layer, which is also the one to denoise."""
        return self.fields["noisy"].chooser.value()

    def part(self) -> Extent:
        """How much of the layers is learned from."""
        return Extent(self.extent.value())

    def showTargets(self, needed: bool) -> None:
        """Show the rows for targets, where the method learns from pairs."""
        for role in ("target", "validation_target"):
            self.fields[role].setVisible(needed)
            self._labels[role].setVisible(needed)

    def showFacts(self, facts: str, *, axes_wrong: bool) -> None:
        """Show the size of the image in words, and whether its axes are wrong."""
        if self._facts.text() != facts:
            self._facts.setText(facts)
            self._facts.setToolTip(facts)
        self.axes.setWrong(axes_wrong)

    def labels(self) -> list[QLabel]:
        """Labels of all rows, which share one left edge."""
        found = []
        for form in (self._form, self._more_form):
            for row in range(form.rowCount()):
                item = form.itemAt(row, QFormLayout.ItemRole.LabelRole)
                if item is not None and item.widget() is not None:
                    found.append(item.widget())
        return found

    def openFiles(self, paths: list[Path], role: str = "noisy") -> None:
        """Open files as layers and choose them for `role`; say what cannot be opened."""
        opened = []
        for path in paths:
            try:
                opened.extend(open_as_layers(self._viewer, path))
            except HushError as error:
                show_error(str(error))
        if opened:
            self.fields[role].setLayers(opened)

    # ---- Private API

    def _add(self, form: QFormLayout, role: str) -> None:
        words, tip = ROLES[role]
        field = self.fields[role]
        label = QLabel(words)
        label.setToolTip(tip)
        label.setBuddy(field.chooser)
        field.chooser.setAccessibleName(words)
        form.addRow(label, field)
        self._labels[role] = label

    def _on_noisy(self) -> None:
        self._infer_axes()
        self.layerChanged.emit()
        self.valueChanged.emit()

    def _on_edited(self, what: str) -> None:
        layer = self.layer()
        if layer is None or what == "name":
            self.renamed.emit()
            return
        other_ndim = len(layers.pixel_shape(layer)) != len(self.axes.value())
        if what == "axis_labels" or (what == "data" and other_ndim):
            self._infer_axes()
        self.valueChanged.emit()

    def _on_extent(self) -> None:
        inside = self.part() is Extent.SHAPES
        self.shapes.setVisible(inside)
        self._more_form.labelForField(self.shapes).setVisible(inside)
        self.valueChanged.emit()

    def _infer_axes(self) -> None:
        layer = self.layer()
        if layer is not None:
            with QSignalBlocker(self.axes):
                self.axes.setValue(layers.infer_axes(layer), layers.pixel_shape(layer))


def _form() -> QFormLayout:
    form: Any = QFormLayout()
    form.setHorizontalSpacing(10)
    form.setVerticalSpacing(6)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
    return form
