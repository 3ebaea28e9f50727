"""One training run: a network, a data module, and Lightning's Trainer between them."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as L
import torch
from lightning_fabric.utilities.warnings import PossibleUserWarning
from pytorch_lightning.callbacks import Checkpoint

from napari_hush.dataset import Normalization
from napari_hush.errors import ConfigurationError, DataError, TrainingError
from napari_hush.events import Event, OnProgress, TrainingDone, TrainingStarted
from napari_hush.lightning.control import RunClock
from napari_hush.lightning.keeper import StateKeeper
from napari_hush.lightning.module import HushModule
from napari_hush.lightning.progress import ProgressCallback
from napari_hush.lightning.snapshots import Snapshot, SnapshotCallback
from napari_hush.lightning.state import Fingerprint, Position, RunState, going_on
from napari_hush.models import (
    Model,
    UNet,
    choose_device,
    choose_precision,
    freed_memory_kept,
)
from napari_hush.models.tensors import new_network as random_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from napari_hush.config import Configuration
    from napari_hush.lightning.control import RunControl
    from napari_hush.lightning.losses import Losses
    from napari_hush.lightning.train_data_module import TrainDataModule

# Lightning announces devices at INFO; events say the same.
logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)


def new_network(config: Configuration) -> UNet:
    """A network with random weights that depend on the configuration's seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.data_config.seed)
        return random_network(config.algorithm_config.model)


def train(
    config: Configuration,
    data: TrainDataModule,
    model: Model | None,
    *,
    on_progress: OnProgress,
    control: RunControl,
    on_snapshot: Callable[[Snapshot], None],
    losses: Losses,
    state_dir: Path | None = None,
    resumed: RunState | None = None,
    callbacks: Sequence[L.Callback] = (),
    work_dir: Path | None = None,
) -> Model | None:
    """Train a new model, or go on with one.

    Parameters
    ----------
    config : Configuration
        What to do.
    data : TrainDataModule
        What to train on.
    model : Model, optional
        A model to go on with; it is not changed.
    on_progress : callable
        Gets the events of `napari_hush.events`, in this thread.
    control : RunControl
        Through which other threads stop and pause the run.
    on_snapshot : callable
        Gets the models of moments of the run, evenly spread over it.
    losses : Losses
        Losses of earlier runs of the model; those of this one are added.
    state_dir : Path, optional
        Where to keep what it takes to go on with the run after a crash.
    resumed : RunState, optional
        Go on from there; then `model` has no effect.
    callbacks : sequence of Callback
        Further callbacks for Lightning.
    work_dir : Path, optional
        Lightning's root for whatever `callbacks` write.

    Returns
    -------
    Model or None
        The model as it is at the end; None if it was stopped before the first step.

    Raises
    ------
    HushError
        If data, configuration and model do not go together, or the loss diverges.
    """
    clock = RunClock()
    started = clock()
    before = _begin(model) if resumed is None else resumed.position
    first_epoch, first_step = before.first_epoch, before.first_step
    data.prepare_data()
    data.setup("fit")
    _check_patches(config, data)
    steps = data.pace(
        config.training_config.num_steps,
        first_epoch + before.epochs,
        before.steps_in_epoch,
    )
    fingerprint = _fingerprint(data, steps)
    if resumed is not None and resumed.data != fingerprint:
        raise DataError(
            "The data are not those of the run that was cut off: then "
            f"{resumed.data.num_patches} patches of mean {resumed.data.means}, now "
            f"{fingerprint.num_patches} of mean {fingerprint.means}; give the same data, "
            "or begin a new run."
        )
    scaling = Normalization(fingerprint.means, fingerprint.stds)
    target_scaling = getattr(data.train_dataset, "target_normalization", None)
    if model is not None and resumed is None:
        _check_scaling("image", model.normalization, scaling)
        _check_scaling("target", model.target_normalization, target_scaling)
        target_scaling = target_scaling or model.target_normalization
    network = new_network(config)
    if resumed is not None:
        with going_on("the run that was cut off"):
            network.load_state_dict(resumed.under("network"))
    elif model is not None:
        network.load_state_dict(model.network.state_dict())
    epochs = config.training_config.num_epochs
    device = choose_device(config.training_config.device)
    if resumed is None:
        precision = choose_precision(config.training_config.precision, device)
    else:  # as it began, whatever this machine would choose
        precision = resumed.numbers["precision"]

    def report(event: Event) -> None:
        losses.record(event)
        on_progress(event)

    module = HushModule(
        config,
        network,
        epochs * steps,
        first_step,
        first_epoch=first_epoch,
        normalization=scaling,
        target_normalization=target_scaling,
        on_progress=report,
        clock=clock,
    )
    module.precision, module.resumed = precision, resumed
    keeper = None
    if state_dir is not None:
        every = config.training_config.save_state_every
        keeper = StateKeeper(state_dir, every, fingerprint, losses, before)
    progress = ProgressCallback(
        report,
        control,
        clock,
        first_epoch,
        first_step,
        config.training_config,
        keeper,
        resumed,
    )
    snapshots = SnapshotCallback(
        config.training_config.snapshots, on_snapshot, first_step, epochs * steps
    )
    if control.should_stop:
        on_progress(TrainingDone(True, clock() - started))
        return model
    if resumed is None:
        losses.cut(first_epoch, first_step)
    else:
        losses.take_over(resumed.losses)
    report(
        TrainingStarted(
            num_epochs=epochs,
            steps_per_epoch=steps,
            num_patches=fingerprint.num_patches,
            num_val_patches=fingerprint.num_val_patches,
            device=str(device),
            precision=precision,
            first_epoch=first_epoch,
            resumed_step=None if resumed is None else first_step + before.steps,
        )
    )
    if resumed is not None and before.epochs == epochs:  # it was over already
        with going_on("the run that was cut off"):
            network.load_state_dict(resumed.under("average") or resumed.under("network"))
        report(TrainingDone(False, clock() - started))
        return replace(
            module.model(), epochs=first_epoch + epochs, steps=first_step + before.steps
        )
    with warnings.catch_warnings(), _interrupts_stop(control):
        # Loading in the training process is deliberate; see docs/choices.md.
        warnings.simplefilter("ignore", PossibleUserWarning)
        # Lightning's own use of torch, nothing a user could act on.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated")
        trainer = L.Trainer(
            accelerator="gpu" if device.type == "cuda" else device.type,
            devices=[device.index or 0] if device.type == "cuda" else 1,
            precision="bf16-mixed" if precision == "bf16" else "32-true",
            max_epochs=epochs - before.epochs,
            # an epoch that was begun already has fewer batches than the next ones
            reload_dataloaders_every_n_epochs=1 if before.steps_in_epoch else 0,
            callbacks=[*callbacks, snapshots, progress],
            default_root_dir=work_dir,
            logger=False,
            enable_checkpointing=any(isinstance(c, Checkpoint) for c in callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=0 if data.val_dataset is None else 1.0,
        )
        try:
            with freed_memory_kept():
                trainer.fit(module, datamodule=data)
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                "The device has not enough memory for this network; use fewer filters, or "
                "another device."
            ) from error
    stopped = progress.epochs_done - first_epoch < epochs or trainer.should_stop
    report(TrainingDone(stopped, clock() - started))
    if progress.steps_done == first_step:
        return model
    result = module.model()
    result.network.to("cpu")
    return result


def _begin(model: Model | None) -> Position:
    return Position() if model is None else Position(model.epochs, model.steps)


def _fingerprint(data: TrainDataModule, steps: int) -> Fingerprint:
    means, stds = data.get_data_statistics()
    targets = getattr(data.train_dataset, "target_normalization", None)
    return Fingerprint(
        steps_per_epoch=steps,
        num_patches=len(data.train_dataset),  # type: ignore[arg-type]
        num_val_patches=0 if data.val_dataset is None else len(data.val_dataset),  # type: ignore[arg-type]
        means=tuple(means),
        stds=tuple(stds),
        target_means=None if targets is None else tuple(targets.means),
        target_stds=None if targets is None else tuple(targets.stds),
    )


def _check_scaling(
    what: str, known: Normalization | None, now: Normalization | None
) -> None:
    """Refuse to train weights on with other intensities than they were trained with."""
    if known is None or now is None:
        return
    ours, theirs = [*known.means, *known.stds], [*now.means, *now.stds]
    if len(ours) != len(theirs) or not np.allclose(ours, theirs, rtol=1e-5, atol=0):
        raise ConfigurationError(
            f"The data module scales the {what}s by the means {list(now.means)} and "
            f"standard deviations {list(now.stds)}, but the model was trained with "
            f"{list(known.means)} and {list(known.stds)}; give these as {what}_means and "
            f"{what}_stds in its data configuration, or train a new model."
        )


def _check_patches(config: Configuration, data: TrainDataModule) -> None:
    """Compare the first patch with what the network takes, before anything starts."""
    if not hasattr(data.train_dataset, "__len__") or isinstance(
        data.train_dataset, torch.utils.data.IterableDataset
    ):
        raise ConfigurationError(
            f"{type(data.train_dataset).__name__} can only be iterated over; give it "
            "__len__ and __getitem__, so that patches can be visited in random order."
        )
    parts = data.train_dataset[0]
    shape = tuple(parts[0].shape)
    network = config.algorithm_config.model
    if len(shape) - 1 != network.conv_dims or shape[0] != network.in_channels:
        raise DataError(
            f"The training patches have {shape[0]} channels in {len(shape) - 1}D but the "
            f"network is configured for {network.in_channels} in {network.conv_dims}D; "
            "set n_channels and the axes to what the images are."
        )
    steps = network.multiple
    if any(size % step for size, step in zip(shape[1:], steps, strict=True)):
        raise DataError(
            f"The training patches are {shape[1:]} pixels, but a network of depth "
            f"{network.depth} needs multiples of {steps}."
        )
    paired = config.algorithm_config.needs_targets
    if paired != (len(parts) > 1):
        raise ConfigurationError(
            f"{config.algorithm_config.algorithm} learns from "
            + (
                "pairs, but there are no targets; give train_target."
                if paired
                else "the noisy images alone; leave targets out."
            )
        )
    if paired and parts[1].shape[0] != network.num_classes:
        raise DataError(
            f"The targets have {parts[1].shape[0]} channels but the network is configured "
            f"to return {network.num_classes}; set n_channels_out to what the targets have."
        )


@contextmanager
def _interrupts_stop(control: RunControl) -> Iterator[None]:
    """Let the first Ctrl-C stop the run, so that it ends with the model it has.

    Left to itself, Lightning exits the process. Only the main thread gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    stopping: list[threading.Thread] = []

    def once(number: int, frame: Any) -> None:
        # In a thread of its own: the main thread, which runs this, may be holding the
        # very lock that stopping needs.
        stopping.append(threading.Thread(target=control.stop))
        stopping[0].start()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        for thread in stopping:
            thread.join()
