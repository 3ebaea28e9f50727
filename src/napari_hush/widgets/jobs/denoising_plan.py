"""From what is chosen to the tasks that denoise it, and where somebody looks meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_hush.widgets.data.helper_layers import is_view
from napari_hush.widgets.data.layers import Origin, infer_axes, pixel_shape, source_of
from napari_hush.widgets.data.scope_chooser import Scope
from napari_hush.widgets.data.viewport import canonical_region, shown_bounds, shown_slice
from napari_hush.widgets.jobs.denoising_task import Denoising
from napari_hush.widgets.jobs.previewer import Lens

if TYPE_CHECKING:
    from napari_hush.models import Model

__all__ = ["Eye", "layer_called", "layers_in_scope", "plan_denoising"]


@dataclass(frozen=True)
class Eye:
    """Tells a lens what is seen of a layer, for as long as the layer is as it was."""

    layer: Image
    axes: str
    shape: tuple[int, ...]
    lens: Lens

    @classmethod
    def on(cls, layer: Image, axes: str) -> Eye:
        """Look at `layer`, whose pixels have the axes `axes`."""
        return cls(layer, axes, pixel_shape(layer), Lens())

    def look(self, viewer: Any) -> None:
        """Tell the lens what `viewer` shows now."""
        if self.layer not in viewer.layers or pixel_shape(self.layer) != self.shape:
            return
        bounds = shown_bounds(viewer, self.layer)
        self.lens.look(bounds, canonical_region(bounds, self.axes, self.shape))


def layer_called(name: str, dimensions: int, viewer: Any) -> Image | None:
    """The image layer of that name, if it is there and has so many dimensions."""
    for layer in viewer.layers:
        if isinstance(layer, Image) and layer.name == name and not is_view(layer):
            return layer if len(pixel_shape(layer)) == dimensions else None
    return None


def layers_in_scope(viewer: Any, chosen: Image | None, scope: Scope) -> list[Image]:
    """The layers to denoise, in the order of napari's list from top to bottom."""
    if scope is not Scope.SELECTED:
        return [] if chosen is None else [chosen]
    selected = set(viewer.layers.selection)
    return [
        layer
        for layer in reversed(list(viewer.layers))
        if layer in selected and isinstance(layer, Image) and not is_view(layer)
    ]


def plan_denoising(
    viewer: Any,
    chosen: Image,
    axes: str,
    scope: Scope,
    model: Model,
    *,
    keep_type: bool = False,
) -> tuple[list[Denoising], list[Eye]]:
    """Tasks that denoise what is in `scope`, and the eyes that are to follow them.

    `axes` are those of the chosen layer; others have those that their labels tell.
    """
    tasks, eyes = [], []
    for layer in layers_in_scope(viewer, chosen, scope):
        eye = Eye.on(layer, axes if layer is chosen else infer_axes(layer))
        eye.look(viewer)
        tasks.append(
            Denoising(
                model,
                source_of(layer),
                eye.axes,
                bool(layer.rgb),
                Origin.of(layer),
                region=_region(viewer, eye, scope),
                first=eye.lens.region,
                keep_type=keep_type,
            )
        )
        eyes.append(eye)
    return tasks, eyes


def _region(viewer: Any, eye: Eye, scope: Scope) -> tuple[slice, ...] | None:
    if scope is Scope.VIEW:
        return eye.lens.region()
    if scope is Scope.SLICE:
        return canonical_region(shown_slice(viewer, eye.layer), eye.axes, eye.shape)
    return None
