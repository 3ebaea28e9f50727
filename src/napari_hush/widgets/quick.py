"""Entries of napari's Layers > Filter menu: from a layer to a result in one click."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_hush.widgets.notices import tell
from napari_hush.widgets.view_layers import bare, is_view

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["denoise_quickly"]

PLUGIN, DOCK = "napari-hush", "Denoise"


def denoise_quickly(viewer: napari.viewer.Viewer) -> None:
    """Train on the selected image layer with the least effort, and denoise it.

    Opens the dock, where all of it can be seen and stopped.
    """
    layer = _selected_image(viewer)
    if layer is None:
        tell("No image layer is selected; select the one to denoise in the list of layers.")
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
