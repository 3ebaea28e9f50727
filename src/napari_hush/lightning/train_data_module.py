"""Training data, from what the user gives to loaders of ready batches."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as L
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from napari_hush.axes import spatial_axes
from napari_hush.dataset import (
    Augmentation,
    InMemoryDataset,
    Normalization,
    PatchSampler,
    measure,
    patches,
)
from napari_hush.errors import ConfigurationError, DataError
from napari_hush.io import Image, ReadSource, check_source, is_path, list_files, load_images

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_hush.config import DataConfig

_log = logging.getLogger(__name__)

_SPLIT = 3
"""Marks the validation split among the random streams of a seed."""


class TrainDataModule(L.LightningDataModule):
    """Cut patches from images, set some aside for validation, and load batches of them.

    A subclass may override `setup` alone: set ``self.train_dataset`` and, if there is
    validation, ``self.val_dataset`` to datasets of its own. They may return whole batches
    from ``__getitems__`` or single patches from ``__getitem__``, each a tuple of float32
    tensors ``(C, (Z), Y, X)``; a dataset with ``get_data_statistics()`` says how its
    patches were normalised, otherwise the configuration's ``image_means`` and
    ``image_stds`` must.

    Parameters
    ----------
    data_config : DataConfig
        Axes, patches, batches, augmentation.
    train_data : array, str, Path, or list of one kind of them
        Images to train on: arrays, or files and folders, as ``data_config.data_type``
        says.
    val_data : same as `train_data`, optional
        Images to validate on; by default part of the training patches.
    train_data_target, val_data_target : optional
        Clean images, for methods that learn from pairs; Noise2Void does not.
    read_source_func : callable, optional
        For custom data: called as ``func(path, axes)``, returns an array.
    extension_filter : str
        For custom data: which file names count, e.g. ``"*.npy"``.
    val_percentage : float
        Share of the patches set aside where there is no `val_data`, 0 to 1.
    val_minimum_split : int
        How many patches to set aside at least.
    use_in_memory : bool
        Has no effect on arrays.

    Raises
    ------
    SourceTypeError, ConfigurationError
        If the data are not what ``data_config.data_type`` says.
    """

    train_dataset: Dataset[tuple[torch.Tensor, ...]]
    val_dataset: Dataset[tuple[torch.Tensor, ...]] | None

    def __init__(
        self,
        data_config: DataConfig,
        train_data: Any,
        val_data: Any = None,
        train_data_target: Any = None,
        val_data_target: Any = None,
        read_source_func: ReadSource | None = None,
        extension_filter: str = "",
        val_percentage: float = 0.1,
        val_minimum_split: int = 5,
        use_in_memory: bool = True,
    ) -> None:
        super().__init__()
        for source in (train_data, val_data):
            if source is not None:
                check_source(source, data_config.data_type, read_source_func)
        if train_data_target is not None or val_data_target is not None:
            raise ConfigurationError(
                "Targets were given, but Noise2Void learns from the noisy images alone; "
                "leave them out."
            )
        self.data_config = data_config
        self.train_data = train_data
        self.val_data = val_data
        self.read_source_func = read_source_func
        self.extension_filter = extension_filter
        self.val_percentage = val_percentage
        self.val_minimum_split = val_minimum_split
        self.use_in_memory = use_in_memory
        self.val_dataset = None
        self._steps: int | None = None
        self._first_epoch = 0

    # ---- what Lightning calls ----

    def prepare_data(self) -> None:
        """Check that every path exists and holds files of the right kind."""
        for source in (self.train_data, self.val_data):
            if source is not None and is_path(source):
                list_files(source, self.data_config.data_type, self.extension_filter)

    def setup(self, stage: str | None = None) -> None:
        """Read the images, plan the patches, measure the statistics; once only.

        Raises
        ------
        DataError
            If an image does not fit the axes or the patches, holds NaN or infinite
            pixels, or is the same everywhere.
        """
        if getattr(self, "train_dataset", None) is not None:
            return
        config = self.data_config
        images = self._load(self.train_data)
        windows = self._windows(images)
        if self.val_data is None:
            rng = np.random.default_rng([config.seed, _SPLIT])
            windows, validation = patches.split(
                windows, config.patch_size, self.val_percentage, self.val_minimum_split, rng
            )
            val_images = images
            if not len(validation) and self.val_minimum_split:
                _log.warning(
                    "The images are too small to keep patches of %s aside for validation; "
                    "all of them are trained on.",
                    list(config.patch_size),
                )
        else:
            val_images = self._load(self.val_data)
            validation = self._windows(val_images)
        normalization = self._normalization(
            images, validation if self.val_data is None else validation[:0]
        )
        square = config.patch_size[-1] == config.patch_size[-2]
        self.train_dataset = InMemoryDataset(
            _samples(images),
            windows,
            config.patch_size,
            normalization,
            Augmentation(config.transforms, square) if config.transforms else None,
            config.seed,
        )
        if len(validation):
            self.val_dataset = InMemoryDataset(
                _samples(val_images),
                validation,
                config.patch_size,
                normalization,
            )

    def train_dataloader(self) -> DataLoader[tuple[torch.Tensor, ...]]:
        """Batches ``(B, C, (Z), Y, X)`` in random order, new in every epoch.

        Without a generator of its own a loader would draw from torch's global one.
        """
        size = len(self.train_dataset)  # type: ignore[arg-type]
        config = self.data_config
        per_epoch = size if self._steps is None else self._steps * config.batch_size
        own = isinstance(self.train_dataset, InMemoryDataset)
        return DataLoader(
            self.train_dataset,
            batch_size=config.batch_size,
            sampler=PatchSampler(
                size, per_epoch, config.seed, self._first_epoch, counts_on=own
            ),
            num_workers=config.num_workers,
            collate_fn=_collate_for(self.train_dataset),
            generator=torch.Generator(),
        )

    def val_dataloader(self) -> DataLoader[tuple[torch.Tensor, ...]] | list[Any]:
        """Batches in order, never augmented; an empty list where there are none."""
        if self.val_dataset is None:
            return []
        return DataLoader(
            self.val_dataset,
            batch_size=self.data_config.batch_size,
            shuffle=False,
            num_workers=self.data_config.num_workers,
            collate_fn=_collate_for(self.val_dataset),
            generator=torch.Generator(),
        )

    # ---- what training asks ----

    def get_data_statistics(self) -> tuple[list[float], list[float]]:
        """Means and standard deviations of the training pixels, one each per channel."""
        config = self.data_config
        ask = getattr(self.train_dataset, "get_data_statistics", None)
        if ask is not None:
            means, stds = ask()
            return list(means), list(stds)
        if config.image_means is None or config.image_stds is None:
            raise ConfigurationError(
                f"{type(self.train_dataset).__name__} does not say how its patches are "
                "normalised; give it get_data_statistics() or set image_means and "
                "image_stds in the data configuration."
            )
        return list(config.image_means), list(config.image_stds)

    def pace(self, steps: int | None, first_epoch: int) -> int:
        """Set the optimizer steps per epoch and the epochs trained before this run.

        Parameters
        ----------
        steps : int, optional
            None for one pass over the training patches.
        first_epoch : int
            Later epochs visit patches in another order with other augmentation.

        Returns
        -------
        int
            Optimizer steps of one epoch.
        """
        self._steps, self._first_epoch = steps, first_epoch
        return len(self.train_dataloader())

    def _load(self, source: Any) -> list[Image]:
        return load_images(
            source,
            self.data_config.data_type,
            self.data_config.axes,
            self.read_source_func,
            self.extension_filter,
        )

    def _windows(self, images: Sequence[Image]) -> patches.Windows:
        channels = images[0].axes.canonical_shape[1]
        for image in images:
            if image.axes.canonical_shape[1] != channels:
                raise DataError(
                    f"{image.name} has {image.axes.canonical_shape[1]} channels but "
                    f"{images[0].name} has {channels}; train on images of one kind."
                )
        return patches.grid(
            [sample.shape for sample in _samples(images)],
            self.data_config.patch_size,
            _names(images),
            spatial_axes(self.data_config.axes),
        )

    def _normalization(
        self, images: Sequence[Image], validation: patches.Windows
    ) -> Normalization:
        config = self.data_config
        if config.image_means is not None and config.image_stds is not None:
            return Normalization(config.image_means, config.image_stds)
        return measure(
            zip(_samples(images), _names(images), strict=True),
            patches.by_image(validation),
            config.patch_size,
        )


def _samples(images: Sequence[Image]) -> list[NDArray[Any]]:
    return [sample for image in images for sample in image.samples]


def _names(images: Sequence[Image]) -> list[str]:
    return [image.name for image in images for _ in image.samples]


def _collate_for(dataset: Dataset[Any]) -> Callable[[Any], Any]:
    """Datasets that return whole batches need no collation."""
    return _as_it_is if hasattr(dataset, "__getitems__") else default_collate


def _as_it_is(batch: Any) -> Any:
    return batch
