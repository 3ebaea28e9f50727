"""One training run: open the data, resume or begin, fit with Lightning, and report."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from lightning_fabric.utilities.warnings import PossibleUserWarning
from pytorch_lightning.callbacks import Checkpoint, LambdaCallback
from pytorch_lightning.utilities.exceptions import SIGTERMException

from napari_hush.errors import TrainingError
from napari_hush.events import (
    BestRestored,
    OnProgress,
    TrainingDone,
    TrainingStarted,
    WarningIssued,
)
from napari_hush.io import changes_of
from napari_hush.lightning.checkpoint import Position, explain_damage
from napari_hush.lightning.control import RunClock, signals_stop
from napari_hush.lightning.data_setup import check_scaling, open_data
from napari_hush.lightning.devices import Launch
from napari_hush.lightning.gradients import SIMPLE
from napari_hush.lightning.losses import LossLog, new_logger
from napari_hush.lightning.model_callbacks import ModelFiles, SnapshotCallback
from napari_hush.lightning.module import HushModule, ignore_event
from napari_hush.lightning.process_group import is_lost_connection
from napari_hush.lightning.progress import Checkpointer, ProgressCallback
from napari_hush.models import Model, UNet, keep_freed_memory, provenance_of
from napari_hush.models.built_in import first_network
from napari_hush.prediction import fit_built_in_share, fit_own_value
from napari_hush.quality import data_warnings, loss_warning
from napari_hush.quality.warnings import DIVERGED
from napari_hush.system.signals import Terminated

if TYPE_CHECKING:
    import pytorch_lightning as L

    from napari_hush.config import Configuration
    from napari_hush.io import Image
    from napari_hush.lightning.checkpoint import Best, Fingerprint, TrainingCheckpoint
    from napari_hush.lightning.control import RunControl
    from napari_hush.lightning.losses import Losses
    from napari_hush.lightning.model_callbacks import Snapshot
    from napari_hush.lightning.train_data_module import TrainDataModule
    from napari_hush.models import Curve
    from napari_hush.models.file import BuiltInShare

_SETTLED = 20
"""Steps after which a validation loss says something: batch normalization has settled."""

# Lightning announces devices at INFO; events say the same.
for _name in ("pytorch_lightning.utilities.rank_zero", "lightning_fabric"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True)
class Trained:
    """The models that a training run ends with; None where there is none."""

    model: Model | None
    """The best or the last, as the configuration says; without a step, that before it."""
    best: Model | None = None
    """The model of the epoch with the lowest validation loss."""
    last: Model | None = None


@dataclass(frozen=True)
class RunFolders:
    """Folders that a run writes to; nothing is written if there is none."""

    checkpoints: Path | None = None
    """Folder of the checkpoint from which an interrupted run can be resumed."""
    checkpoints_required: bool = True
    """Whether an unwritable checkpoint is an error; otherwise it is a warning."""
    logs: Path | None = None
    """Folder of the log of the losses, in the format that the configuration names."""
    models: Path | None = None
    """Folder of a model file every n epochs, if the configuration asks for them."""
    work: Path | None = None
    """Lightning's root folder, for files of further callbacks."""


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
) -> Trained:
    """Train a new model, or `model` further, or resume the run of the checkpoint `resumed`.

    Returns the trained models, or `model`, which is not changed, if the run was stopped
    before its first step. `on_progress` gets the events of `napari_hush.events`, in this
    thread, and `on_snapshot` models from during the run, evenly spread over it. `control`
    stops and pauses the run from other threads. `losses` has those of earlier runs of the
    model; those of this run are appended. `callbacks` are further ones for Lightning.

    Raises HushError if data, configuration and model do not fit together, or the loss
    diverges.
    """
    clock = RunClock()
    start = Position() if model is None else Position(model.epochs, model.steps)
    start = start if resumed is None else resumed.position
    launch, trainer = _launch(config, data, start, resumed, callbacks, folders)
    found = open_data(config, data, start, resumed, launch)
    report = on_progress if launch.ranks.is_first else ignore_event
    run = _Run(
        config, data, model, resumed, start, found, launch, trainer, clock, control, report
    )
    module = _resume(run)
    snapshots, progress, files = _callbacks(run, on_snapshot, losses, folders)
    if launch.ranks.from_first(lambda: control.should_stop):
        report(TrainingDone(True, clock.elapsed))
        return Trained(model)
    _announce(run, losses)
    if start.epochs == run.num_epochs:  # it was complete before it was resumed
        assert resumed is not None  # noqa: S101 - narrows a type
        trained = _trained(run, resumed.best, resumed.last)
        report(TrainingDone(False, clock.elapsed))
    else:
        _fit(run, module, [snapshots, progress, files])
        trained = _report(run, module, progress.position, losses)
    files.write("best", trained.best)
    files.write("last", trained.last)
    return trained


@dataclass(frozen=True)
class _Run:
    """Values that the steps of a run share, after its processes and data are open."""

    config: Configuration
    data: TrainDataModule
    model: Model | None
    resumed: TrainingCheckpoint | None
    start: Position
    found: Fingerprint
    launch: Launch
    trainer: L.Trainer
    clock: RunClock
    control: RunControl
    report: OnProgress

    @property
    def num_epochs(self) -> int:
        """Epochs of the run, those before it was interrupted included."""
        return self.config.training_config.num_epochs

    @property
    def num_steps(self) -> int:
        """Optimizer steps of the run, those before it was interrupted included."""
        return self.num_epochs * self.found.steps_per_epoch

    @property
    def images(self) -> list[Image]:
        """Images to train on; none in other processes, or if a dataset has none."""
        return getattr(self.data, "images", []) if self.launch.ranks.is_first else []


def _launch(
    config: Configuration,
    data: TrainDataModule,
    start: Position,
    resumed: TrainingCheckpoint | None,
    callbacks: Sequence[L.Callback],
    folders: RunFolders,
) -> tuple[Launch, L.Trainer]:
    """Choose devices and precision, start the processes, and make the trainer."""
    # A run is resumed with the same arithmetic, even on another machine.
    precision = None if resumed is None else resumed.numbers["precision"]
    launch = Launch(config.training_config, precision)
    if (count := launch.ranks.count) > 1:  # refuses before any process is started
        data.divide(0, count, launch.devices)
    logger = new_logger(config, folders.logs if launch.ranks.is_first else None)
    with _ignored_warnings():
        trainer = launch.trainer(
            max_epochs=config.training_config.num_epochs - start.epochs,
            # A resumed epoch has fewer batches than the ones after it.
            reload_dataloaders_every_n_epochs=1 if start.steps_in_epoch else 0,
            callbacks=[*callbacks],
            default_root_dir=folders.work,
            logger=logger or False,
            enable_checkpointing=any(isinstance(c, Checkpoint) for c in callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
    return launch, trainer


def new_network(config: Configuration) -> UNet:
    """A network with the initial weights, which depend on the configuration alone."""
    return first_network(config)[0]


def _resume(run: _Run) -> HushModule:
    """The module, with the weights of the checkpoint, of the model, or new ones."""
    model, resumed = run.model, run.resumed
    scaling, target_scaling = run.found.normalization, run.found.target_normalization
    network, first = first_network(run.config)
    if resumed is not None:
        with explain_damage("the interrupted run"):
            network.load_state_dict(resumed.under("network"))
    elif model is not None:
        check_scaling("image", model.normalization, scaling)
        check_scaling("target", model.target_normalization, target_scaling)
        target_scaling = target_scaling or model.target_normalization
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
    ranks, control = run.launch.ranks, run.control
    module.by_hand = False
    module.precision, module.resumed = run.launch.precision, resumed
    module.ranks, module.micro_batches.alone = ranks, ranks.is_alone
    if run.config.training_config.accumulate_grad_batches > 1:
        module.micro_batches.patches = run.data.data_config.batch_size
    module.wants_stop = lambda: control.should_stop
    if resumed is not None:  # which was trained on the same images
        module.provenance = resumed.provenance
    else:
        before = first if model is None else model.provenance
        size = getattr(run.data, "pixel_size", None)
        module.provenance = provenance_of(
            run.images, before, size=size, precision=run.launch.precision
        )
    return module


def _trained(run: _Run, best: Best | None, last: Model) -> Trained:
    """Choose the model that the run ends with."""
    last = _improved(run, last)
    if best is None:
        return Trained(last, None, last)
    is_last = best.model.steps == last.steps
    kept = last if is_last else _improved(run, best.model)
    wish = run.config.training_config.final_model
    if wish == "auto":
        wish = "best" if run.config.algorithm_config.needs_targets else "last"
    if wish == "last":
        return Trained(last, kept, last)
    if not is_last:
        run.report(BestRestored(kept.epochs - 1, best.val_loss))
    return Trained(kept, kept, last)


def _callbacks(
    run: _Run, on_snapshot: Callable[[Snapshot], None], losses: Losses, folders: RunFolders
) -> tuple[SnapshotCallback, ProgressCallback, ModelFiles]:
    training, is_first = run.config.training_config, run.launch.ranks.is_first
    checkpointer = None
    if folders.checkpoints is not None and is_first:
        checkpointer = Checkpointer(
            folders.checkpoints,
            training.checkpoint_every,
            run.found,
            losses,
            None if folders.checkpoints_required else run.report,
        )
    progress = ProgressCallback(
        run.report,
        run.control,
        run.clock,
        training,
        run.start,
        losses,
        loss_log=LossLog(run.trainer, run.config),
        checkpointer=checkpointer,
        resumed=None if run.resumed is None else run.resumed.numbers,
    )
    count = training.snapshots if is_first else 0
    snapshots = SnapshotCallback(count, on_snapshot, run.start.first_step, run.num_steps)
    every = training.checkpoint_every_n_epochs
    wanted = is_first and every > 0
    files = ModelFiles(folders.models if wanted else None, every, run.report)
    return snapshots, progress, files


def _fit(run: _Run, module: HushModule, callbacks: list[L.Callback]) -> None:
    """Train until the last epoch, or until the run is stopped."""
    trainer, data, ranks = run.trainer, run.data, run.launch.ranks
    trainer.limit_val_batches = 0 if data.val_dataset is None else 1.0
    changed_file = changes_of(run.images)
    try:
        with (
            _ignored_warnings(),
            signals_stop(run.control) as set_handlers,
            keep_freed_memory(),
            data.on_device(trainer.strategy.root_device),
        ):
            ours = LambdaCallback(on_train_start=lambda trainer, module: set_handlers())
            trainer.callbacks += [ours, *callbacks]  # type: ignore[attr-defined]
            trainer.fit(module, datamodule=data)
    except SIGTERMException:  # before the handlers were set
        run.control.stop(signal.SIGTERM)
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Lightning ends the process
            raise error.__context__ from None
        raise
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            "The device does not have enough memory for this network; use fewer filters, "
            "or another device."
        ) from error
    except RuntimeError as error:
        if "DataLoader worker (pid" in str(error):
            raise TrainingError(
                f"A process that loads patches ended ({error}); set num_workers to 0, or "
                "to fewer if memory is short."
            ) from error
        if ranks.is_alone or not is_lost_connection(error):
            raise
        with ranks.connected():
            raise
    if name := changed_file():
        message = f"{name} was changed during the training run; train again to be sure."
        run.report(WarningIssued("source", message))


@contextmanager
def _ignored_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        # Loading in the training process is deliberate; see docs/dev/choices.md.
        warnings.simplefilter("ignore", PossibleUserWarning)
        # Lightning's own use of torch, nothing a user could act on.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated")
        # A PatchStream is iterated over in this process.
        warnings.filterwarnings("ignore", message="Your `IterableDataset` has `__len__`")
        yield


def _announce(run: _Run, losses: Losses) -> None:
    """Report the start of the run, then its earlier losses or warnings about its data."""
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
            batch_size=run.data.data_config.batch_size
            * run.config.training_config.accumulate_grad_batches,
            processes=run.launch.ranks.count,
            first_epoch=start.first_epoch,
            first_step=start.first_step,
            resumed_step=None if resumed is None else start.model_steps,
            pairs=tuple(run.data.pairs),
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
        time_context=method.model.time_context,
    ):
        run.report(warning)


def _loss_warning(module: HushModule, losses: Losses, mixed: str) -> WarningIssued | None:
    first, epochs = losses.train_step_loss[0], losses.val_loss or losses.train_loss
    simple = dict(zip(SIMPLE, module.simple_losses or (), strict=False))
    if len(losses.train_step_loss) >= _SETTLED:
        return loss_warning(first, epochs, simple, mixed)
    if simple and epochs[-1] > DIVERGED * simple[SIMPLE[0]]:
        return loss_warning(first, epochs[-1:], simple, mixed)
    return None


def _report(run: _Run, module: HushModule, end: Position, losses: Losses) -> Trained:
    """Report the end of the run; return its models, or the one before without a step."""
    stopped = end.epochs < run.num_epochs or run.trainer.should_stop
    if end.model_steps == run.start.first_step:
        trained = Trained(run.model)
    else:
        last = module.model()
        last.network.to("cpu")
        trained = _trained(run, module.best, last)
    share = trained.model.built_in_share if trained.model else None
    mixed = f"the built-in denoiser makes up {share.percent} of results" if share else ""
    if losses.train_step_loss and (warning := _loss_warning(module, losses, mixed)):
        run.report(warning)
    run.report(TrainingDone(stopped, run.clock.elapsed))
    if (number := run.control.signal) is not None:
        # Lightning kills the first process if another one ends with an error.
        raise Terminated(number) if run.launch.ranks.is_first else SystemExit(0)
    return trained


def _improved(run: _Run, model: Model) -> Model:
    """`model` with what improves its results, the same in all processes."""

    def fit() -> tuple[tuple[Curve, ...], BuiltInShare | None]:
        weights = fit_own_value(model, run.images)
        return weights, fit_built_in_share(replace(model, own_value=weights), run.images)

    own_value, share = run.launch.ranks.from_first(fit)
    return replace(model, own_value=own_value, built_in_share=share)
