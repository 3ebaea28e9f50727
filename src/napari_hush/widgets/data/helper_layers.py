"""Temporary layers that show other layers in another way.

They hold no data: choosers and everything that works on layers leave them out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Layer

MARK = "napari_hush_view"
"""Key in the metadata of such layers."""


def is_view(layer: Layer) -> bool:
    """Whether `layer` is such a layer."""
    return MARK in layer.metadata


def add_quietly(viewer: Any, add: str, *args: Any, **attributes: Any) -> Layer:
    """Call ``viewer.<add>``, keep the selection, and mark the layer as a view."""
    before = set(viewer.layers.selection)
    metadata = {**attributes.pop("metadata", {}), MARK: True}
    layer = bare(getattr(viewer, add)(*args, metadata=metadata, **attributes))
    viewer.layers.selection = before
    return layer


def remove_quietly(viewer: Any, layers: Iterable[Layer]) -> None:
    """Remove those of `layers` that still exist, and keep the selection."""
    for layer in layers:
        if layer in viewer.layers:
            kept = set(viewer.layers.selection) - {layer}
            viewer.layers.remove(layer)
            viewer.layers.selection = kept


def bare(proxied: Any) -> Any:
    """The object behind the proxy that napari gives to plugins."""
    return getattr(proxied, "__wrapped__", proxied)
