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
    "train": "Alt+T",
    "train_on": "Alt+Shift+T",
    "pause": "Alt+U",
    "stop": "Alt+X",
    "denoise": "Alt+D",
    "cancel": "Alt+Shift+D",
    "save_model": "Alt+M",
    "load_model": "Alt+O",
}
"""By the button's name; they hold only within the dock.

Most of those with Ctrl, and Alt+S, are napari's own.
"""


def add_shortcuts(dock: QWidget, buttons: Mapping[str, QPushButton]) -> None:
    """Let keys press `buttons`; a grey one stays unpressed."""
    for name, keys in SHORTCUTS.items():
        shortcut = QShortcut(QKeySequence(keys), dock)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(buttons[name].click)
