"""The images of a training run with their targets and masks, in memory or on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_hush.errors import DataError, counted
from napari_hush.io import same_pixels
from napari_hush.io.frames import frames_around
from napari_hush.system.memory import format_bytes, free_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_hush.io import Image


@dataclass(frozen=True)
class Collection:
    """Images with their targets and masks."""

    images: list[Image]
    """Input of the network."""
    targets: list[Image] | None = None
    """Its wanted output, of the same samples and sizes."""
    masks: list[Image] | None = None
    """Not zero where there is something to learn from."""
    time_context: int = 0
    """Frames before and after each frame of the images that are input as well."""

    def __post_init__(self) -> None:
        for images in (self.images, self.targets or []):
            for image in images:
                if channels_of(image) != channels_of(images[0]):
                    raise DataError(
                        f"{image.name} has {counted(channels_of(image), 'channel')} but "
                        f"{images[0].name} has {channels_of(images[0])}; train on images "
                        "with equal channels."
                    )
        for what, others in (("target", self.targets), ("mask", self.masks)):
            if others is not None:
                _check_alike(what, self.images, others)

    @property
    def inputs(self) -> list[Any]:
        """Input of the network for each sample, ``(C * frames, (Z), Y, X)``."""
        around = (frames_around(image, self.time_context) for image in self.images)
        return [sample for samples in around for sample in samples]

    @property
    def everything(self) -> list[Image]:
        """Images, targets and masks."""
        return [*self.images, *(self.targets or ()), *(self.masks or ())]

    def refuse_own_targets(self) -> None:
        """Raise a DataError if an image is its own target, by content."""
        for image, target in zip(self.images, self.targets or (), strict=False):
            if same_pixels(image, target):
                name = f", {target.name}," if target.path else ""
                raise DataError(
                    f"The target of {image.name}{name} has the same pixels as the image, "
                    "so there is nothing to learn; give another target."
                )

    def marks(self) -> list[Image]:
        """The masks, 0 where they are masked arrays that leave pixels out."""
        return [
            mask
            if mask.mask is None
            else replace(mask, data=np.where(mask.mask, 0, mask.data))
            for mask in self.masks or ()
        ]

    def valid(self) -> list[NDArray[np.bool_]] | None:
        """Per sample, True where the loss counts; None if no pixel is masked.

        Of the shape of the target, or of the image if there are no targets. A pixel of the
        target does not count where any channel of the image is masked.
        """
        images = valid_samples(self.images)
        if self.targets is None:
            return images
        targets = valid_samples(self.targets)
        if images is None:
            return targets
        pairs = zip(images, targets or samples_of(self.targets), strict=True)
        return [
            image.all(axis=0, keepdims=True)
            & (np.ones(target.shape, bool) if targets is None else target)
            for image, target in pairs
        ]

    def loaded(self) -> Collection:
        """The same with all pixels in memory."""
        return Collection(
            [image.loaded() for image in self.images],
            None if self.targets is None else [image.loaded() for image in self.targets],
            None if self.masks is None else [image.loaded() for image in self.masks],
            self.time_context,
        )


def samples_of(images: Sequence[Image]) -> list[Any]:
    """All samples of all images, each ``(C, (Z), Y, X)``."""
    return [sample for image in images for sample in image.samples]


def valid_samples(images: Sequence[Image]) -> list[NDArray[np.bool_]] | None:
    """Per sample ``(C, (Z), Y, X)``, False at masked pixels; None if there are none."""
    if not any(image.mask is not None and image.mask.any() for image in images):
        return None
    return [
        valid
        for image in images
        for valid in (
            image.axes.samples(~image.mask)
            if image.mask is not None
            else [np.broadcast_to(np.True_, sample.shape) for sample in image.samples]
        )
    ]


def channels_of(image: Image) -> int:
    return image.axes.canonical_shape[1]


def _check_alike(what: str, images: Sequence[Image], others: Sequence[Image]) -> None:
    if len(images) != len(others):
        raise DataError(
            f"{counted(len(images), 'image')} and {counted(len(others), what)} were given; "
            f"give one {what} per image."
        )
    for image, other in zip(images, others, strict=True):
        ours, theirs = image.axes.canonical_shape, other.axes.canonical_shape
        if (ours[0], *ours[2:]) != (theirs[0], *theirs[2:]):
            raise DataError(
                f"{image.name} has the shape {image.axes.shape} but its {what} "
                f"{other.name} {other.axes.shape}; samples and sizes must be the same."
            )


SHARE = 0.8
"""Share of the available memory that images may use."""
DEVICE_SHARE = 0.5
"""Share of a GPU's free memory that images may use; the rest is for the network."""


@dataclass(frozen=True)
class Storage:
    """Where the pixels live, and why."""

    in_memory: bool
    """In memory, or read from disk when needed."""
    reason: str
    """One sentence, shown to the user."""


def choose_storage(
    images: Sequence[Image], *, wish_memory: bool, processes: int = 1
) -> Storage:
    """Decide whether `images`, targets included, are loaded or stay on disk.

    Files are loaded if all of them, decoded, take less than 80 % of the available memory,
    divided by the number of `processes` on this machine that load the same images. Without
    `wish_memory` files are never loaded.
    """
    if all(image.in_memory for image in images):
        return Storage(True, "The images are arrays, so they are in memory.")
    needed = sum(image.nbytes for image in images if not image.in_memory)
    if not wish_memory:
        return Storage(
            False,
            f"The images stay on disk, as asked; decoded they are {format_bytes(needed)}.",
        )
    free = free_memory() // processes
    fits = needed < SHARE * free
    return Storage(
        fits,
        f"Decoded, the images are {format_bytes(needed)}, {'less' if fits else 'more'} "
        f"than {SHARE:.0%} of the {format_bytes(free)} of memory available"
        f"{'' if processes == 1 else ' to each process'}, so they "
        f"{'are loaded' if fits else 'stay on disk'}.",
    )


def fits_on(device: torch.device, nbytes: int) -> bool:
    """Whether images of `nbytes` fit on `device`; always False but for CUDA."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return nbytes < DEVICE_SHARE * free
