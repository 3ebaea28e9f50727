"""Keyboard shortcuts of the dock, and the menu entry "Denoise (quick)"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut

from napari_hush.widgets.data.helper_layers import bare, is_view
from napari_hush.widgets.notifications import notify

if TYPE_CHECKING:
    import napari.viewer
    from qtpy.QtWidgets import QPushButton, QWidget

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
"""By the name of the button, while the focus is in the dock.

napari uses Alt+S and most combinations with Ctrl.
"""


def add_shortcuts(dock: QWidget, buttons: Mapping[str, QPushButton]) -> None:
    """Let shortcuts click `buttons`; disabled ones ignore it."""
    for name, keys in SHORTCUTS.items():
        shortcut = QShortcut(QKeySequence(keys), dock)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(buttons[name].click)


PLUGIN, DOCK = "napari-hush", "Denoise"


def denoise_quickly(viewer: napari.viewer.Viewer) -> None:
    """Train on the selected image layer with the shortest preset, and denoise it."""
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
