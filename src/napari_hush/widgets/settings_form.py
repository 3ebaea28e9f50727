"""The settings of a training run, generated from the configuration's own fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QWidget

from napari_hush.axes import spatial_axes
from napari_hush.config import Configuration, DataConfig, TrainingConfig
from napari_hush.widgets.count_field import CountField
from napari_hush.widgets.patch_size_field import PatchSizeField

if TYPE_CHECKING:
    from napari_hush.config.base import Frozen

__all__ = ["SettingsForm"]

_COUNTS: tuple[tuple[str, type[Frozen], str, str], ...] = (
    ("training_config", TrainingConfig, "num_epochs", "Epochs"),
    ("training_config", TrainingConfig, "num_steps", "Steps per epoch"),
    ("data_config", DataConfig, "batch_size", "Patches per step"),
)
"""Part of the configuration, its type, the field, and what people call it."""


class SettingsForm(QWidget):
    """Edits the part of a `Configuration` that people set, and keeps the rest of it.

    The axes come from elsewhere (`setImage`); the network's dimensions and channels
    follow them.
    """

    valueChanged = Signal()
    """Something was edited. Ask `value` for the result, which may not be allowed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._base = Configuration()
        self._axes = self._base.data_config.axes
        self._channels = self._base.algorithm_config.model.in_channels

        # ---- widgets
        self._counts = {
            name: CountField(name, owner.model_fields[name])
            for _, owner, name, _ in _COUNTS
        }
        self._patch_size = PatchSizeField()

        # ---- layout
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(10)
        layout.setVerticalSpacing(6)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for _, _, name, words in _COUNTS:
            self._add_row(layout, words, self._counts[name])
        self._add_row(layout, "Patch size", self._patch_size)

        # ---- connections
        for box in self._counts.values():
            box.valueChanged.connect(self._emit)
        self._patch_size.valueChanged.connect(self._emit)

        self.setValue(self._base)

    # ---- Public API

    def value(self) -> Configuration:
        """The configuration as edited.

        Raises
        ------
        ConfigurationError
            If what was typed cannot be, such as a patch the network cannot halve.
        """
        values: dict[str, Any] = self._base.model_dump()
        for part, _, name, _ in _COUNTS:
            values[part][name] = self._counts[name].count()
        values["data_config"]["axes"] = self._axes
        values["data_config"]["patch_size"] = self._patch_size.value()
        network = values["algorithm_config"]["model"]
        network["conv_dims"] = len(spatial_axes(self._axes))
        network["in_channels"] = network["num_classes"] = self._channels
        return Configuration.build(values)

    def setValue(self, configuration: Configuration) -> None:
        """Show `configuration`, and keep what has no control here."""
        network = configuration.algorithm_config.model
        self._base = configuration
        self._axes, self._channels = configuration.data_config.axes, network.in_channels
        self.blockSignals(True)
        for part, _, name, _ in _COUNTS:
            self._counts[name].setCount(getattr(getattr(configuration, part), name))
        self._patch_size.setStep(2**network.depth)
        self._patch_size.setValue(configuration.data_config.patch_size)
        self.blockSignals(False)
        self._emit()

    def setImage(self, axes: str, channels: int | None) -> None:
        """Let the network and the patches follow an image with `axes` and `channels`.

        None keeps the number of channels there was, if `axes` have any.
        """
        if channels is None:
            kept = self._base.algorithm_config.model.in_channels
            channels = kept if "C" in axes else 1
        if (axes, channels) != (self._axes, self._channels):
            self._axes, self._channels = axes, channels
            self._patch_size.setVolumes("Z" in axes)
            self._emit()

    # ---- Private API

    def _add_row(self, layout: QFormLayout, words: str, control: QWidget) -> None:
        label = QLabel(words)
        label.setToolTip(control.toolTip())
        label.setBuddy(control)
        layout.addRow(label, control)

    def _emit(self) -> None:
        self.valueChanged.emit()
