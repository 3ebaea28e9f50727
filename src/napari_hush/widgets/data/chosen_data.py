"""The layers chosen for a run: whether they go together, and their pixels. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.axes import spatial_axes
from napari_hush.widgets.data.layers import pixel_shape, source_of
from napari_hush.widgets.data.regions import Extent, windows_of
from napari_hush.widgets.data.training_data import TrainingData, cut

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image, Shapes

    from napari_hush.boxes import Box
    from napari_hush.config import Configuration

__all__ = ["ChosenData"]


@dataclass(frozen=True, eq=False)
class ChosenData:
    """Layers by what they are for.

    Attributes
    ----------
    noisy : tuple of Image
        At least one.
    target, validation, validation_target, mask : tuple of Image
        Empty where nothing was chosen.
    axes : str
        Of all of them; masks may lack the C.
    extent : Extent
        How much of the noisy layers is learned from.
    shapes : Shapes, optional
        For `Extent.SHAPES`.
    """

    noisy: tuple[Image, ...]
    axes: str
    target: tuple[Image, ...] = ()
    validation: tuple[Image, ...] = ()
    validation_target: tuple[Image, ...] = ()
    mask: tuple[Image, ...] = ()
    extent: Extent = Extent.EVERYTHING
    shapes: Shapes | None = None

    def problem(self, *, needs_targets: bool) -> str:
        """Why these layers do not go together, in one sentence; empty if they do.

        Nothing is read, and nothing is said of the sizes of patches.
        """
        first = self.noisy[0]
        for other in (*self.noisy[1:], *self.validation):
            if self._kind(other) != self._kind(first):
                return (
                    f"“{other.name}” has other dimensions or channels than "
                    f"“{first.name}”; learn from images of one kind."
                )
        for layer in self.validation:
            if layer in self.noisy:
                return (
                    f"“{layer.name}” is both learned from and validated on; choose "
                    "another image for validation, or none to set a tenth aside."
                )
        if needs_targets:
            problem = self._pairing("noisy", "target")
            if problem or not (self.validation or self.validation_target):
                return problem or self._masking()
            return self._pairing("validation", "validation_target") or self._masking()
        return self._masking()

    def windows(self, viewer: napari.viewer.Viewer) -> list[list[Box]]:
        """For each noisy layer, the windows into it that are learned from."""
        return [
            windows_of(layer, self.axes, self.extent, viewer, self.shapes)
            for layer in self.noisy
        ]

    def fit_problem(self, configuration: Configuration, windows: list[list[Box]]) -> str:
        """Why patches do not fit into `windows`, in one sentence; empty if they do."""
        data = configuration.data_config
        if not any(windows):
            return {
                Extent.SHAPES: "There is no shape on the image; draw a rectangle to learn "
                "inside of, or learn from everything.",
                Extent.VIEW: "Nothing of the image is in view; move it there, or learn "
                "from everything.",
            }.get(self.extent, "There is nothing to learn from; choose another part.")
        for layer, parts in zip(self.noisy, windows, strict=True):
            for window in parts:
                for letter, patch in zip(
                    spatial_axes(data.axes), data.patch_size, strict=True
                ):
                    part = window[data.axes.index(letter)]
                    if part.stop - part.start < patch:
                        return self._too_small(layer, letter, part, patch)
        return ""

    def pixels(self, viewer: napari.viewer.Viewer, *, needs_targets: bool) -> TrainingData:
        """What a run with these layers learns from, still on disk where it is."""
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

    # ---- private

    def _kind(self, layer: Image) -> tuple[int, int]:
        shape = pixel_shape(layer)
        matching = "C" in self.axes and len(shape) == len(self.axes)
        return len(shape), shape[self.axes.index("C")] if matching else 1

    def _pairing(self, name: str, partner: str) -> str:
        images, partners = getattr(self, name), getattr(self, partner)
        if not partners:
            return (
                f"This method learns from pairs; choose the target of “{images[0].name}”."
            )
        if not images:
            return f"“{partners[0].name}” has no partner; choose its validation image."
        if len(images) != len(partners):
            return (
                f"There are {len(images)} noisy images and {len(partners)} targets; choose "
                "one target for each, in the same order."
            )
        for image, other in zip(images, partners, strict=True):
            if image is other:
                return (
                    f"“{image.name}” is both the image and its target, which teaches "
                    "nothing; choose another target."
                )
            if self._plane(image) != self._plane(other):
                return (
                    f"“{image.name}” has the size {pixel_shape(image)} and its target "
                    f"“{other.name}” {pixel_shape(other)}; both must show the same pixels."
                )
        return ""

    def _masking(self) -> str:
        if not self.mask:
            return ""
        if len(self.mask) != len(self.noisy):
            return (
                f"There are {len(self.noisy)} noisy images and {len(self.mask)} masks; "
                "choose one mask for each, in the same order."
            )
        for image, mask in zip(self.noisy, self.mask, strict=True):
            if self._plane(image) != self._plane(mask):
                return (
                    f"“{image.name}” has the size {pixel_shape(image)} and the mask "
                    f"“{mask.name}” {pixel_shape(mask)}; both must have the same pixels."
                )
        return ""

    def _plane(self, layer: Image) -> tuple[int, ...]:
        """Sizes without the channels, which may differ."""
        shape = list(pixel_shape(layer))
        if "C" in self.axes and len(shape) == len(self.axes):
            del shape[self.axes.index("C")]
        return tuple(shape)

    def _too_small(self, layer: Image, letter: str, part: slice, patch: int) -> str:
        size = part.stop - part.start
        what = "image" if self.extent is Extent.EVERYTHING else "part to learn from"
        several = f" “{layer.name}”" if len(self.noisy) > 1 else ""
        return (
            f"The {what}{several} is {size} pixels along {letter} but the patches are "
            f"{patch}; use smaller patches or a larger {what.split()[0]}."
        )

    def _cut(self, layer: Image, window: Box | None) -> Any:
        source, shape = source_of(layer), pixel_shape(layer)
        parts = [slice(0, size) for size in shape] if window is None else list(window)
        lacks_channels = "C" in self.axes and len(shape) == len(self.axes) - 1
        if lacks_channels and len(parts) == len(self.axes):
            del parts[self.axes.index("C")]
        elif "C" in self.axes and not lacks_channels:
            channel = self.axes.index("C")  # RGB without alpha, targets with their own
            parts[channel] = slice(0, shape[channel])
        part = cut(source, tuple(parts))
        if lacks_channels:  # a mask is one for all channels
            return np.expand_dims(np.asarray(part), self.axes.index("C"))
        return part
