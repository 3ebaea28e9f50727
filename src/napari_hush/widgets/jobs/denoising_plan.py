"""Which layers to denoise, as tasks, and the visible part of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_hush.widgets.data.helper_layers import is_view
from napari_hush.widgets.data.layers import (
    Origin,
    axes_like,
    fitted_axes,
    pixel_shape,
    source_of,
)
from napari_hush.widgets.data.scope_chooser import Scope
from napari_hush.widgets.data.viewport import canonical_region, shown_bounds, shown_slice
from napari_hush.widgets.jobs.denoising_task import Denoising
from napari_hush.widgets.jobs.previewer import VisibleRegion
from napari_hush.widgets.model.fitting import axes_for

if TYPE_CHECKING:
    from napari_hush.models import Model

FIRST_LOOK_PIXELS = 2**22
"""Of larger layers, only the visible part is denoised before training."""


@dataclass(frozen=True)
class LayerView:
    """The visible part of a layer, as long as the layer keeps its shape."""

    layer: Image
    axes: str
    shape: tuple[int, ...]
    visible: VisibleRegion

    @classmethod
    def of(cls, layer: Image, axes: str) -> LayerView:
        """View of `layer`, whose pixels have the axes `axes`."""
        return cls(layer, axes, pixel_shape(layer), VisibleRegion())

    def update(self, viewer: Any) -> None:
        """Set the visible region to what `viewer` shows now."""
        if self.layer not in viewer.layers or pixel_shape(self.layer) != self.shape:
            return
        bounds = shown_bounds(viewer, self.layer)
        self.visible.bounds = bounds
        self.visible.region = canonical_region(bounds, self.axes, self.shape)

    def region(self) -> tuple[slice, ...] | None:
        """The visible region ``(S, C, (Z), Y, X)``."""
        return self.visible.region


def layer_called(name: str, axes: str, viewer: Any) -> Image | None:
    """The image layer of that name, if the `axes` of the engine fit its dimensions."""
    for layer in viewer.layers:
        if isinstance(layer, Image) and layer.name == name and not is_view(layer):
            shape = pixel_shape(layer)
            return layer if len(fitted_axes(axes, shape)) == len(shape) else None
    return None


def plan_denoising(
    viewer: Any,
    chosen: Image,
    axes: str,
    scope: Scope,
    model: Model | None,
    **settings: Any,
) -> tuple[list[Denoising], list[LayerView]]:
    """Tasks that denoise `scope`, and the views to update while they run.

    `axes` are those of the chosen layer, and of others unless their axis labels differ.
    Selected layers are denoised in the order of napari's list from top to bottom.
    `settings` are further fields of `Denoising`; without a `model` it is the built-in one.
    """
    layers = [chosen]
    if scope is Scope.SELECTED:
        selected = [one for one in viewer.layers if one in viewer.layers.selection]
        images = [one for one in selected if isinstance(one, Image) and not is_view(one)]
        layers = images[::-1]
    tasks, views = [], []
    for layer in layers:
        of_layer = axes_like(layer, chosen, axes)
        view = LayerView.of(layer, axes_for(model, of_layer) if model else of_layer)
        view.update(viewer)
        region = _region(viewer, view, scope)
        tasks.append(
            Denoising(
                model,
                source_of(layer),
                view.axes,
                bool(layer.rgb),
                Origin.of(layer),
                region=region,
                first=view.region,
                part="" if region is None else _PARTS[scope],
                **settings,
            )
        )
        views.append(view)
    return tasks, views


def plan_first_look(
    viewer: Any, layer: Image, axes: str
) -> tuple[list[Denoising], list[LayerView]]:
    """The task that denoises `layer` untrained, or what is visible of a large one."""
    *stack, height, width = sorted(pixel_shape(layer))
    scope = Scope.VIEW
    if height * width <= FIRST_LOOK_PIXELS:
        whole = math.prod(stack) * height * width <= FIRST_LOOK_PIXELS
        scope = Scope.LAYER if whole else Scope.SLICE
    return plan_denoising(viewer, layer, axes, scope, None)


_PARTS = {Scope.SLICE: "slice", Scope.VIEW: "view"}
"""Names of regions."""


def _region(viewer: Any, view: LayerView, scope: Scope) -> tuple[slice, ...] | None:
    """The region to denoise; None for everything."""
    if scope not in _PARTS:
        return None
    bounds = view.visible.bounds
    if scope is Scope.SLICE or bounds is None:
        bounds = shown_slice(viewer, view.layer)
    if bounds == tuple(slice(0, size) for size in view.shape):
        return None
    return canonical_region(bounds, view.axes, view.shape)
