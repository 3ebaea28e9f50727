"""From images to the training and validation datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.axes import spatial_axes
from napari_hush.dataset import patch_plan
from napari_hush.dataset.augmentation import Augmentation
from napari_hush.dataset.background import foreground, marked
from napari_hush.dataset.blocks import Block, LoadedBlocks, cut
from napari_hush.dataset.patch_dataset import InMemoryDataset, IterableDataset
from napari_hush.dataset.statistics import (
    fit_normalization,
    measure,
    regions,
    remembered,
    require_finite,
)
from napari_hush.errors import DataError
from napari_hush.io import fingerprint_of
from napari_hush.models.normalization import Normalization

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_hush.config import DataConfig
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


_SPLIT = 3
"""Marks the validation split among the random streams of a seed."""
_KEY_VERSION = 1
"""Raised when statistics are computed otherwise, so that kept ones do not count."""
_BACKGROUND = 7
"""Marks the background that is kept among the random streams of a seed."""


@dataclass(frozen=True)
class Split:
    """How much to set aside for validation: ``max(round(n * percentage), minimum)``."""

    percentage: float
    minimum: int


def in_memory(
    train: Collection, val: Collection | None, config: DataConfig, split: Split
) -> tuple[InMemoryDataset, InMemoryDataset | None]:
    """Datasets over pixels in memory: windows side by side, split by windows."""
    units = samples_of(train.images)
    check_channels(train, val)
    for collection in (train, val):
        if collection is not None:
            check_finite(collection)
    windows = _grid(train.images, units, config)
    windows = windows[_kept(train, units, windows, config)]
    if val is None:
        rng = np.random.default_rng([config.seed, _SPLIT])
        windows, validation = patch_plan.split(
            windows, config.patch_size, split.percentage, split.minimum, rng
        )
        held_out = patch_plan.by_image(validation)
    else:
        validation = _grid(val.images, samples_of(val.images), config)
        held_out = {}
    scalings = _scalings(
        config,
        units,
        names_of(train.images),
        None if train.targets is None else samples_of(train.targets),
        held_out,
    )
    seen = val or train

    def build(
        source: Collection, which: patch_plan.Windows, **more: Any
    ) -> InMemoryDataset:
        return InMemoryDataset(
            samples_of(source.images),
            which,
            config.patch_size,
            scalings[0],
            targets=None if source.targets is None else samples_of(source.targets),
            target_normalization=scalings[1],
            **more,
        )

    dataset = build(train, windows, augmentation=_augmentation(config), seed=config.seed)
    return dataset, build(seen, validation) if len(validation) else None


def on_disk(
    train: Collection, val: Collection | None, config: DataConfig, split: Split
) -> tuple[IterableDataset, IterableDataset | None]:
    """Datasets over pixels on disk: random windows, split by files.

    A single file is split by the blocks it is read in.

    Raises
    ------
    DataError
        If there are too few files to set any aside.
    """
    check_channels(train, val)
    units = samples_of(train.images)
    blocks = cut(units, config.patch_size)
    owners = owners_of(train.images)
    training = list(range(len(blocks)))
    validation: list[int] = []
    if val is None:
        files = [owners[block.sample] for block in blocks]
        if len(train.images) == 1:
            files = training
        aside = _set_aside(max(files) + 1, split, config.seed, len(train.images))
        training = [n for n, file in enumerate(files) if file not in aside]
        validation = [n for n, file in enumerate(files) if file in aside]
    chosen = [blocks[n] for n in training]
    seen, val_blocks = train, [blocks[n] for n in validation]
    if val is not None:
        seen, val_blocks = val, cut(samples_of(val.images), config.patch_size)
    targets = None if train.targets is None else samples_of(train.targets)
    scalings = _scalings(
        config,
        LoadedBlocks(units, chosen, 1),
        _block_names(train.images, chosen),
        None if targets is None else LoadedBlocks(targets, chosen, 1),
        {},
        (seen, val_blocks),
        (
            _key(config, (train.images, chosen), (seen.images, val_blocks)),
            _key(config, (train.targets, chosen), (seen.targets, val_blocks)),
        ),
    )

    def build(source: Collection, numbers: Sequence[Any], **more: Any) -> IterableDataset:
        pixels = samples_of(source.images)
        windows = patch_plan.grid(
            [(1, *block.shape) for block in numbers],
            config.patch_size,
            _block_names(source.images, numbers),
            spatial_axes(config.axes),
        )
        if more.get("moving", True):
            loaded = LoadedBlocks(pixels, numbers, 1)
            windows = windows[_kept(source, loaded, windows, config, numbers)]
        return IterableDataset(
            pixels,
            numbers,
            windows,
            config.patch_size,
            scalings[0],
            target_samples=None if source.targets is None else samples_of(source.targets),
            target_normalization=scalings[1],
            **more,
        )

    dataset = build(train, chosen, augmentation=_augmentation(config), seed=config.seed)
    return dataset, build(seen, val_blocks, moving=False) if val_blocks else None


def _grid(
    images: Sequence[Image], units: Sequence[Any], config: DataConfig
) -> patch_plan.Windows:
    return patch_plan.grid(
        [unit.shape for unit in units],
        config.patch_size,
        names_of(images),
        spatial_axes(config.axes),
    )


def _augmentation(config: DataConfig) -> Augmentation | None:
    if not config.transforms:
        return None
    return Augmentation(config.transforms, config.patch_size[-1] == config.patch_size[-2])


def _kept(
    source: Collection,
    units: Sequence[Any],
    windows: patch_plan.Windows,
    config: DataConfig,
    blocks: Sequence[Any] | None = None,
) -> Any:
    """Which windows to train on, by the mask and by the background threshold."""
    kept = np.ones(len(windows), bool)
    rng = np.random.default_rng([config.seed, _BACKGROUND])
    if source.masks is not None:
        masks: Sequence[Any] = samples_of(source.masks)
        if blocks is not None:
            masks = LoadedBlocks(masks, blocks, 1)
        share = 0.0 if config.background is None else config.background.kept
        kept &= marked(masks, windows, config.patch_size, share, rng)
    if config.background is not None:
        kept &= foreground(units, windows, config.patch_size, config.background, rng)
    if not kept.any():
        raise DataError(
            f"None of the {len(windows)} patches is left to train on once background is "
            "taken out; lower the background threshold, or give another mask."
        )
    return kept


def _scalings(
    config: DataConfig,
    units: Sequence[Any],
    names: Sequence[str],
    targets: Sequence[Any] | None,
    held_out: dict[int, patch_plan.Windows],
    held_back: tuple[Collection, Sequence[Block]] | None = None,
    keys: tuple[list[object] | None, list[object] | None] = (None, None),
) -> tuple[Normalization, Normalization | None]:
    """Scaling of the images and, if there are any, of the targets."""
    if config.image_means is not None and config.image_stds is not None:
        image = Normalization(config.image_means, config.image_stds)
    else:
        aside = [] if held_back is None else _read(held_back[0].images, held_back[1])
        image = _scaling(
            config, units, names, held_out, keys[0], "the training data", aside
        )
    if targets is None:
        return image, None
    if config.target_means is not None and config.target_stds is not None:
        return image, Normalization(config.target_means, config.target_stds)
    names = [f"the target of {name}" for name in names]
    aside = [] if held_back is None else _read(held_back[0].targets, held_back[1])
    return image, _scaling(config, targets, names, held_out, keys[1], "the targets", aside)


def _scaling(
    config: DataConfig,
    units: Sequence[Any],
    names: Sequence[str],
    held_out: dict[int, patch_plan.Windows],
    key: list[object] | None,
    what: str,
    aside: Iterable[tuple[NDArray[Any], str]],
) -> Normalization:
    """One scaling, measured or remembered; pixels set aside are only checked."""

    def once() -> Normalization:
        for unit, name in aside:
            require_finite(unit, name)
        found = measure(
            units,
            names,
            held_out,
            config.patch_size,
            quantiles=config.normalization.name == "quantile",
        )
        return fit_normalization(config.normalization, found, what)

    return remembered(key, once)


def _block_names(images: Sequence[Image], blocks: Sequence[Block]) -> list[str]:
    names = names_of(images)
    return [names[block.sample] for block in blocks]


def _read(
    images: Sequence[Image] | None, blocks: Sequence[Block]
) -> Iterator[tuple[NDArray[Any], str]]:
    """Pixels and name of each block, one after the other."""
    images = images or ()
    names = names_of(images)
    if images:
        loaded = LoadedBlocks(samples_of(images), blocks, 1)
        for block, pixels in zip(blocks, loaded, strict=True):
            yield pixels, names[block.sample]


def _key(
    config: DataConfig, *parts: tuple[Sequence[Image] | None, Sequence[Block]]
) -> list[object] | None:
    """What the statistics of these blocks depend on; None if that cannot be told."""
    key: list[object] = [_KEY_VERSION, config.axes, config.normalization.model_dump()]
    for images, blocks in parts:
        prints = [fingerprint_of(image) for image in images or ()]
        if not prints or None in prints:
            return None
        key.append(prints)
        key.append([[b.sample, [[r.start, r.stop] for r in b.region]] for b in blocks])
    return key


def _set_aside(total: int, split: Split, seed: int, files: int) -> set[int]:
    """Numbers of the files (or blocks of a single file) that are for validation."""
    if not 0 <= split.percentage <= 1:
        raise DataError(
            f"val_percentage is {split.percentage}; give a share between 0 and 1."
        )
    wanted = max(round(total * split.percentage), split.minimum)
    if files == 1:
        wanted = min(wanted, total - 1, max(1, round(total * split.percentage)))
    elif wanted >= total:
        raise DataError(
            f"{wanted} of {total} files would be set aside for validation, which leaves "
            "none to train on; give more files, a smaller val_percentage or "
            "val_minimum_split, or validation data of their own."
        )
    rng = np.random.default_rng([seed, _SPLIT])
    return set(rng.permutation(total)[:wanted].tolist())
