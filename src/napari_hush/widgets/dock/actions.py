"""Entries of napari's Layers menu."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_hush.widgets.data.helper_layers import bare, is_view
from napari_hush.widgets.dock.denoise_dock import DenoiseDock
from napari_hush.widgets.dock.docking import open_dock
from napari_hush.widgets.notifications import notify

if TYPE_CHECKING:
    import napari.viewer


def denoise_quickly(viewer: napari.viewer.Viewer) -> None:
    """Denoise the selected image layer, after training a model if none fits."""
    layer = _selected_image(viewer)
    if layer is None:
        notify("No image layer is selected; select one in the layer list.")
        return
    _start(open_dock(viewer, DenoiseDock, "denoise_dock"), layer)


def _start(dock: DenoiseDock, layer: Image) -> None:
    dock.denoiseNow(layer)


def _selected_image(viewer: Any) -> Image | None:
    images = [
        layer for layer in viewer.layers if isinstance(layer, Image) and not is_view(layer)
    ]
    active = bare(viewer.layers.selection.active)
    if active in images:
        return active
    return images[0] if len(images) == 1 else None
