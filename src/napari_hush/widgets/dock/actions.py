"""Keys for the buttons of the dock, while the dock has the keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut

from napari_hush.widgets.data.helper_layers import bare, is_view
from napari_hush.widgets.notifications import notify

if TYPE_CHECKING:
    from collections.abc import Mapping

    import napari.viewer
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


PLUGIN, DOCK = "napari-hush", "Denoise"


def denoise_quickly(viewer: napari.viewer.Viewer) -> None:
    """Train on the selected image layer with the shortest preset, and denoise it.

    Opens the dock, where all of it can be seen and stopped.
    """
    layer = _selected_image(viewer)
    if layer is None:
        notify("No image layer is selected; select one in the layer list.")
        return
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, DOCK)
    bare(dock).denoiseQuickly(layer)


def _selected_image(viewer: Any) -> Image | None:
    images = [
        layer for layer in viewer.layers if isinstance(layer, Image) and not is_view(layer)
    ]
    active = bare(viewer.layers.selection.active)
    if active in images:
        return active
    return images[0] if len(images) == 1 else None
