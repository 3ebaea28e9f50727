"""One training run: a network, a data module, and Lightning's Trainer between them."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from lightning_fabric.utilities.warnings import PossibleUserWarning
from pytorch_lightning.callbacks import Checkpoint

from napari_hush.errors import DataError, TrainingError
from napari_hush.events import (
    Event,
    OnProgress,
    TrainingDone,
    TrainingStarted,
    WarningIssued,
)
from napari_hush.io import changes_of
from napari_hush.lightning.checkpoint import Position, TrainingCheckpoint, going_on
from napari_hush.lightning.checkpointer import Checkpointer
from napari_hush.lightning.checks import check_patches, check_scaling, fingerprint
from napari_hush.lightning.control import RunClock, interrupts_stop
from napari_hush.lightning.devices import Launch
from napari_hush.lightning.losses import Log, new_logger
from napari_hush.lightning.model_callbacks import Snapshot, SnapshotCallback
from napari_hush.lightning.module import HushModule
from napari_hush.lightning.process_group import is_lost_connection
from napari_hush.lightning.progress import ProgressCallback
from napari_hush.models import Model, UNet, keep_freed_memory, provenance_of
from napari_hush.models.file import new_network as random_network
from napari_hush.models.normalization import Normalization
from napari_hush.quality import data_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pytorch_lightning as L
    from pytorch_lightning.loggers import Logger

    from napari_hush.config import Configuration
    from napari_hush.lightning.control import RunControl
    from napari_hush.lightning.losses import Losses
    from napari_hush.lightning.process_group import ProcessGroup
    from napari_hush.lightning.train_data_module import TrainDataModule

# Lightning announces devices at INFO; events say the same.
for _name in ("pytorch_lightning.utilities.rank_zero", "lightning_fabric"):
    logging.getLogger(_name).setLevel(logging.WARNING)


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
    state_needed: bool = True,
    resumed: TrainingCheckpoint | None = None,
    callbacks: Sequence[L.Callback] = (),
    work_dir: Path | None = None,
    log_dir: Path | None = None,
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
    state_needed : bool
        Whether the run ends with an error where that cannot be written; else it is told.
    resumed : RunState, optional
        Go on from there; then `model` has no effect.
    callbacks : sequence of Callback
        Further callbacks for Lightning.
    work_dir : Path, optional
        Lightning's root for whatever `callbacks` write.
    log_dir : Path, optional
        Where to log losses, as the configuration says; by default they are not logged.

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
    epochs = config.training_config.num_epochs
    # a run that goes on computes as it began, whatever this machine would choose
    launch = Launch(
        config.training_config, None if resumed is None else resumed.numbers["precision"]
    )
    if (count := launch.ranks.count) > 1:
        data.divide(0, count, launch.devices)  # refused, if so, before anything is started
    logger = new_logger(config, log_dir if launch.ranks.is_first else None)
    trainer = _trainer(launch, config, before, callbacks, work_dir, logger)
    ranks = launch.ranks
    _set_up(data, ranks, launch.devices)
    check_patches(config, data)
    steps = data.pace(
        config.training_config.num_steps,
        first_epoch + before.epochs,
        before.steps_in_epoch,
    )
    seen = fingerprint(data, steps)
    ranks.agree("data", seen)
    if resumed is not None and resumed.data != seen:
        raise DataError(
            "The data are not those of the run that was cut off: then "
            f"{resumed.data.num_patches} patches of mean {resumed.data.means}, now "
            f"{seen.num_patches} of mean {seen.means}; give the same data, "
            "or begin a new run."
        )
    scaling = Normalization(seen.means, seen.stds)
    target_scaling = getattr(data.train_dataset, "target_normalization", None)
    if model is not None and resumed is None:
        check_scaling("image", model.normalization, scaling)
        check_scaling("target", model.target_normalization, target_scaling)
        target_scaling = target_scaling or model.target_normalization
    network = new_network(config)
    if resumed is not None:
        with going_on("the run that was cut off"):
            network.load_state_dict(resumed.under("network"))
    elif model is not None:
        network.load_state_dict(model.network.state_dict())

    def tell(event: Event) -> None:
        if ranks.is_first:
            on_progress(event)

    log = Log(logger, config)

    def report(event: Event) -> None:
        losses.record(event)
        log(event)
        tell(event)

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
    module.precision, module.resumed = launch.precision, resumed
    module.ranks, module.room.alone = ranks, ranks.is_alone
    module.wants_stop = lambda: control.should_stop
    # other datasets than ours need not have any images
    images = getattr(data, "images", []) if ranks.is_first else []
    if resumed is not None:  # it has learned from the same images before
        module.provenance = resumed.provenance
    else:
        module.provenance = provenance_of(
            images,
            None if model is None else model.provenance,
            size=getattr(data, "pixel_size", None),
        )
    changed = changes_of(images)
    keeper = None
    if state_dir is not None and ranks.is_first:
        every = config.training_config.save_state_every
        unwritten = None if state_needed else report
        keeper = Checkpointer(state_dir, every, seen, losses, before, unwritten)
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
        config.training_config.snapshots if ranks.is_first else 0,
        on_snapshot,
        first_step,
        epochs * steps,
    )
    if ranks.from_first(lambda: control.should_stop):
        tell(TrainingDone(True, clock() - started))
        return model
    if resumed is None:
        losses.cut(first_epoch, first_step)
    else:
        losses.take_over(resumed.losses)
    report(
        TrainingStarted(
            num_epochs=epochs,
            steps_per_epoch=steps,
            num_patches=seen.num_patches,
            num_val_patches=seen.num_val_patches,
            device=launch.where,
            precision=launch.precision,
            batch_size=data.data_config.batch_size,
            processes=ranks.count,
            first_epoch=first_epoch,
            first_step=first_step,
            resumed_step=None if resumed is None else first_step + before.steps,
        )
    )
    if resumed is None:
        method = config.algorithm_config
        hidden = method.n2v_config.hides_neighbours
        for caution in data_warnings(
            images, blind=not method.needs_targets, hides_neighbours=hidden
        ):
            report(caution)
    if resumed is not None and before.epochs == epochs:  # it was over already
        with going_on("the run that was cut off"):
            network.load_state_dict(resumed.under("average") or resumed.under("network"))
        report(TrainingDone(False, clock() - started))
        return replace(
            module.model(), epochs=first_epoch + epochs, steps=first_step + before.steps
        )
    trainer.callbacks += [snapshots, progress]  # type: ignore[attr-defined]
    trainer.limit_val_batches = 0 if data.val_dataset is None else 1.0
    with _warnings_left_out(), interrupts_stop(control):
        try:
            with keep_freed_memory(), data.on_device(trainer.strategy.root_device):
                trainer.fit(module, datamodule=data)
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                "The device has not enough memory for this network; use fewer filters, or "
                "another device."
            ) from error
        except RuntimeError as error:
            if ranks.is_alone or not is_lost_connection(error):
                raise
            with ranks.answering():
                raise
    if name := changed():
        words = f"{name} was changed while it was learned from; train again to be sure."
        report(WarningIssued("source", words))
    stopped = progress.epochs_done - first_epoch < epochs or trainer.should_stop
    report(TrainingDone(stopped, clock() - started))
    if progress.steps_done == first_step:
        return model
    result = module.model()
    result.network.to("cpu")
    return result


def _trainer(
    launch: Launch,
    config: Configuration,
    before: Position,
    callbacks: Sequence[L.Callback],
    work_dir: Path | None,
    logger: Logger | None,
) -> L.Trainer:
    with _warnings_left_out():
        return launch.trainer(
            max_epochs=config.training_config.num_epochs - before.epochs,
            # an epoch that was begun already has fewer batches than the next ones
            reload_dataloaders_every_n_epochs=1 if before.steps_in_epoch else 0,
            callbacks=[*callbacks],
            default_root_dir=work_dir,
            logger=logger or False,
            enable_checkpointing=any(isinstance(c, Checkpoint) for c in callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )


def _set_up(data: TrainDataModule, ranks: ProcessGroup, beside: int) -> None:
    """Open and measure the data; of several processes only the first one measures."""
    data.divide(ranks.rank, ranks.count, beside)

    def measured() -> dict[str, Any]:
        data.prepare_data()
        data.setup("fit")
        return fingerprint(data, 0).statistics

    statistics = ranks.from_first(measured)
    if not ranks.is_first:
        known = {name: value for name, value in statistics.items() if value is not None}
        data.data_config = data.data_config.replace(**known)
        data.prepare_data()
        data.setup("fit")


@contextmanager
def _warnings_left_out() -> Iterator[None]:
    with warnings.catch_warnings():
        # Loading in the training process is deliberate; see docs/choices.md.
        warnings.simplefilter("ignore", PossibleUserWarning)
        # Lightning's own use of torch, nothing a user could act on.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated")
        yield


def _begin(model: Model | None) -> Position:
    return Position() if model is None else Position(model.epochs, model.steps)
