"""The upper half of the dock: what to learn from, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_hush.axes import validate_axes
from napari_hush.config import DataConfig
from napari_hush.widgets import layers
from napari_hush.widgets.axes_field import AxesField
from napari_hush.widgets.layer_chooser import LayerChooser
from napari_hush.widgets.readiness import Readiness, judge
from napari_hush.widgets.rule import Rule
from napari_hush.widgets.settings_form import SettingsForm
from napari_hush.widgets.tasks import Training

if TYPE_CHECKING:
    from napari.components import LayerList
    from napari.layers import Image

    from napari_hush.config import Configuration

__all__ = ["Inputs"]

MEASURED = ("_means", "_stds")
"""How fields end that are measured on the training data and saved with the model."""


class Inputs(QWidget):
    """Chooses data, axes and settings, and judges whether they go together.

    Attributes
    ----------
    layer, axes, settings : LayerChooser, AxesField, SettingsForm
        The forms.
    """

    valueChanged = Signal()
    """Something was edited; `readiness` is up to date."""
    renamed = Signal()
    """The chosen layer has another name; nothing else changed."""

    def __init__(self, layer_list: LayerList, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._readiness = Readiness()

        # ---- widgets
        self.layer = LayerChooser(layer_list)
        self.axes = AxesField()
        self._facts = QElidingLabel()
        self._facts.setProperty("role", "quiet")
        self._facts.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._facts.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.settings = SettingsForm()

        # ---- layout
        self._form = QFormLayout()
        self._form.setHorizontalSpacing(10)
        self._form.setVerticalSpacing(6)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.addRow("Image", self.layer)
        self._form.addRow("Axes", self.axes)
        self._form.addRow(self._facts)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        layout.addLayout(self._form)
        layout.addWidget(Rule())
        layout.addWidget(self.settings)

        # ---- connections
        self.layer.valueChanged.connect(self._on_layer_chosen)
        self.layer.edited.connect(self._on_layer_edited)
        self.axes.valueChanged.connect(self._on_edited)
        self.settings.valueChanged.connect(self._on_edited)

        self._on_layer_chosen()

    # ---- Public API

    @property
    def readiness(self) -> Readiness:
        """What stands in the way of training and denoising."""
        return self._readiness

    def value(self) -> Configuration:
        """The configuration that training would use.

        Raises
        ------
        ConfigurationError
            If what was typed cannot be.
        """
        validate_axes(self.axes.value())
        return self.settings.value()

    def setValue(self, configuration: Configuration) -> None:
        """Show `configuration`; settings without a control here are kept, too."""
        with QSignalBlocker(self.axes), QSignalBlocker(self.settings):
            self.settings.setValue(configuration)
            self.axes.setValue(configuration.data_config.axes)
        self._on_edited()

    def showSettingsOf(self, configuration: Configuration) -> None:
        """Show a model's settings, for training another one on the chosen layer."""
        # Intensities are measured anew, and the axes are those of the layer.
        measured = [name for name in DataConfig.model_fields if name.endswith(MEASURED)]
        data = configuration.data_config.model_dump() | dict.fromkeys(measured)
        self.setValue(configuration.replace(data_config=data))
        self._on_layer_chosen()

    def chosen(self) -> Image | None:
        """The chosen noisy layer."""
        return self.layer.value()

    def training(self) -> Training | None:
        """The job that Train starts; None without a layer."""
        layer = self.layer.value()
        if layer is None:
            return None
        source = layers.source_of(layer)
        return Training(self.value(), source, layer.rgb, layer.name)

    def labels(self) -> list[QLabel]:
        """Labels of all rows, which share one left edge."""
        items = [
            self._form.itemAt(row, QFormLayout.ItemRole.LabelRole)
            for row in range(self._form.rowCount())
        ]
        return [item.widget() for item in items if item is not None]

    def showLocked(self, locked: bool) -> None:
        """Show whether settings can be edited now."""
        self.settings.setEnabled(not locked)
        self.axes.setEnabled(not locked)

    # ---- Private API

    def _on_layer_chosen(self) -> None:
        self._infer_axes()
        self._on_edited()

    def _on_layer_edited(self, what: str) -> None:
        layer = self.layer.value()
        if layer is None or what == "name":
            self.renamed.emit()
            return
        other_ndim = len(layers.pixel_shape(layer)) != len(self.axes.value())
        if what == "axis_labels" or (what == "data" and other_ndim):
            self._infer_axes()
        self._on_edited()

    def _on_edited(self) -> None:
        with QSignalBlocker(self.settings):  # it may change in being judged
            self._readiness = judge(self.layer.value(), self.axes.value(), self.settings)
        self._show_readiness()
        self.valueChanged.emit()

    def _show_readiness(self) -> None:
        facts, wrong = self._readiness.facts, self._readiness.axes_wrong
        if self._facts.text() != facts:
            self._facts.setText(facts)
            self._facts.setToolTip(facts)
        if self.axes.property("wrong") != wrong:
            self.axes.setProperty("wrong", wrong)
            self.axes.style().unpolish(self.axes)
            self.axes.style().polish(self.axes)

    def _infer_axes(self) -> None:
        layer = self.layer.value()
        if layer is not None:
            with QSignalBlocker(self.axes):
                self.axes.setValue(layers.infer_axes(layer))
