"""What one does with all settings at once: reset, load, save, copy."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QMenu, QSizePolicy, QToolButton, QWidget

__all__ = ["SettingsActions"]

_BUTTONS = {
    "reset_all": ("Reset", "Bring all settings back to their defaults."),
    "load_settings": ("Load …", "Take settings from a YAML file, or drop one on the dock."),
    "save_settings": ("Save …", "Write settings to a YAML file."),
}


class SettingsActions(QWidget):
    """A row of small buttons."""

    resetAsked = Signal()
    loadAsked = Signal()
    saveAsked = Signal()
    pythonAsked = Signal()
    commandAsked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 2)
        layout.setSpacing(3)
        signals = (self.resetAsked, self.loadAsked, self.saveAsked)
        for (name, (words, tip)), signal in zip(_BUTTONS.items(), signals, strict=True):
            button = self._button(name, words, tip)
            button.clicked.connect(signal)
            layout.addWidget(button, len(words))
        copy = self._button(
            "copy_settings", "Copy", "Copy this run as text, to repeat it without napari."
        )
        menu = QMenu(copy)
        menu.setToolTipsVisible(True)
        menu.addAction("as Python").triggered.connect(self.pythonAsked)
        menu.addAction("as command line").triggered.connect(self.commandAsked)
        copy.setMenu(menu)
        copy.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        layout.addWidget(copy, 4)

    def _button(self, name: str, words: str, tip: str) -> QToolButton:
        button = QToolButton()
        button.setObjectName(name)
        button.setText(words)
        button.setAccessibleName(f"{words.rstrip(' …')} settings")
        button.setToolTip(tip)
        button.setProperty("role", "small")
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        return button
