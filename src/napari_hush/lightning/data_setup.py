"""Set up the training data; check that configuration, model and checkpoint suit them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import IterableDataset

from napari_hush.dataset.batches import PatchStream
from napari_hush.errors import ConfigurationError, DataError, counted
from napari_hush.lightning.checkpoint import Fingerprint

if TYPE_CHECKING:
    from napari_hush.config import Configuration
    from napari_hush.lightning.checkpoint import Position, TrainingCheckpoint
    from napari_hush.lightning.devices import Launch
    from napari_hush.lightning.process_group import ProcessGroup
    from napari_hush.lightning.train_data_module import TrainDataModule
    from napari_hush.models.normalization import Normalization


def open_data(
    config: Configuration,
    data: TrainDataModule,
    start: Position,
    resumed: TrainingCheckpoint | None,
    launch: Launch,
) -> Fingerprint:
    """Open and measure the data, and check that everything fits together."""
    ranks = launch.ranks
    needs_targets = config.algorithm_config.needs_targets
    if not needs_targets and getattr(data, "train_data_target", None) is not None:
        raise _pairing_error(config)
    data.divide(ranks.rank, ranks.count, launch.devices)
    training = config.training_config
    if ranks.count > 1 and training.accumulate_grad_batches > 1:
        raise ConfigurationError(
            f"accumulate_grad_batches is {training.accumulate_grad_batches} but "
            f"{ranks.count} processes share each batch; set batch_size instead, of which "
            "each process computes its part."
        )
    data.patch_step = config.algorithm_config.model.multiple[-1]
    data.time_context = config.algorithm_config.model.time_context
    _set_up(data, ranks)
    check_patches(config, data)
    steps = data.pace(training, start.model_epochs, start.steps_in_epoch)
    found = fingerprint(data, steps)
    ranks.agree("data", found)
    if resumed is not None:
        check_same_data(resumed.data, found)
    return found


def _set_up(data: TrainDataModule, ranks: ProcessGroup) -> None:
    """Set up `data`; of several processes only the first one measures statistics."""

    def measure() -> dict[str, Any]:
        data.prepare_data()
        data.setup("fit")
        return fingerprint(data, 0).statistics

    statistics = ranks.from_first(measure)
    if not ranks.is_first:
        known = {name: value for name, value in statistics.items() if value is not None}
        data.data_config = data.data_config.replace(**known)
        data.prepare_data()
        data.setup("fit")


def fingerprint(data: TrainDataModule, steps: int) -> Fingerprint:
    """Properties of `data`, after its set-up, that a resumed run must find again."""
    means, stds = data.get_data_statistics()
    targets = getattr(data.train_dataset, "target_normalization", None)
    return Fingerprint(
        steps_per_epoch=steps,
        num_patches=_length(data.train_dataset),
        num_val_patches=_length(data.val_dataset),
        means=tuple(means),
        stds=tuple(stds),
        target_means=None if targets is None else tuple(targets.means),
        target_stds=None if targets is None else tuple(targets.stds),
    )


def _length(dataset: Any) -> int:
    """Number of patches; 0 without a dataset, or if it is unknown."""
    return len(dataset) if hasattr(dataset, "__len__") else 0


def check_same_data(expected: Fingerprint, found: Fingerprint) -> None:
    """Refuse to resume a run with other data."""
    if expected != found:
        raise DataError(
            "The data are not those of the interrupted run: it had "
            f"{counted(expected.num_patches, 'patch')} of mean {expected.means}, now there "
            f"are {found.num_patches} of mean {found.means}; give the same data, or start "
            "a new run."
        )


def check_scaling(
    what: str, known: Normalization | None, now: Normalization | None
) -> None:
    """Refuse to continue training with intensities on another scale."""
    if known is None or now is None:
        return
    same = len(known.means) == len(now.means)
    for ours, theirs in ((known.means, now.means), (known.scales, now.scales)):
        allowed = 1e-5 * np.array(known.scales)
        same = same and bool((np.abs(np.subtract(ours, theirs)) <= allowed).all())
    if not same:
        raise ConfigurationError(
            f"The data module scales the {what}s by the means {list(now.means)} and "
            f"standard deviations {list(now.scales)}, but the model was trained with "
            f"{list(known.means)} and {list(known.scales)}; give these as {what}_means and "
            f"{what}_stds in its data configuration, or train a new model."
        )


def check_patches(config: Configuration, data: TrainDataModule) -> None:
    """Compare the first patch with the input of the network."""
    parts = _first(data.train_dataset)
    shape = tuple(parts[0].shape)
    network = config.algorithm_config.model
    context = getattr(data, "time_context", network.time_context)
    if context != network.time_context:
        raise ConfigurationError(
            f"The data module has the time_context {context} but the network "
            f"{network.time_context}; give both the same."
        )
    inputs = network.in_channels * network.frames
    if len(shape) - 1 != network.conv_dims or shape[0] != inputs:
        raise DataError(
            f"The training patches have {counted(shape[0], 'channel')} in "
            f"{len(shape) - 1}D but the network is configured for "
            f"{inputs} in {network.conv_dims}D; set n_channels and axes to "
            "those of the images."
        )
    steps = network.multiple
    if any(size % step for size, step in zip(shape[1:], steps, strict=True)):
        raise DataError(
            f"The training patches are {shape[1:]} pixels, but a network of depth "
            f"{network.depth} needs multiples of {steps}."
        )
    paired = config.algorithm_config.needs_targets
    masked = getattr(data.train_dataset, "valid", None) is not None
    if paired != (len(parts) - masked > 1):
        raise _pairing_error(config)
    if paired and parts[1].shape[0] != network.num_classes:
        raise DataError(
            f"The targets have {counted(parts[1].shape[0], 'channel')} but the network is "
            f"configured to return {network.num_classes}; set n_channels_out to that of "
            "the targets."
        )


def _first(dataset: Any) -> Any:
    """The first patch of `dataset`."""
    if isinstance(dataset, IterableDataset):
        return next(iter(PatchStream(dataset, 1)))
    if not hasattr(dataset, "__len__"):
        raise ConfigurationError(
            f"{type(dataset).__name__} has no length; give it __len__ and __getitem__, or "
            "derive it from torch.utils.data.IterableDataset."
        )
    return dataset[0]


def _pairing_error(config: Configuration) -> ConfigurationError:
    algorithm = config.algorithm_config
    return ConfigurationError(
        f"{algorithm.algorithm} learns from "
        + (
            "pairs, but there are no targets; give train_target (hush train: --target)."
            if algorithm.needs_targets
            else "the noisy images alone; leave targets out."
        )
    )
