"""Training data, from what the user gives to loaders of ready batches."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytorch_lightning as L
import torch
from torch.utils.data import DataLoader, Dataset, SequentialSampler, default_collate

from napari_hush.dataset import (
    DevicePatches,
    InMemoryDataset,
    PatchSampler,
    Share,
    SharedBatches,
    Storage,
    choose_storage,
    device_bytes,
    fits_on,
)
from napari_hush.dataset.build import Collection, Split, in_memory, on_disk
from napari_hush.errors import ConfigurationError
from napari_hush.io import (
    Image,
    check_source,
    is_path,
    list_files,
    open_images,
    pair_files,
    select_channels,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_hush.config import DataConfig
    from napari_hush.io import ImageMetadata, ReadSource

_log = logging.getLogger(__name__)


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
        Axes, patches, batches, augmentation, normalisation.
    train_data : array, str, Path, or list of one kind of them
        Images to train on: arrays, or files and folders, as ``data_config.data_type``
        says.
    val_data : same as `train_data`, optional
        Images to validate on; by default part of the training data.
    train_data_target, val_data_target : same, optional
        Clean images, for methods that learn from pairs; cut, mirrored and turned alike.
    read_source_func : callable, optional
        For custom data: called as ``func(path, axes)``, returns an array.
    extension_filter : str
        For custom data: which file names count, e.g. ``"*.npy"``.
    val_percentage : float
        Share of the patches (of the files, where they stay on disk) set aside for
        validation where there is no `val_data`, 0 to 1.
    val_minimum_split : int
        How many to set aside at least.
    use_in_memory : bool
        Load files if they fit; False leaves them on disk. Has no effect on arrays.
    train_mask : same as `train_data`, optional
        Not zero where there is something to learn from; patches without any are left out.

    Attributes
    ----------
    train_dataset, val_dataset : Dataset
        There after `setup`; `val_dataset` is None where there is no validation.
    storage : Storage
        Where the pixels live, and why; there after `setup`.
    images : list of Image
        What is trained on; there after `setup`.
    pixel_size : ImageMetadata or None
        Pixel sizes of arrays, which have none of their own; to be set before training.

    Raises
    ------
    SourceTypeError, ConfigurationError
        If the data are not what ``data_config.data_type`` says.
    """

    train_dataset: Dataset[tuple[torch.Tensor, ...]]
    val_dataset: Dataset[tuple[torch.Tensor, ...]] | None
    storage: Storage

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
        train_mask: Any = None,
    ) -> None:
        super().__init__()
        self._sources = [
            source
            for source in (
                train_data,
                val_data,
                train_data_target,
                val_data_target,
                train_mask,
            )
            if source is not None
        ]
        for source in self._sources:
            check_source(source, data_config.data_type, read_source_func)
        if val_data is None and val_data_target is not None:
            raise ConfigurationError(
                "val_data_target was given without val_data; give both or neither."
            )
        paired = train_data_target is not None, val_data_target is not None
        if val_data is not None and paired[0] != paired[1]:
            raise ConfigurationError(
                "Training and validation data must both have targets, or neither; give "
                "val_data_target with train_data_target."
            )
        self.data_config = data_config
        self.train_data = train_data
        self.val_data = val_data
        self.train_data_target = train_data_target
        self.val_data_target = val_data_target
        self.train_mask = train_mask
        self.read_source_func = read_source_func
        self.extension_filter = extension_filter
        self.split = Split(val_percentage, val_minimum_split)
        self.use_in_memory = use_in_memory
        self.val_dataset = None
        self.images: list[Image] = []
        self.pixel_size: ImageMetadata | None = None
        self._steps: int | None = None
        self._first_epoch = 0
        self._skip = 0
        self._rank, self._ranks, self._beside = 0, 1, 1
        self._batches: dict[str, SharedBatches] = {}
        self._on_device: dict[Any, DevicePatches] = {}

    # ---- what Lightning calls ----

    def prepare_data(self) -> None:
        """Check that every path exists and holds files of the right kind."""
        for source in self._sources:
            if is_path(source):
                list_files(source, self.data_config.data_type, self.extension_filter)

    def setup(self, stage: str | None = None) -> None:
        """Open the images, plan the patches, measure the statistics; once only.

        Raises
        ------
        DataError
            If an image does not fit the axes or the patches, holds NaN or infinite
            pixels, or is the same everywhere; or if images and targets are not alike.
        """
        if getattr(self, "train_dataset", None) is not None:
            return
        train = Collection(
            *self._open(self.train_data, self.train_data_target, self.train_mask)
        )
        val = None
        if self.val_data is not None:
            val = Collection(*self._open(self.val_data, self.val_data_target))
        everything = train.everything + ([] if val is None else val.everything)
        self.storage = choose_storage(
            everything, wish_memory=self.use_in_memory, processes=self._beside
        )
        if self.storage.in_memory:
            train, val = train.loaded(), None if val is None else val.loaded()
        self.images = train.images
        build = in_memory if self.storage.in_memory else on_disk
        self.train_dataset, self.val_dataset = build(
            train, val, self.data_config, self.split
        )
        if self.val_dataset is None and self.split.minimum:
            _log.warning(
                "The images are too small to keep patches of %s aside for validation; all "
                "of them are trained on.",
                list(self.data_config.patch_size),
            )

    def train_dataloader(self) -> DataLoader[tuple[torch.Tensor, ...]]:
        """Batches ``(B, C, (Z), Y, X)`` in random order, new in every epoch.

        Without a generator of its own a loader would draw from torch's global one.
        """
        size = len(self.train_dataset)  # type: ignore[arg-type]
        config = self.data_config
        skip, self._skip = self._skip, 0  # only the first epoch is cut short
        per_epoch = size if self._steps is None else self._steps * config.batch_size
        order = PatchSampler(
            self.train_dataset,
            per_epoch,
            config.seed,
            self._first_epoch,
            shuffle=config.shuffle,
            skip=skip,
        )
        return self._loader("train", self.train_dataset, order)

    def val_dataloader(self) -> DataLoader[tuple[torch.Tensor, ...]] | list[Any]:
        """Batches in order, never augmented; an empty list where there are none."""
        if self.val_dataset is None:
            return []
        return self._loader("val", self.val_dataset, SequentialSampler(self.val_dataset))  # type: ignore[arg-type]

    def _loader(self, which: str, dataset: Any, order: Any) -> DataLoader[Any]:
        size = self.data_config.batch_size
        batches = SharedBatches(order, size, self._rank, self._ranks)
        self._batches[which] = batches
        return DataLoader(
            self._on_device.get(dataset, dataset),
            batch_sampler=batches,
            num_workers=self._workers(dataset),
            collate_fn=_collate,
            generator=torch.Generator(),
        )

    # ---- what training asks ----

    def divide(self, rank: int, ranks: int, beside: int) -> None:
        """Load the part of every batch that belongs to one of several processes.

        Parameters
        ----------
        rank, ranks : int
            The number of this process, and of how many.
        beside : int
            How many of them, this one included, share the memory of this machine.

        Raises
        ------
        ConfigurationError
            If there are more processes than patches in a batch.
        """
        size = self.data_config.batch_size
        if ranks > size:
            raise ConfigurationError(
                f"batch_size is {size} but {ranks} processes share each batch, so some "
                f"would have nothing to do; set batch_size to {ranks} or more, or use "
                f"{size} processes or fewer."
            )
        self._rank, self._ranks, self._beside = rank, ranks, beside

    def share(self, which: Literal["train", "val"], number: int) -> Share:
        """What this process has of batch `number` of the epoch in hand."""
        return self._batches[which].share(number)

    @contextmanager
    def on_device(self, device: torch.device) -> Iterator[None]:
        """Keep pixels that are in memory on `device` inside, if it is a GPU with room.

        Batches are the same, bit by bit.
        """
        known = [d for d in (self.train_dataset, self.val_dataset) if d is not None]
        for dataset in known:
            if isinstance(dataset, InMemoryDataset):
                nbytes = device_bytes(dataset)
                if nbytes is not None and fits_on(device, nbytes):
                    self._on_device[dataset] = DevicePatches(dataset, device)
        try:
            yield
        finally:
            self._on_device.clear()

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

    def pace(self, steps: int | None, first_epoch: int, first_step: int = 0) -> int:
        """Set the optimizer steps per epoch and the epochs trained before this run.

        Parameters
        ----------
        steps : int, optional
            None for one pass over the training patches.
        first_epoch : int
            Later epochs visit patches in another order with other augmentation.
        first_step : int
            Steps of that epoch which were taken already; the next loader leaves their
            patches out.

        Returns
        -------
        int
            Optimizer steps of one epoch.
        """
        self._steps, self._first_epoch, self._skip = steps, first_epoch, 0
        whole = len(self.train_dataloader())
        self._skip = first_step * self.data_config.batch_size
        return whole

    def _workers(self, dataset: Any) -> int:
        """Processes that prepare batches; what is on a device is cut in this one."""
        return 0 if dataset in self._on_device else self.data_config.num_workers

    def _open(self, *sources: Any) -> list[Any]:
        return open_alike(
            self.data_config, self.read_source_func, self.extension_filter, *sources
        )


def _collate(batch: Any) -> Any:
    """Leave whole batches as they are; put single patches, a list, together."""
    return default_collate(batch) if isinstance(batch, list) else batch


def open_alike(
    config: DataConfig,
    read_source_func: ReadSource | None,
    extension_filter: str,
    source: Any,
    *others: Any,
) -> list[Any]:
    """Open images and what goes with them (targets, masks), with the chosen channels.

    Files in folders are matched by their names; files that are named one by one, and
    arrays, by their order.
    """
    more = read_source_func, extension_filter
    named = _are_files(source)
    if is_path(source):
        source = list_files(source, config.data_type, extension_filter)
    opened: list[list[Image] | None] = [
        open_images(source, config.data_type, config.axes, *more, level=config.level)
    ]
    for other in others:
        if other is None:
            opened.append(None)
            continue
        if is_path(other):
            files = list_files(other, config.data_type, extension_filter)
            if not (named and _are_files(other)):
                files = [partner for _, partner in pair_files(source, files)]
            other = files
        opened.append(
            open_images(other, config.data_type, config.axes, *more, level=config.level)
        )
    chosen = config.channels, config.target_channels, None
    return [
        images and [select_channels(image, channels) for image in images]
        for images, channels in zip(opened, chosen, strict=False)
    ]


def _are_files(source: Any) -> bool:
    """Whether files are named one by one, rather than by their folder."""
    parts = source if isinstance(source, list | tuple) else [source]
    return is_path(source) and all(Path(part).is_file() for part in parts)
