"""The record of the losses of a model, and the log of them on disk."""

from __future__ import annotations

import logging
import math
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_lightning.loggers import CSVLogger, Logger

from napari_hush.errors import ConfigurationError
from napari_hush.events import EarlierLosses, EpochDone, Event, StepsDone
from napari_hush.system.atomic_write import make_folder, writing

if TYPE_CHECKING:
    import pytorch_lightning as L

    from napari_hush.config import Configuration
    from napari_hush.lightning.checkpoint import Position

_log = logging.getLogger(__name__)


@dataclass
class Losses:
    """Losses by optimizer step and by epoch, counted over all runs of a model, from 0."""

    train_step: list[int] = field(default_factory=list)
    train_step_loss: list[float] = field(default_factory=list)
    train_epoch: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    val_epoch: list[int] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_si_psnr: list[float] = field(default_factory=list)
    val_ssim: list[float] = field(default_factory=list)

    def record(self, event: Event) -> None:
        """Append the losses of `event`, if it has any."""
        if isinstance(event, StepsDone):
            steps = range(event.first_step, event.first_step + len(event.losses))
            self.train_step.extend(steps)
            self.train_step_loss.extend(event.losses)
        elif isinstance(event, EpochDone):
            self.train_epoch.append(event.epoch)
            self.train_loss.append(event.train_loss)
            if event.val_loss is not None:
                self.val_epoch.append(event.epoch)
                self.val_loss.append(event.val_loss)
                for name, value in event.val_metrics.items():
                    values = getattr(self, name)  # of epochs before 0.2 there are none
                    values += [math.nan] * (len(self.val_loss) - 1 - len(values))
                    values.append(value)

    def truncate(self, epoch: int, step: int) -> None:
        """Remove epochs from `epoch` on, and steps from `step` on."""
        of_validation = (self.val_loss, self.val_si_psnr, self.val_ssim)
        for numbers, lists, end in (
            (self.train_step, (self.train_step_loss,), step),
            (self.train_epoch, (self.train_loss,), epoch),
            (self.val_epoch, of_validation, epoch),
        ):
            count = sum(number < end for number in numbers)
            for values in (numbers, *lists):
                del values[count:]

    def replace_by(self, other: Losses) -> None:
        """Take the losses of `other` in place of these."""
        for name, values in other.as_dict().items():
            getattr(self, name)[:] = values

    def of_run(self, start: Position, steps_per_epoch: int) -> EarlierLosses:
        """The losses of the run that is resumed at `start`."""
        first = sum(step < start.first_step for step in self.train_step)
        validation = (
            (start.first_step + (1 + epoch - start.first_epoch) * steps_per_epoch, loss)
            for epoch, loss in zip(self.val_epoch, self.val_loss, strict=True)
            if epoch >= start.first_epoch
        )
        losses = tuple(self.train_step_loss[first:])
        return EarlierLosses(start.first_step, losses, tuple(validation))

    def as_dict(self) -> dict[str, list[float]]:
        """A copy as plain lists, by name."""
        return {name: list(values) for name, values in vars(self).items()}


def new_logger(config: Configuration, folder: Path | None) -> Logger | None:
    """The logger that `config` names, writing into `folder`; None without a folder."""
    kind = config.training_config.logger
    if folder is None or kind == "none":
        return None
    name = config.experiment_name
    try:
        match kind:
            case "tensorboard":
                from pytorch_lightning.loggers import TensorBoardLogger

                return TensorBoardLogger(folder, name="")
            case "wandb":
                from pytorch_lightning.loggers import WandbLogger

                folder.mkdir(parents=True, exist_ok=True)
                return WandbLogger(name=name, project="napari-hush", save_dir=folder)
            case _:
                return CSVLogger(folder, name="")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The logger {kind!r} needs a package that is not installed; run: pip "
            f'install "napari-hush[{kind}]", or set logger to csv.'
        ) from error


class LossLog:
    """Write the losses of events to a logger, by step and by epoch of all runs."""

    def __init__(self, trainer: L.Trainer, config: Configuration) -> None:
        self._trainer = trainer
        if (logger := trainer.logger) is not None:
            folder = Path(logger.save_dir or "")
            make_folder(folder)
            with writing(folder):  # some loggers hide its errors
                with tempfile.TemporaryFile(dir=folder):
                    pass
                logger.log_hyperparams(config.model_dump(mode="json"))
                logger.save()

    def record(self, event: Event) -> None:
        """Log the losses of `event`, if it has any; a log that fails is given up."""
        logger = self._trainer.logger
        if logger is None:
            return
        try:
            self._record(logger, event)
        except OSError as error:
            self._trainer.loggers = []
            _log.warning("The losses are no longer logged: %s.", error)

    def _record(self, logger: Logger, event: Event) -> None:
        if isinstance(event, StepsDone):
            for step, loss in enumerate(event.losses, event.first_step):
                metrics = {"loss": loss, "learning_rate": event.learning_rate}
                logger.log_metrics(metrics, step)
        elif isinstance(event, EpochDone):
            metrics = {"epoch": event.epoch, "train_loss": event.train_loss}
            if event.val_loss is not None:
                metrics |= {"val_loss": event.val_loss, **event.val_metrics}
            logger.log_metrics(metrics, event.step - 1)
            logger.save()
