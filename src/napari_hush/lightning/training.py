"""One training run: a network, a data module, and Lightning's Trainer between them."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytorch_lightning as L
import torch
from lightning_fabric.utilities.warnings import PossibleUserWarning
from pytorch_lightning.callbacks import Checkpoint

from napari_hush.dataset import Normalization
from napari_hush.errors import ConfigurationError, DataError
from napari_hush.events import OnProgress, TrainingDone, TrainingStarted
from napari_hush.lightning.control import RunClock
from napari_hush.lightning.module import HushModule
from napari_hush.lightning.progress import ProgressCallback
from napari_hush.lightning.snapshots import Snapshot, SnapshotCallback
from napari_hush.models import (
    Model,
    UNet,
    choose_device,
    choose_precision,
    freed_memory_kept,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from napari_hush.config import Configuration
    from napari_hush.lightning.control import RunControl
    from napari_hush.lightning.train_data_module import TrainDataModule

# Lightning announces devices at INFO; events say the same.
logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)


def new_network(config: Configuration) -> UNet:
    """A network with random weights that depend on the configuration's seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.data_config.seed)
        return UNet(config.algorithm_config.model)


def train(
    config: Configuration,
    data: TrainDataModule,
    model: Model | None,
    *,
    on_progress: OnProgress,
    control: RunControl,
    on_snapshot: Callable[[Snapshot], None],
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
    data.prepare_data()
    data.setup("fit")
    _check_patches(config, data)
    means, stds = data.get_data_statistics()
    first_epoch = 0 if model is None else model.epochs
    first_step = 0 if model is None else model.steps
    steps = data.pace(config.training_config.num_steps, first_epoch)
    network = new_network(config)
    if model is not None:
        network.load_state_dict(model.network.state_dict())
    epochs = config.training_config.num_epochs
    device = choose_device(config.training_config.device)
    precision = choose_precision(config.training_config.precision, device)
    module = HushModule(
        config,
        network,
        epochs * steps,
        first_step,
        first_epoch=first_epoch,
        normalization=Normalization(tuple(means), tuple(stds)),
        target_normalization=getattr(data.train_dataset, "target_normalization", None),
        on_progress=on_progress,
        clock=clock,
    )
    progress = ProgressCallback(
        on_progress, control, clock, first_epoch, first_step, config.training_config
    )
    snapshots = SnapshotCallback(
        config.training_config.snapshots, on_snapshot, first_step, epochs * steps
    )
    if control.should_stop:
        on_progress(TrainingDone(True, clock() - started))
        return model
    on_progress(
        TrainingStarted(
            num_epochs=epochs,
            steps_per_epoch=steps,
            num_patches=len(data.train_dataset),  # type: ignore[arg-type]
            num_val_patches=0 if data.val_dataset is None else len(data.val_dataset),  # type: ignore[arg-type]
            device=str(device),
            precision=precision,
            first_epoch=first_epoch,
        )
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
            max_epochs=epochs,
            callbacks=[*callbacks, snapshots, progress],
            default_root_dir=work_dir,
            logger=False,
            enable_checkpointing=any(isinstance(c, Checkpoint) for c in callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=0 if data.val_dataset is None else 1.0,
        )
        with freed_memory_kept():
            trainer.fit(module, datamodule=data)
    stopped = progress.epochs_done - first_epoch < epochs or trainer.should_stop
    on_progress(TrainingDone(stopped, clock() - started))
    if progress.steps_done == first_step:
        return model
    result = module.model()
    result.network.to("cpu")
    return result


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
    step = 2**network.depth
    if any(size % step for size in shape[1:]):
        raise DataError(
            f"The training patches are {shape[1:]} pixels, but a network of depth "
            f"{network.depth} needs multiples of {step}."
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
