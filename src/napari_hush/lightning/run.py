"""One training run: open the data, resume or begin, fit with Lightning, and report."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from lightning_fabric.utilities.warnings import PossibleUserWarning
from pytorch_lightning.callbacks import Checkpoint

from napari_hush.errors import TrainingError
from napari_hush.events import (
    OnProgress,
    TrainingDone,
    TrainingStarted,
    WarningIssued,
)
from napari_hush.io import changes_of
from napari_hush.lightning.checkpoint import (
    Fingerprint,
    Position,
    TrainingCheckpoint,
    explain_damage,
)
from napari_hush.lightning.checkpointer import Checkpointer
from napari_hush.lightning.checks import (
    check_patches,
    check_same_data,
    check_scaling,
    fingerprint,
)
from napari_hush.lightning.control import RunClock, interrupts_stop
from napari_hush.lightning.devices import Launch
from napari_hush.lightning.losses import LossLog, new_logger
from napari_hush.lightning.model_callbacks import Snapshot, SnapshotCallback
from napari_hush.lightning.module import HushModule, ignore_event
from napari_hush.lightning.process_group import is_lost_connection
from napari_hush.lightning.progress import ProgressCallback
from napari_hush.models import Model, UNet, keep_freed_memory, provenance_of
from napari_hush.models.file import new_network as random_network
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


@dataclass(frozen=True)
class RunFolders:
    """Folders that a run writes to; nothing is written where there is none.

    Attributes
    ----------
    checkpoints : Path, optional
        Folder of the checkpoint from which an interrupted run can be resumed.
    checkpoints_required : bool
        Whether the run ends with an error if a checkpoint cannot be written; otherwise it
        issues a warning and continues.
    logs : Path, optional
        Folder of the log of the losses, in the format that the configuration names.
    work : Path, optional
        Lightning's root folder, for files of further callbacks.
    """

    checkpoints: Path | None = None
    checkpoints_required: bool = True
    logs: Path | None = None
    work: Path | None = None


def train(
    config: Configuration,
    data: TrainDataModule,
    model: Model | None = None,
    *,
    resumed: TrainingCheckpoint | None = None,
    on_progress: OnProgress,
    on_snapshot: Callable[[Snapshot], None],
    control: RunControl,
    losses: Losses,
    folders: RunFolders = RunFolders(),
    callbacks: Sequence[L.Callback] = (),
) -> Model | None:
    """Train a new model, continue training of one, or resume an interrupted run.

    Parameters
    ----------
    config : Configuration
        Method, data and length of the run.
    data : TrainDataModule
        Training and validation data.
    model : Model, optional
        Model to continue training of; it is not changed.
    resumed : TrainingCheckpoint, optional
        Checkpoint to resume from; `model` then has no effect on the weights.
    on_progress : callable
        Gets the events of `napari_hush.events`, in this thread.
    on_snapshot : callable
        Gets models from during the run, evenly spread over it.
    control : RunControl
        Stops and pauses the run from other threads.
    losses : Losses
        Losses of earlier runs of the model; those of this run are appended.
    folders : RunFolders
        Folders for the checkpoint and the log of the losses; by default there are none.
    callbacks : sequence of Callback
        Further callbacks for Lightning.

    Returns
    -------
    Model or None
        The trained model; `model` if the run was stopped before its first step.

    Raises
    ------
    HushError
        If data, configuration and model do not fit together, or the loss diverges.
    """
    run = _open(config, data, model, resumed, on_progress, folders, callbacks)
    module = _resume(run, model, control)
    checkpointer = _checkpointer(run, losses, folders)
    progress = _progress(run, control, losses, checkpointer)
    if run.ranks.from_first(lambda: control.should_stop):
        run.report(TrainingDone(True, run.clock.elapsed))
        return model
    _announce(run, losses)
    if run.is_complete:
        return _finished_model(run, module)
    _fit(run, module, control, [_snapshots(run, on_snapshot), progress])
    return _report(run, module, progress) or model


@dataclass(frozen=True)
class _Run:
    """A run whose processes are started and whose data are open.

    Attributes
    ----------
    resumed : TrainingCheckpoint or None
        Checkpoint that it resumes from.
    start : Position
        Position at which it starts.
    found : Fingerprint
        Properties of the training data.
    logger : Logger or None
        Logger of the losses.
    report : callable
        Gets events; has no effect but in the first process.
    changed_file : callable
        Name of a file that was changed since the data were opened, or None.
    """

    config: Configuration
    data: TrainDataModule
    launch: Launch
    trainer: L.Trainer
    clock: RunClock
    resumed: TrainingCheckpoint | None
    start: Position
    found: Fingerprint
    logger: Logger | None
    report: OnProgress
    changed_file: Callable[[], str | None]

    @property
    def ranks(self) -> ProcessGroup:
        """The processes that train together."""
        return self.launch.ranks

    @property
    def num_epochs(self) -> int:
        """Epochs of the run, those before it was interrupted included."""
        return self.config.training_config.num_epochs

    @property
    def num_steps(self) -> int:
        """Optimizer steps of the run, those before it was interrupted included."""
        return self.num_epochs * self.found.steps_per_epoch

    @property
    def is_complete(self) -> bool:
        """Whether all epochs were done before."""
        return self.start.epochs == self.num_epochs

    @property
    def images(self) -> list[Any]:
        """Images to train on; none in other processes, or where a dataset has none."""
        return getattr(self.data, "images", []) if self.ranks.is_first else []


# ---- open ----


def _open(
    config: Configuration,
    data: TrainDataModule,
    model: Model | None,
    resumed: TrainingCheckpoint | None,
    on_progress: OnProgress,
    folders: RunFolders,
    callbacks: Sequence[L.Callback],
) -> _Run:
    """Start the processes, open the data, and check that everything fits together."""
    clock = RunClock()
    start = Position() if model is None else Position(model.epochs, model.steps)
    precision = None
    if resumed is not None:  # with the same arithmetic, even on another machine
        start, precision = resumed.position, resumed.numbers["precision"]
    launch = Launch(config.training_config, precision)
    if (count := launch.ranks.count) > 1:  # refuses before any process is started
        data.divide(0, count, launch.devices)
    logger = new_logger(config, folders.logs if launch.ranks.is_first else None)
    trainer = _trainer(launch, config, start, callbacks, folders.work, logger)
    ranks = launch.ranks
    _set_up(data, ranks, launch.devices)
    check_patches(config, data)
    steps = data.pace(
        config.training_config.num_steps, start.model_epochs, start.steps_in_epoch
    )
    found = fingerprint(data, steps)
    ranks.agree("data", found)
    if resumed is not None:
        check_same_data(resumed.data, found)
    return _Run(
        config=config,
        data=data,
        launch=launch,
        trainer=trainer,
        clock=clock,
        resumed=resumed,
        start=start,
        found=found,
        logger=logger,
        report=on_progress if ranks.is_first else ignore_event,
        changed_file=changes_of(getattr(data, "images", []) if ranks.is_first else []),
    )


def _trainer(
    launch: Launch,
    config: Configuration,
    start: Position,
    callbacks: Sequence[L.Callback],
    work_dir: Path | None,
    logger: Logger | None,
) -> L.Trainer:
    with _ignored_warnings():
        return launch.trainer(
            max_epochs=config.training_config.num_epochs - start.epochs,
            # A resumed epoch has fewer batches than the ones after it.
            reload_dataloaders_every_n_epochs=1 if start.steps_in_epoch else 0,
            callbacks=[*callbacks],
            default_root_dir=work_dir,
            logger=logger or False,
            enable_checkpointing=any(isinstance(c, Checkpoint) for c in callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )


def _set_up(data: TrainDataModule, ranks: ProcessGroup, processes_here: int) -> None:
    """Open and measure the data; of several processes only the first one measures."""
    data.divide(ranks.rank, ranks.count, processes_here)

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


# ---- resume ----


def new_network(config: Configuration) -> UNet:
    """A network with random weights that depend on the configuration's seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.data_config.seed)
        return random_network(config.algorithm_config.model)


def _resume(run: _Run, model: Model | None, control: RunControl) -> HushModule:
    """The module, with the weights of the checkpoint, of `model`, or new ones."""
    scaling, target_scaling = run.found.normalization, run.found.target_normalization
    if run.resumed is None and model is not None:
        check_scaling("image", model.normalization, scaling)
        check_scaling("target", model.target_normalization, target_scaling)
        target_scaling = target_scaling or model.target_normalization
    network = new_network(run.config)
    if run.resumed is not None:
        with explain_damage("the interrupted run"):
            network.load_state_dict(run.resumed.under("network"))
    elif model is not None:
        network.load_state_dict(model.network.state_dict())
    module = HushModule(
        run.config,
        network,
        run.num_steps,
        run.start.first_step,
        first_epoch=run.start.first_epoch,
        normalization=scaling,
        target_normalization=target_scaling,
        on_progress=run.report,
        clock=run.clock,
    )
    module.precision, module.resumed = run.launch.precision, run.resumed
    module.ranks, module.micro_batches.alone = run.ranks, run.ranks.is_alone
    module.wants_stop = lambda: control.should_stop
    if run.resumed is not None:  # which was trained on the same images
        module.provenance = run.resumed.provenance
    else:
        module.provenance = provenance_of(
            run.images,
            None if model is None else model.provenance,
            size=getattr(run.data, "pixel_size", None),
        )
    return module


def _finished_model(run: _Run, module: HushModule) -> Model:
    """The model of a run that was complete before it was resumed."""
    assert run.resumed is not None  # noqa: S101 - narrows a type
    with explain_damage("the interrupted run"):
        module.network.load_state_dict(run.resumed.best_weights)
    run.report(TrainingDone(False, run.clock.elapsed))
    return replace(
        module.model(), epochs=run.start.model_epochs, steps=run.start.model_steps
    )


# ---- fit ----


def _checkpointer(run: _Run, losses: Losses, folders: RunFolders) -> Checkpointer | None:
    if folders.checkpoints is None or not run.ranks.is_first:
        return None
    return Checkpointer(
        folders.checkpoints,
        run.config.training_config.save_state_every,
        run.found,
        losses,
        None if folders.checkpoints_required else run.report,
    )


def _progress(
    run: _Run, control: RunControl, losses: Losses, checkpointer: Checkpointer | None
) -> ProgressCallback:
    return ProgressCallback(
        run.report,
        control,
        run.clock,
        run.config.training_config,
        run.start,
        losses,
        log=LossLog(run.logger, run.config),
        checkpointer=checkpointer,
        resumed=None if run.resumed is None else run.resumed.numbers,
    )


def _snapshots(run: _Run, take: Callable[[Snapshot], None]) -> SnapshotCallback:
    count = run.config.training_config.snapshots if run.ranks.is_first else 0
    return SnapshotCallback(count, take, run.start.first_step, run.num_steps)


def _fit(
    run: _Run, module: HushModule, control: RunControl, callbacks: list[L.Callback]
) -> None:
    """Train until the last epoch, or until the run is stopped."""
    trainer, data = run.trainer, run.data
    trainer.callbacks += callbacks  # type: ignore[attr-defined]
    trainer.limit_val_batches = 0 if data.val_dataset is None else 1.0
    with (
        _ignored_warnings(),
        interrupts_stop(control),
        _explained_errors(run.ranks),
        keep_freed_memory(),
        data.on_device(trainer.strategy.root_device),
    ):
        trainer.fit(module, datamodule=data)


@contextmanager
def _explained_errors(ranks: ProcessGroup) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            "The device has not enough memory for this network; use fewer filters, or "
            "another device."
        ) from error
    except RuntimeError as error:
        if ranks.is_alone or not is_lost_connection(error):
            raise
        with ranks.connected():
            raise


@contextmanager
def _ignored_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        # Loading in the training process is deliberate; see docs/choices.md.
        warnings.simplefilter("ignore", PossibleUserWarning)
        # Lightning's own use of torch, nothing a user could act on.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated")
        yield


# ---- report ----


def _announce(run: _Run, losses: Losses) -> None:
    """Report the start of the run, with the losses it has or the warnings of its data."""
    start, found, resumed = run.start, run.found, run.resumed
    if resumed is None:
        losses.truncate(start.first_epoch, start.first_step)
    else:
        losses.replace_by(resumed.losses)
    run.report(
        TrainingStarted(
            num_epochs=run.num_epochs,
            steps_per_epoch=found.steps_per_epoch,
            num_patches=found.num_patches,
            num_val_patches=found.num_val_patches,
            device=run.launch.where,
            precision=run.launch.precision,
            batch_size=run.data.data_config.batch_size,
            processes=run.ranks.count,
            first_epoch=start.first_epoch,
            first_step=start.first_step,
            resumed_step=None if resumed is None else start.model_steps,
        )
    )
    if resumed is not None:
        run.report(losses.of_run(start, found.steps_per_epoch))
        return
    method = run.config.algorithm_config
    for warning in data_warnings(
        run.images,
        blind=not method.needs_targets,
        hides_neighbours=method.n2v_config.hides_neighbours,
    ):
        run.report(warning)


def _report(run: _Run, module: HushModule, progress: ProgressCallback) -> Model | None:
    """Report the end of the run; return the model if there was a step."""
    if name := run.changed_file():
        message = f"{name} was changed during the training; train again to be sure."
        run.report(WarningIssued("source", message))
    end = progress.position
    stopped = end.epochs < run.num_epochs or run.trainer.should_stop
    run.report(TrainingDone(stopped, run.clock.elapsed))
    if end.model_steps == run.start.first_step:
        return None
    model = module.model()
    model.network.to("cpu")
    return model
