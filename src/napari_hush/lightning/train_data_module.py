"""The data module of the training images: from sources to batches."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytorch_lightning as L
import torch
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    SequentialSampler,
    default_collate,
)

from napari_hush.arguments import by_any_name
from napari_hush.axes import spatial_axes
from napari_hush.config import DataConfig, UNetConfig
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
from napari_hush.dataset.batches import PatchStream, workers_that_fit
from napari_hush.dataset.build import Split, in_memory, on_disk
from napari_hush.dataset.collection import Collection
from napari_hush.dataset.patch_plan import require_room
from napari_hush.errors import ConfigurationError, counted
from napari_hush.io import (
    Image,
    check_source,
    find_images,
    is_path,
    list_files,
    open_images,
    pair_files,
    refuse_same_files,
    select_channels,
)
from napari_hush.io.zarr.store import is_zarr
from napari_hush.system.signals import leave_signals_to_parent

if TYPE_CHECKING:
    from napari_hush.config import TrainingConfig
    from napari_hush.io import ImageMetadata, ReadSource

_log = logging.getLogger(__name__)


class TrainDataModule(L.LightningDataModule):
    """Extract patches from images, split off a validation set, and load batches.

    A subclass may override `setup` alone and set ``self.train_dataset`` and, for
    validation, ``self.val_dataset``. These may return whole batches from ``__getitems__``
    or single patches from ``__getitem__``, or ``__iter__`` of an IterableDataset, each a
    tuple of float32 tensors ``(C, (Z), Y, X)``. The statistics of their normalization come
    from ``get_data_statistics()`` of the dataset or, without it, from ``image_means`` and
    ``image_stds`` of the configuration.

    Parameters
    ----------
    data_config : DataConfig
        Axes, patches, batches, augmentation, normalization.
    train_data : array, str, Path, or list of one kind of them
        Images to train on: arrays, or files and folders, depending on
        ``data_config.data_type``.
    val_data : same as `train_data`, optional
        Images to validate on; by default part of the training data.
    train_data_target, val_data_target : same, optional
        Target images, for methods that learn from pairs; patches of images and targets are
        flipped and rotated together.
    read_source_func : callable, optional
        For custom data: called as ``func(path, axes)``, returns an array.
    extension_filter : str
        For custom data: which file names count, e.g. ``"*.npy"``.
    val_percentage : float, optional
        Fraction of the patches (of the files, if they stay on disk) for validation if
        there is no `val_data`, 0 to 1; by default that of `data_config`.
    val_minimum_split : int
        Least number of them, up to ``data_config.max_val_patches``.
    use_in_memory : bool
        Load files if they fit into memory; False leaves them on disk. Has no effect on
        arrays.
    train_mask : same as `train_data`, optional
        Nonzero in the regions to train on; patches outside of them are left out.
    time_context : int
        That of the network (`UNetConfig`); `CAREamist.train` sets it.

    Attributes
    ----------
    train_dataset, val_dataset : Dataset
        Set by `setup`; `val_dataset` is None without validation.
    storage : Storage
        Where the pixels are kept, and why; set by `setup`.
    images : list of Image
        The training images; set by `setup`.
    pairs : list of tuple of Path
        Files of images and of their targets, also those of validation; set by `setup`.
    pixel_size : ImageMetadata or None
        Pixel sizes of arrays; set before training.
    patch_step : int
        Patch sizes along Y and X that messages advise are multiples of it.

    Raises
    ------
    SourceTypeError, ConfigurationError
        If the data are not of ``data_config.data_type``.
    """

    train_dataset: Dataset[tuple[torch.Tensor, ...]]
    val_dataset: Dataset[tuple[torch.Tensor, ...]] | None
    storage: Storage

    @by_any_name
    def __init__(
        self,
        data_config: DataConfig,
        train_data: Any,
        val_data: Any = None,
        train_data_target: Any = None,
        val_data_target: Any = None,
        read_source_func: ReadSource | None = None,
        extension_filter: str = "",
        val_percentage: float | None = None,
        val_minimum_split: int = 5,
        use_in_memory: bool = True,
        train_mask: Any = None,
        time_context: int = 0,
    ) -> None:
        super().__init__()
        if not isinstance(data_config, DataConfig):
            raise ConfigurationError(
                f"data_config was given as {type(data_config).__name__}; give a "
                "DataConfig, such as config.data_config."
            )
        given = train_data, val_data, train_data_target, val_data_target, train_mask
        self._sources = [source for source in given if source is not None]
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
        if val_percentage is None:
            val_percentage = data_config.val_percentage
        self.split = Split(val_percentage, val_minimum_split, data_config.max_val_patches)
        self.use_in_memory = use_in_memory
        self.val_dataset = None
        self.images: list[Image] = []
        self.pairs: list[tuple[Path, Path]] = []
        self.pixel_size: ImageMetadata | None = None
        self.patch_step = 2 ** UNetConfig().depth
        self.time_context = time_context
        self._steps: int | None = None
        self._accumulated = 1
        self._first_epoch = 0
        self._skip = 0
        self._rank, self._ranks, self._processes_here = 0, 1, 1
        self._batches: dict[str, SharedBatches] = {}
        self._on_device: dict[Any, DevicePatches] = {}

    # ---- called by Lightning ----

    def prepare_data(self) -> None:
        """Check that every path exists and holds files of the right kind."""
        for source in self._sources:
            if is_path(source):
                kind, extension = self.data_config.data_type, self.extension_filter
                list_files(source, kind, extension, report=False)

    def setup(self, stage: str | None = None) -> None:
        """Open the images, plan the patches and measure the statistics, once.

        Raises DataError if an image does not match the axes or the patch size, has NaN or
        infinite pixels or is constant, or if images and targets do not match or are equal.
        """
        if getattr(self, "train_dataset", None) is not None:
            return
        targets, mask = self.train_data_target, self.train_mask
        train, val = Collection(*self._open(self.train_data, targets, mask)), None
        if self.val_data is not None:
            val = Collection(*self._open(self.val_data, self.val_data_target))
            val = replace(val, time_context=self.time_context)
        train = replace(train, time_context=self.time_context)
        for collection in filter(None, (train, val)):
            collection.refuse_own_targets()
        everything = train.everything + ([] if val is None else val.everything)
        letters = spatial_axes(self.data_config.axes)
        require_room(everything, self.data_config.patch_size, letters, self.patch_step)
        self.storage = choose_storage(
            everything, wish_memory=self.use_in_memory, processes=self._processes_here
        )
        if self.storage.in_memory:
            train, val = train.loaded(), None if val is None else val.loaded()
        self.images = train.images
        if self.storage.in_memory:
            found = in_memory(train, val, self.data_config, self.split)
        else:  # of several processes the first one reads all pixels
            first = self._rank == 0
            found = on_disk(train, val, self.data_config, self.split, check=first)
        self.train_dataset, self.val_dataset = found
        if self.val_dataset is None and min(self.split.minimum, self.split.most):
            _log.warning(
                "The images are too small to split off patches of %s for validation; all "
                "of them are used for training.",
                list(self.data_config.patch_size),
            )

    def train_dataloader(self) -> DataLoader[tuple[torch.Tensor, ...]]:
        """Batches ``(B, C, (Z), Y, X)`` in random order, another one in every epoch."""
        config = self.data_config
        skip, self._skip = self._skip, 0  # only the first epoch is shorter
        batch = config.batch_size * self._accumulated
        if isinstance(self.train_dataset, IterableDataset):
            return self._stream(self.train_dataset, batch, skip)
        size = len(self.train_dataset)  # type: ignore[arg-type]
        per_epoch = size if self._steps is None else self._steps * batch
        order = PatchSampler(
            self.train_dataset,
            per_epoch,
            config.seed,
            self._first_epoch,
            shuffle=config.shuffle,
            skip=skip,
        )
        return self._loader("train", self.train_dataset, order, batch)

    def val_dataloader(self) -> DataLoader[tuple[torch.Tensor, ...]] | list[Any]:
        """Batches in order, not augmented; an empty list without validation."""
        if self.val_dataset is None:
            return []
        if isinstance(self.val_dataset, IterableDataset):
            return DataLoader(self.val_dataset, self.data_config.batch_size)
        order = SequentialSampler(self.val_dataset)  # type: ignore[arg-type]
        return self._loader("val", self.val_dataset, order, self.data_config.batch_size)

    def _stream(
        self, dataset: IterableDataset[Any], size: int, skip: int
    ) -> DataLoader[Any]:
        """Batches of `size` patches of a dataset that can only be iterated over."""
        name = type(dataset).__name__
        if self._ranks > 1:
            raise ConfigurationError(
                f"{name} can only be iterated over, which several processes cannot share; "
                "give it __len__ and __getitem__, or use one device."
            )
        if self._steps is not None:
            count = self._steps * size
        elif hasattr(dataset, "__len__"):
            count = len(dataset)
        else:
            raise ConfigurationError(
                f"{name} has no length; set num_steps, the optimizer steps per epoch."
            )
        generator = torch.Generator()
        return DataLoader(PatchStream(dataset, count, skip), size, generator=generator)

    def _loader(self, which: str, dataset: Any, order: Any, batch: int) -> DataLoader[Any]:
        config = self.data_config
        batches = SharedBatches(order, batch, self._rank, self._ranks)
        self._batches[which] = batches
        workers = 0 if dataset in self._on_device else config.num_workers
        return DataLoader(
            self._on_device.get(dataset, dataset),
            batch_sampler=batches,
            num_workers=workers_that_fit(workers, dataset, batch),
            worker_init_fn=leave_signals_to_parent,
            collate_fn=_collate,
            generator=torch.Generator(),  # otherwise it draws from the global one
        )

    # ---- called by the run ----

    def divide(self, rank: int, ranks: int, processes_here: int) -> None:
        """Load the part of every batch that belongs to process `rank` of `ranks`.

        `processes_here` of them run on this machine and share its memory. Raises
        ConfigurationError if there are more processes than patches in a batch.
        """
        size = self.data_config.batch_size
        if ranks > size:
            raise ConfigurationError(
                f"batch_size is {size} but {ranks} processes share each batch, so some "
                f"would have nothing to do; set batch_size to {ranks} or more, or use "
                f"{counted(size, 'process')} or fewer."
            )
        self._rank, self._ranks, self._processes_here = rank, ranks, processes_here

    def share(self, which: Literal["train", "val"], number: int) -> Share:
        """Part of this process in batch `number` of the current epoch."""
        return self._batches[which].share(number)

    @contextmanager
    def on_device(self, device: torch.device) -> Iterator[None]:
        """Keep loaded pixels on `device` in this context, if it is a GPU and they fit.

        Batches have the same bits.
        """
        for dataset in (self.train_dataset, self.val_dataset):
            if isinstance(dataset, InMemoryDataset):
                nbytes = device_bytes(dataset)
                if nbytes is not None and fits_on(device, nbytes):
                    self._on_device[dataset] = DevicePatches(dataset, device)
        try:
            yield
        finally:
            self._on_device.clear()

    def get_data_statistics(self) -> tuple[list[float], list[float]]:
        """Means and standard deviations of the training pixels, per channel."""
        config = self.data_config
        if ask := getattr(self.train_dataset, "get_data_statistics", None):
            means, stds = ask()
            return list(means), list(stds)
        if config.image_means is None or config.image_stds is None:
            raise ConfigurationError(
                f"{type(self.train_dataset).__name__} has no statistics of its "
                "normalization; give it get_data_statistics() or set image_means and "
                "image_stds in the data configuration."
            )
        return list(config.image_means), list(config.image_stds)

    def pace(self, training: TrainingConfig, first_epoch: int, first_step: int = 0) -> int:
        """Set the batches of an optimizer step, and the steps per epoch, which it returns.

        `first_epoch` is the number of the next epoch, which determines order and
        augmentation; `first_step` of its steps are done, and their patches are skipped.
        """
        self._first_epoch, self._skip = first_epoch, 0
        # A stream may have no length.
        self._steps = training.num_steps if isinstance(training.num_steps, int) else None
        self._accumulated = training.accumulate_grad_batches
        steps = training.steps_of(len(self.train_dataloader()))
        if training.num_steps is not None:
            self._steps = steps
        self._skip = first_step * self.data_config.batch_size * self._accumulated
        return steps

    def _open(self, source: Any, *others: Any) -> list[Any]:
        """Open images and their targets or masks, with the selected channels.

        Files in folders are matched by name; arrays and listed files are matched by order.
        What is given for another role is left out of a folder of images.
        """
        config, extension = self.data_config, self.extension_filter
        sources = [source]
        if is_path(source):
            apart = [p for one in self._sources if one is not source for p in _paths(one)]
            found = find_images(source, config.data_type, extension, exclude=apart)
            sources[0] = found.files
        for other in others:
            if is_path(other):
                files = list_files(other, config.data_type, extension)
                if not (_are_files(source) and _are_files(other)):
                    files = [partner for _, partner in pair_files(sources[0], files)]
                other = files
            sources.append(other)
        if is_path(source) and is_path(others[0]):
            pairs = list(zip(sources[0], sources[1], strict=False))
            if config.channels == config.target_channels:
                refuse_same_files(pairs)
            self.pairs += pairs
        roles = (
            (config.axes, config.channels),
            (config.target_axes or config.axes, config.target_channels),
            (config.axes, None),
        )
        return [
            None if given is None else self._images(given, *role)
            for given, role in zip(sources, roles, strict=False)
        ]

    def _images(
        self, source: Any, axes: str, channels: tuple[int, ...] | None
    ) -> list[Image]:
        config, more = self.data_config, (self.read_source_func, self.extension_filter)
        images = open_images(source, config.data_type, axes, *more, **config.selection)
        return [select_channels(image, channels) for image in images]


def _collate(batch: Any) -> Any:
    """Stack single patches, which come as a list; whole batches stay as they are."""
    return default_collate(batch) if isinstance(batch, list) else batch


def _are_files(source: Any) -> bool:
    """Whether `source` lists files and Zarr stores rather than a folder of them."""
    paths = _paths(source)
    return bool(paths) and all(os.path.isfile(p) or is_zarr(Path(p)) for p in paths)


def _paths(source: Any) -> Sequence[str | Path]:
    """The paths of a source; none if it is an array."""
    if not is_path(source):
        return []
    return source if isinstance(source, list | tuple) else [source]
