"""Images and what goes with them one by one: targets and masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_hush.dataset.statistics import regions, require_finite
from napari_hush.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_hush.io import Image


@dataclass(frozen=True)
class Collection:
    """Images, and what goes with them one by one.

    Attributes
    ----------
    images : list of Image
        What the network sees.
    targets : list of Image, optional
        What it should return, of the same samples and sizes.
    masks : list of Image, optional
        Not zero where there is something to learn from.
    """

    images: list[Image]
    targets: list[Image] | None = None
    masks: list[Image] | None = None

    def __post_init__(self) -> None:
        first = self.images[0]
        channels = first.axes.canonical_shape[1]
        for image in self.images:
            if image.axes.canonical_shape[1] != channels:
                raise DataError(
                    f"{image.name} has {image.axes.canonical_shape[1]} channels but "
                    f"{first.name} has {channels}; train on images of one kind."
                )
        for what, others in (("target", self.targets), ("mask", self.masks)):
            if others is not None:
                _check_alike(what, self.images, others)

    @property
    def everything(self) -> list[Image]:
        """Images, targets and masks."""
        return [*self.images, *(self.targets or ()), *(self.masks or ())]

    def loaded(self) -> Collection:
        """The same with all pixels in memory."""
        return Collection(
            [image.loaded() for image in self.images],
            None if self.targets is None else [image.loaded() for image in self.targets],
            None if self.masks is None else [image.loaded() for image in self.masks],
        )


def samples_of(images: Sequence[Image]) -> list[Any]:
    """All samples of all images, each ``(C, (Z), Y, X)``."""
    return [sample for image in images for sample in image.samples]


def names_of(images: Sequence[Image]) -> list[str]:
    """The name of each sample's image."""
    return [image.name for image in images for _ in range(image.axes.canonical_shape[0])]


def owners_of(images: Sequence[Image]) -> list[int]:
    """The number of each sample's image."""
    return [
        number
        for number, image in enumerate(images)
        for _ in range(image.axes.canonical_shape[0])
    ]


def check_channels(train: Collection, val: Collection | None) -> None:
    """Refuse validation images of other channels than the training images have.

    Raises
    ------
    DataError
        With both images and their channels.
    """
    if val is None:
        return
    ours, theirs = train.images[0], val.images[0]
    if ours.axes.canonical_shape[1] != theirs.axes.canonical_shape[1]:
        raise DataError(
            f"The validation image {theirs.name} has {theirs.axes.canonical_shape[1]} "
            f"channels but the training image {ours.name} has "
            f"{ours.axes.canonical_shape[1]}; validate on images of the same kind."
        )


def check_finite(collection: Collection) -> None:
    """Refuse NaN and infinite pixels, looking at a region at a time.

    Raises
    ------
    DataError
        With their number and the image's name.
    """
    images = collection.everything
    for sample, name in zip(samples_of(images), names_of(images), strict=True):
        for region in regions(sample):
            require_finite(sample[(slice(None), *region)], name)


def _check_alike(what: str, images: Sequence[Image], others: Sequence[Image]) -> None:
    if len(images) != len(others):
        raise DataError(
            f"There are {len(images)} images but {len(others)} {what}s; give one {what} "
            "per image."
        )
    for image, other in zip(images, others, strict=True):
        ours, theirs = image.axes.canonical_shape, other.axes.canonical_shape
        if (ours[0], *ours[2:]) != (theirs[0], *theirs[2:]):
            raise DataError(
                f"{image.name} has the shape {image.axes.shape} but its {what} "
                f"{other.name} {other.axes.shape}; samples and sizes must be the same."
            )
