"""Buttons to open, save, copy and reset all settings."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QMenu, QSizePolicy, QToolButton, QWidget

from napari_hush.widgets.theme.widgets import small_button


class SettingsActions(QWidget):
    """Buttons to open, save, copy and reset all settings."""

    resetAsked = Signal()
    loadAsked = Signal()
    saveAsked = Signal()
    pythonAsked = Signal()
    commandAsked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        buttons = {
            name: small_button(name, words, tip)
            for name, words, tip in (
                (
                    "load_settings",
                    "Open settings …",
                    "Open settings from a YAML file, or drop one on the dock.",
                ),
                ("save_settings", "Save settings …", "Save settings to a YAML file."),
                (
                    "copy_settings",
                    "Copy …",
                    "Copy this run as text, to repeat it without napari.",
                ),
                ("reset_all", "Reset all", "Restore all defaults."),
            )
        }
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 2)
        layout.setSpacing(3)
        for number, button in enumerate(buttons.values()):
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            layout.addWidget(button, *divmod(number, 2))
        menu = QMenu(buttons["copy_settings"])
        menu.addAction("as Python").triggered.connect(self.pythonAsked)
        menu.addAction("as command line").triggered.connect(self.commandAsked)
        buttons["copy_settings"].setMenu(menu)
        instant = QToolButton.ToolButtonPopupMode.InstantPopup
        buttons["copy_settings"].setPopupMode(instant)
        for name, signal in (
            ("load_settings", self.loadAsked),
            ("save_settings", self.saveAsked),
            ("reset_all", self.resetAsked),
        ):
            buttons[name].clicked.connect(signal)
