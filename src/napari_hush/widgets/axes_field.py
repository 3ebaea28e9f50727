"""The letters that name the dimensions of the chosen layer."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QLineEdit, QWidget

from napari_hush.config import DataConfig

__all__ = ["AxesField"]


class AxesField(QLineEdit):
    """Edits ``axes``. Takes any text, in capitals; whether it fits is for others to say."""

    valueChanged = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        field = DataConfig.model_fields["axes"]
        self.setObjectName("axes")
        self.setToolTip(
            f"{field.description}\n"
            "T time, S other samples, C channels, Z depth; T and S are denoised one by "
            "one, Z as a volume.\n(axes)"
        )
        self.setMaxLength(6)
        self.setText(field.default)
        self.textChanged.connect(self._on_text_changed)

    # ---- Public API

    def value(self) -> str:
        """The letters as they stand, in capitals, right or wrong."""
        return str(self.text()).strip().upper()

    def setValue(self, axes: str) -> None:
        """Show `axes`."""
        self.setText(axes)

    # ---- Private API

    def _on_text_changed(self, text: str) -> None:
        if text != text.upper():
            place = self.cursorPosition()
            with QSignalBlocker(self):
                self.setText(text.upper())
            self.setCursorPosition(place)
        self.valueChanged.emit(self.value())
