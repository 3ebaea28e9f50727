"""Layers that only show other layers in another way, and are gone when one has looked.

They are nobody's data: choosers leave them out, and so does whatever goes through the
layers of a viewer to work on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Layer

__all__ = ["MARK", "add_quietly", "bare", "is_view", "remove_quietly"]

MARK = "napari_hush_view"
"""Key in a layer's metadata that says so."""


def is_view(layer: Layer) -> bool:
    """Whether `layer` only shows other layers."""
    return MARK in layer.metadata


def add_quietly(viewer: Any, add: str, *args: Any, **attributes: Any) -> Layer:
    """Call ``viewer.<add>`` and leave selected what was selected.

    Returns
    -------
    Layer
        The layer itself, marked as a view.
    """
    before = set(viewer.layers.selection)
    metadata = {**attributes.pop("metadata", {}), MARK: True}
    layer = bare(getattr(viewer, add)(*args, metadata=metadata, **attributes))
    viewer.layers.selection = before
    return layer


def remove_quietly(viewer: Any, layers: Iterable[Layer]) -> None:
    """Remove those of `layers` that are still there; leave selected what was selected."""
    for layer in layers:
        if layer in viewer.layers:
            kept = set(viewer.layers.selection) - {layer}
            viewer.layers.remove(layer)
            viewer.layers.selection = kept


def bare(proxied: Any) -> Any:
    """The object behind the proxy that napari hands to plugins."""
    return getattr(proxied, "__wrapped__", proxied)
