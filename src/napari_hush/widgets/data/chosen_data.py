"""The layers chosen for a training run: whether they fit together, and their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.axes import spatial_axes
from napari_hush.errors import counted
from napari_hush.widgets.data.layers import (
    axes_like,
    engine_axes,
    pixel_shape,
    source_of,
)
from napari_hush.widgets.data.regions import Extent, windows_of
from napari_hush.widgets.data.training_data import TrainingData, cut

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image, Shapes

    from napari_hush.boxes import Box


@dataclass(frozen=True, eq=False)
class ChosenData:
    """Layers by role, all with the axes `axes` of `infer_axes`; masks may lack the C.

    They may also be of the type `ImageOnDisk`, with `Extent.EVERYTHING`.

    There is at least one noisy layer; the other tuples may be empty. `extent` is the part
    of the noisy layers to train on, `shapes` are for `Extent.SHAPES`.
    """

    noisy: tuple[Image, ...]
    axes: str
    target: tuple[Image, ...] = ()
    validation: tuple[Image, ...] = ()
    validation_target: tuple[Image, ...] = ()
    mask: tuple[Image, ...] = ()
    extent: Extent = Extent.EVERYTHING
    shapes: Shapes | None = None
    unpaired: str = ""
    """Which files have no partner, in one sentence, or empty."""

    def problem(self, *, needs_targets: bool) -> str:
        """Why these layers do not fit together, in one sentence; empty if they do.

        Reads nothing; sizes are for `smallest_size`.
        """
        first = self.noisy[0]
        kinds = {getattr(one, "kind", one): one for one in (*self.noisy, *self.validation)}
        for other in kinds.values():
            if self._kind(other) != self._kind(first):
                return (
                    f"“{other.name}” has other dimensions or channels than "
                    f"“{first.name}”; choose images with the same axes and channels."
                )
            ours, theirs = map(engine_axes, (self.axes, axes_like(other, first, self.axes)))
            if ours != theirs:
                return (
                    f"“{other.name}” has the axes {theirs} but “{first.name}” {ours}; "
                    "choose images with the same axes."
                )
        for layer in self.validation:
            if any(_is_same(layer, one) for one in self.noisy):
                return (
                    f"“{layer.name}” is used for training and for validation; choose "
                    "another image for validation, or none to use a tenth of the data."
                )
        if needs_targets and self.unpaired:
            return self.unpaired
        if needs_targets:
            problem = self._pairing("noisy", "target")
            if problem or not (self.validation or self.validation_target):
                return problem or self._masking()
            return self._pairing("validation", "validation_target") or self._masking()
        return self._masking()

    def windows(self, viewer: napari.viewer.Viewer) -> list[list[Box]]:
        """For each noisy layer, the windows into it to train on."""
        return [
            windows_of(layer, self.axes, self.extent, viewer, self.shapes)
            for layer in self.noisy
        ]

    def nothing_problem(self, windows: list[list[Box]]) -> str:
        """Why there is nothing to train on, in one sentence; empty if there is."""
        if any(windows):
            return ""
        return {
            Extent.SHAPES: "There is no shape on the image; draw a rectangle around the "
            "part to train on, or choose Whole layer.",
            Extent.VIEW: "The image is not visible; move it into view, or choose Whole "
            "layer.",
        }.get(self.extent, "There is nothing to train on; choose another part.")

    def smallest_size(self, windows: list[list[Box]]) -> tuple[int, ...]:
        """The least size ((Z), Y, X) of `windows` and of validation layers, in pixels."""
        shapes = [
            [part.stop - part.start for part in window]
            for parts in windows
            for window in parts
        ]
        shapes += [list(pixel_shape(layer)) for layer in self.validation]
        places = [self.axes.index(letter) for letter in spatial_axes(self.axes)]
        return tuple(min(shape[place] for shape in shapes) for place in places)

    def pixels(self, viewer: napari.viewer.Viewer, *, needs_targets: bool) -> TrainingData:
        """The training data, still on disk where the layers are."""
        parts = self.windows(viewer)

        def of(layers: tuple[Image, ...]) -> tuple[Any, ...]:
            return tuple(
                self._cut(layer, window)
                for layer, windows in zip(layers, parts, strict=True)
                for window in windows
            )

        def whole(layers: tuple[Image, ...]) -> tuple[Any, ...]:
            return tuple(self._cut(layer, None) for layer in layers)

        return TrainingData(
            of(self.noisy),
            of(self.target) if needs_targets else (),
            whole(self.validation),
            whole(self.validation_target) if needs_targets else (),
            of(self.mask) if self.mask else (),
        )

    def _kind(self, layer: Image) -> tuple[int, int]:
        shape = pixel_shape(layer)
        matching = "C" in self.axes and len(shape) == len(self.axes)
        return len(shape), shape[self.axes.index("C")] if matching else 1

    def _pairing(self, name: str, partner: str) -> str:
        images, partners = getattr(self, name), getattr(self, partner)
        if not partners:
            return f"This method needs targets; choose the target of “{images[0].name}”."
        if not images:
            return f"“{partners[0].name}” is a target without an image; choose its image."
        if len(images) != len(partners):
            return (
                f"{counted(len(images), 'noisy image')} and "
                f"{counted(len(partners), 'target')} are chosen; choose "
                "one target for each, in the same order."
            )
        for image, other in zip(images, partners, strict=True):
            if _is_same(image, other):
                name = f"“{image.name}”"
                return f"{name} is both the image and its target; choose another target."
            if self._plane(image) != self._plane(other):
                return _other_size(image, "its target", other)
        return ""

    def _masking(self) -> str:
        if not self.mask:
            return ""
        if len(self.mask) != len(self.noisy):
            return (
                f"{counted(len(self.noisy), 'noisy image')} and "
                f"{counted(len(self.mask), 'mask')} are chosen; "
                "choose one mask for each, in the same order."
            )
        for image, mask in zip(self.noisy, self.mask, strict=True):
            if self._plane(image) != self._plane(mask):
                return _other_size(image, "the mask", mask)
        return ""

    def _plane(self, layer: Image) -> tuple[int, ...]:
        """Shape without the channels, which may differ."""
        shape = list(pixel_shape(layer))
        if "C" in self.axes and len(shape) == len(self.axes):
            del shape[self.axes.index("C")]
        return tuple(shape)

    def _cut(self, layer: Image, window: Box | None) -> Any:
        source, shape = source_of(layer), pixel_shape(layer)
        parts = [slice(0, size) for size in shape] if window is None else list(window)
        lacks_channels = "C" in self.axes and len(shape) == len(self.axes) - 1
        if lacks_channels and len(parts) == len(self.axes):
            del parts[self.axes.index("C")]
        elif "C" in self.axes and not lacks_channels:
            channel = self.axes.index("C")  # without alpha; targets may have others
            parts[channel] = slice(0, shape[channel])
        part = cut(source, tuple(parts))
        if lacks_channels:  # a mask for all channels
            return np.expand_dims(np.asarray(part), self.axes.index("C"))
        return part


def _is_same(image: Any, other: Any) -> bool:
    return image is other or getattr(image, "path", 0) == getattr(other, "path", 1)


def _other_size(image: Image, what: str, other: Image) -> str:
    return (
        f"“{image.name}” has the size {pixel_shape(image)} and {what} “{other.name}” "
        f"{pixel_shape(other)}; both must have the same size."
    )
