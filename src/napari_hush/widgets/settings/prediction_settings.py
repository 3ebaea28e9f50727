"""Settings of denoising: tile size, batch size, and what results are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_hush.config import InferenceConfig
from napari_hush.widgets.settings.fields import CountField, SpinBox
from napari_hush.widgets.theme.widgets import form

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_TILE = 8192
"""Pixels along one axis; larger tiles fit no memory."""


class PredictionSettings(QWidget):
    """Edits the tile size, the same along each axis, and the batch size of denoising.

    `boxes` are shown above them.
    """

    valueChanged = Signal()

    def __init__(self, *boxes: QCheckBox, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        fields = InferenceConfig.model_fields
        self._tile = SpinBox()
        self._tile.setObjectName("tile_size")
        self._tile.setRange(0, LARGEST_TILE)
        self._tile.setSingleStep(32)
        self._tile.setSuffix(" px")
        self._tile.setSpecialValueText("automatic")
        self._tile.setToolTip(
            "Side of the tiles in pixels. Smaller ones need less memory; the result is\n"
            "the same. (tile_size)"
        )
        self._batch = CountField("batch_size_predict", fields["batch_size"])
        self._batch.setToolTip(f"{fields['batch_size'].description}\n(batch_size)")
        layout = form(self)
        for box in boxes:
            layout.addRow(box)
        layout.addRow("Tile size", self._tile)
        layout.addRow("Tiles at once", self._batch)
        for field in (self._tile, self._batch):
            field.valueChanged.connect(lambda _: self.valueChanged.emit())

    def value(self) -> dict[str, int]:
        """Keyword arguments of `Denoising`; automatic ones are left out."""
        shown = {"tile_side": int(self._tile.value()), "batch_size": self._batch.value()}
        return {name: number for name, number in shown.items() if number}

    def setValue(self, settings: Mapping[str, int]) -> None:
        """Show `settings`, as from `value`."""
        self._tile.setValue(settings.get("tile_side", 0))
        self._batch.setValue(settings.get("batch_size", 1))


def network_alone_box(name: str) -> QCheckBox:
    """Choice of the output of the network alone, with the object name `name`."""
    box = QCheckBox("Output of the network alone")
    box.setObjectName(name)
    box.setToolTip(
        "Leave out what lowers the error of N2V, N2V2 and structN2V further: part of each\n"
        "pixel's own value, and a share of the built-in denoiser, which has learned from\n"
        "simulated images. (own_value: off)"
    )
    return box
