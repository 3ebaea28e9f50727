"""Keys for the buttons of the dock, while the dock has the keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qtpy.QtWidgets import QPushButton, QWidget

__all__ = ["SHORTCUTS", "add_shortcuts"]

SHORTCUTS = {
    "train": "Ctrl+T",
    "train_on": "Ctrl+Shift+T",
    "pause": "Ctrl+P",
    "stop": "Ctrl+.",
    "denoise": "Ctrl+D",
    "cancel": "Ctrl+Shift+D",
    "save_model": "Ctrl+S",
    "load_model": "Ctrl+O",
}
"""By the button's name; they hold only within the dock, where napari has no others."""


def add_shortcuts(dock: QWidget, buttons: Mapping[str, QPushButton]) -> None:
    """Let keys press `buttons`; a grey one stays unpressed."""
    for name, keys in SHORTCUTS.items():
        shortcut = QShortcut(QKeySequence(keys), dock)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(buttons[name].click)
