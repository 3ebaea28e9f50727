"""Options of the dock "Denoise files": axes, images of each file, format of the results."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QLineEdit, QSpinBox, QWidget

from napari_hush.widgets.settings.prediction_settings import network_alone_box
from napari_hush.widgets.theme.widgets import form, row

_KINDS = MappingProxyType(
    {"all images": "", "series": "series", "scene": "scene", "field of wells": "field"}
)
_FORMATS = MappingProxyType({"automatic": None, "TIFF": "tiff", "OME-Zarr": "zarr"})

NARROWEST = 5
"""Width of choosers in letters, where the dock is narrow."""


class FilesOptions(QWidget):
    """Chooses fields of a `FilesRequest`."""

    valueChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)

        # ---- widgets
        self._axes = QLineEdit()
        self._axes.setObjectName("files_axes")
        self._axes.setPlaceholderText("axes of the model")
        self._axes.setToolTip("Axes of the files, e.g. TYX; if empty, those of the model.")
        self._kind = QComboBox()
        self._kind.setObjectName("files_images")
        self._kind.addItems(list(_KINDS))
        self._kind.setToolTip(
            "Files may hold several images: series (TIFF), scenes (microscope formats) or "
            "fields of wells (plates)."
        )
        self._number = QSpinBox()
        self._number.setObjectName("files_image_number")
        self._number.setMaximum(9999)
        self._number.setToolTip("Number of the image in each file, from 0.")
        self._number.hide()
        self._format = QComboBox()
        self._format.setObjectName("files_format")
        self._format.addItems(list(_FORMATS))
        self._format.setToolTip(
            "Results have axes, pixel sizes and units in either format. Automatic is "
            "OME-Zarr for Zarr, and TIFF for all others."
        )
        self._keep_type = QCheckBox("Keep the data type")
        self._keep_type.setObjectName("files_keep_type")
        self._keep_type.setToolTip(
            "Round results to the data type of the images, e.g. uint16.\n"
            "Otherwise results are float32."
        )
        self.network_alone = network_alone_box("files_network_alone")

        for chooser in (self._kind, self._format):
            chooser.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            chooser.setMinimumContentsLength(NARROWEST)

        # ---- layout
        image = row()
        image.addWidget(self._kind, 2)
        image.addWidget(self._number, 1)
        fields = form(self)
        fields.setRowWrapPolicy(fields.RowWrapPolicy.WrapLongRows)
        fields.setContentsMargins(0, 0, 0, 0)
        fields.addRow("Axes", self._axes)
        fields.addRow("Of each file", image)
        fields.addRow("Format", self._format)
        fields.addRow(self._keep_type)
        fields.addRow(self.network_alone)

        # ---- connections
        self._kind.currentTextChanged.connect(
            lambda text: self._number.setVisible(bool(_KINDS[text]))
        )
        for changed in (
            self._axes.textChanged,
            self._kind.currentTextChanged,
            self._number.valueChanged,
            self._format.currentTextChanged,
            self._keep_type.toggled,
            self.network_alone.toggled,
        ):
            changed.connect(lambda *_: self.valueChanged.emit())

    def value(self) -> dict[str, Any]:
        """The choices, by the names of the fields."""
        kind = _KINDS[self._kind.currentText()]
        return {
            "axes": self._axes.text().strip().upper(),
            "selection": {kind: self._number.value()} if kind else {},
            "kind": _FORMATS[self._format.currentText()],
            "keep_type": self._keep_type.isChecked(),
            "network_alone": self.network_alone.isChecked(),
        }
