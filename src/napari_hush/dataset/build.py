"""From images to the training and validation datasets.

Both kinds of dataset are built in the same steps: cut the images into units (whole samples
in memory, blocks of samples on disk), set some aside for validation, lay a grid of windows
over them, drop background, and fit the normalization to the training pixels alone.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.dataset import patch_plan
from napari_hush.dataset.augmentation import Augmentation
from napari_hush.dataset.background import foreground, marked, touches
from napari_hush.dataset.blocks import Block, LoadedBlocks, cut
from napari_hush.dataset.collection import (
    Collection,
    channels_of,
    samples_of,
    valid_samples,
)
from napari_hush.dataset.patch_dataset import (
    InMemoryDataset,
    IterableDataset,
    PatchDataset,
    RandomStream,
)
from napari_hush.dataset.statistics import (
    cached,
    fit_normalization,
    measure,
    regions,
    require_finite,
)
from napari_hush.errors import DataError, counted
from napari_hush.io.fingerprint import change_stamps, fingerprint_of
from napari_hush.models.normalization import Normalization

if TYPE_CHECKING:
    from napari_hush.config import DataConfig
    from napari_hush.io import Image

Scalings = tuple[Normalization, "Normalization | None"]
"""Normalization of the images, and of the targets if there are any."""

_KEY_VERSION = 3
"""Raised when statistics are computed differently, so that cached ones do not count."""


@dataclass(frozen=True)
class Split:
    """Size of the validation split: ``max(round(n * percentage), minimum)``.

    If there are more than `most` patches in it, it has so many of them, evenly spread; the
    others are trained on.
    """

    percentage: float
    minimum: int
    most: int = sys.maxsize


def in_memory(
    train: Collection, val: Collection | None, config: DataConfig, split: Split
) -> tuple[PatchDataset, PatchDataset | None]:
    """Datasets of pixels in memory; windows side by side, split by windows.

    No image is smaller than a patch. Raises a DataError if channels differ, a pixel is not
    finite, or there is nothing to train on.
    """
    _check_channels(train, val)
    for collection in filter(None, (train, val)):
        _check_finite(collection)
    learned = validated = _Part(train, config)
    windows = learned.foreground()
    rng = np.random.default_rng([config.seed, RandomStream.SPLIT])
    if val is None:
        windows, held_out = patch_plan.split(
            windows, config.patch_size, split.percentage, split.minimum, rng, split.most
        )
        scalings = learned.scalings(held_out=held_out)
    else:
        validated = _Part(val, config)
        held_out = validated.windows()
        held_out = held_out[patch_plan.evenly(len(held_out), split.most, rng)]
        scalings = learned.scalings()

    training = learned.dataset(windows, scalings, training=True)
    if not len(held_out):
        return training, None
    return training, validated.dataset(held_out, scalings, training=False)


def on_disk(
    train: Collection,
    val: Collection | None,
    config: DataConfig,
    split: Split,
    *,
    check: bool = True,
) -> tuple[PatchDataset, PatchDataset | None]:
    """Datasets of pixels on disk; windows at random positions, split by files.

    A single file is split by the blocks it is read in. Without `check` pixels that are not
    measured are known to be finite. Raises a DataError as `in_memory` does, or if there are
    too few files to set any aside.
    """
    _check_channels(train, val)
    blocks = cut(train.inputs, config.patch_size)
    rng = np.random.default_rng([config.seed, RandomStream.SPLIT])
    if val is None:
        owners = [n for n, image in enumerate(train.images) for _ in samples_of([image])]
        files = [owners[block.sample] for block in blocks]
        if len(train.images) == 1:
            files = list(range(len(blocks)))
        units, several = max(files) + 1, len(train.images) > 1
        aside = patch_plan.set_aside(
            units, split.percentage, split.minimum, rng, files=several, most=split.most
        )
        numbers = [number for number, file in enumerate(files) if file in aside]
        validated = _Part(train, config, [blocks[number] for number in numbers])
        validated, windows, used = _spread(validated, split.most, rng)
        taken = {numbers[number] for number in used}
        blocks = [block for number, block in enumerate(blocks) if number not in taken]
    else:
        validated = _Part(val, config, cut(val.inputs, config.patch_size))
        validated, windows, _ = _spread(validated, split.most, rng)
    learned = _Part(train, config, blocks)
    if check:
        learned.check_unmeasured()
        validated.check_unmeasured()
    scalings = learned.scalings(checked=validated)

    training = learned.dataset(learned.foreground(), scalings, training=True)
    if not len(windows):
        return training, None
    return training, validated.dataset(windows, scalings, training=False)


def _spread(
    part: _Part, most: int, rng: np.random.Generator
) -> tuple[_Part, patch_plan.Windows, list[int]]:
    """Reduce `part` to blocks of `most` windows, evenly spread; also these and numbers."""
    blocks = part.blocks or ()
    windows = part.windows()
    windows = windows[patch_plan.evenly(len(windows), most, rng)]
    used, windows[:, 0] = np.unique(windows[:, 0], return_inverse=True)
    return replace(part, blocks=[blocks[n] for n in used]), windows, used.tolist()


@dataclass(frozen=True)
class _Part:
    """The training or the validation part: samples, or `blocks` of samples on disk."""

    source: Collection
    config: DataConfig
    blocks: Sequence[Block] | None = None

    @property
    def targets(self) -> list[Image] | None:
        return self.source.targets

    def units(self, images: Sequence[Image]) -> Sequence[Any]:
        return self.cut(samples_of(images)) or ()

    def cut(self, samples: Sequence[Any] | None) -> Sequence[Any] | None:
        """The units of these samples, if there are any."""
        if samples is None or self.blocks is None:
            return samples
        return LoadedBlocks(samples, self.blocks, 1)

    def names(self, images: Sequence[Image]) -> list[str]:
        """The name of each unit's image."""
        names = [image.name for image in images for _ in image.samples]
        if self.blocks is None:
            return names
        return [names[block.sample] for block in self.blocks]

    def windows(self) -> patch_plan.Windows:
        """All windows of all units, but for those in which every pixel is masked."""
        images = self.source.images
        if self.blocks is None:
            shapes = [sample.shape for sample in samples_of(images)]
        else:
            shapes = [(1, *block.shape) for block in self.blocks]
        size = self.config.patch_size
        windows = patch_plan.grid(shapes, size)
        if (valid := self.cut(self.source.valid())) is None:
            return windows
        windows = windows[touches(valid, windows, size)]
        if not len(windows):
            raise DataError(
                f"All pixels of {images[0].name} are masked, so there is nothing to learn; "
                "unmask some."
            )
        return windows

    def foreground(self) -> patch_plan.Windows:
        """The windows to train on, by the mask and by the background threshold."""
        config, windows, size = self.config, self.windows(), self.config.patch_size
        kept = np.ones(len(windows), bool)
        rng = np.random.default_rng([config.seed, RandomStream.BACKGROUND])
        if self.source.masks is not None:
            share = 0.0 if config.background is None else config.background.kept
            valid = self.cut(self.source.valid())
            kept &= marked(
                self.units(self.source.marks()), windows, size, share, rng, valid
            )
        if config.background is not None:
            units = self.units(self.source.images)
            valid = self.cut(valid_samples(self.source.images))
            kept &= foreground(units, windows, size, config.background, rng, valid)
        if not kept.any():
            raise DataError(
                f"All {len(windows)} patches are background, so none is left to train on; "
                "lower the background threshold, or use another mask."
            )
        return windows[kept]

    def dataset(
        self, windows: patch_plan.Windows, scalings: Scalings, *, training: bool
    ) -> PatchDataset:
        """The dataset of these windows, augmented and shuffled for training only."""
        config, size = self.config, self.config.patch_size
        augmentation = None
        if training and config.transforms:
            augmentation = Augmentation(config.transforms, size[-1] == size[-2])
        samples, context = self.source.inputs, self.source.time_context
        targets = None if self.targets is None else samples_of(self.targets)
        image, target = scalings
        seed = config.seed if training else 0
        valid = self.source.valid()
        settings = (windows, size, image, augmentation, seed, targets, target, valid)
        if self.blocks is None:
            return InMemoryDataset(samples, *settings, time_context=context)
        blocks = self.blocks
        return IterableDataset(
            samples, blocks, *settings, moving=training, time_context=context
        )

    @property
    def given(self) -> tuple[Normalization | None, Normalization | None]:
        """The normalization of images and targets where the configuration has it."""
        config = self.config
        return (
            _normalization(config.image_means, config.image_stds),
            _normalization(config.target_means, config.target_stds),
        )

    def check_unmeasured(self) -> None:
        """Raise a DataError if masks, or pixels that are not measured, are not finite."""
        source, known = self.source, self.given
        wanted = (source.images, known[0]), (source.targets, known[1]), (source.masks, 1)
        for images, skipped in wanted:
            if images and skipped:
                self.check_finite(images)

    def check_finite(self, images: Sequence[Image]) -> None:
        for pixels, name in zip(self.units(images), self.names(images), strict=True):
            require_finite(pixels, name)

    def scalings(
        self, *, held_out: patch_plan.Windows | None = None, checked: _Part | None = None
    ) -> Scalings:
        """Normalization of the images and, if there are any, of the targets.

        Windows `held_out` are left out; pixels of the part `checked` are only checked.
        """
        image, target = self.given
        image = image or self._fit(held_out, checked, targets=False)
        if self.targets is None:
            return image, None
        return image, target or self._fit(held_out, checked, targets=True)

    def _fit(
        self, held_out: patch_plan.Windows | None, checked: _Part | None, *, targets: bool
    ) -> Normalization:
        config = self.config
        parts = [(self, self.targets if targets else self.source.images)]
        if checked is not None:
            parts.append((checked, checked.targets if targets else checked.source.images))

        def fit() -> Normalization:
            for part, images in parts[1:]:
                if images:
                    part.check_finite(images)
            names = self.names(self.source.images)
            found = measure(
                self.units(parts[0][1] or ()),
                [f"the target of {name}" for name in names] if targets else names,
                {} if held_out is None else patch_plan.by_image(held_out),
                config.patch_size,
                quantiles=config.normalization.name == "quantile",
                valid=self.cut(valid_samples(parts[0][1] or ())),
            )
            what = "the targets" if targets else "the training data"
            return fit_normalization(config.normalization, found, what)

        return cached(_key(config, parts), fit)


def _normalization(
    means: tuple[float, ...] | None, stds: tuple[float, ...] | None
) -> Normalization | None:
    return None if means is None or stds is None else Normalization(means, stds)


def _key(
    config: DataConfig, parts: Sequence[tuple[_Part, Sequence[Image] | None]]
) -> list[object] | None:
    """Everything the statistics depend on; None for pixels without a fingerprint."""
    key: list[object] = [_KEY_VERSION, config.axes, config.normalization.model_dump()]
    for part, images in parts:
        prints = [fingerprint_of(image) for image in images or ()]
        if part.blocks is None or not prints or None in prints:
            return None
        key += [prints, [change_stamps(image) for image in images or ()]]
        key.append([[b.sample, [[r.start, r.stop] for r in b.region]] for b in part.blocks])
    return key


def _check_channels(train: Collection, val: Collection | None) -> None:
    if val is None:
        return
    ours, theirs = train.images[0], val.images[0]
    if channels_of(ours) != channels_of(theirs):
        raise DataError(
            f"The validation image {theirs.name} has "
            f"{counted(channels_of(theirs), 'channel')} but the training image {ours.name} "
            f"has {channels_of(ours)}; validate on images with the same channels."
        )


def _check_finite(collection: Collection) -> None:
    for image in collection.everything:
        for sample in image.samples:
            for region in regions(sample):
                require_finite(sample[(slice(None), *region)], image.name)
