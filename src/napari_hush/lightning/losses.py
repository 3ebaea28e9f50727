"""Losses of all runs of one model, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytorch_lightning.loggers import CSVLogger, Logger

from napari_hush.errors import ConfigurationError
from napari_hush.events import EpochDone, Event, StepsDone

if TYPE_CHECKING:
    from pathlib import Path

    from napari_hush.config import Configuration
    from napari_hush.events import Event


@dataclass
class Losses:
    """Losses by step and by epoch, both counted over all runs from 0.

    Attributes
    ----------
    train_step, train_step_loss : list
        One entry per optimizer step.
    train_epoch, train_loss : list
        One entry per epoch.
    val_epoch, val_loss : list
        One entry per epoch that was validated.
    """

    train_step: list[int] = field(default_factory=list)
    train_step_loss: list[float] = field(default_factory=list)
    train_epoch: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    val_epoch: list[int] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)

    def record(self, event: Event) -> None:
        """Take in what `event` tells about losses."""
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

    def cut(self, epoch: int, step: int) -> None:
        """Leave only the epochs before `epoch` and the steps before `step`."""
        for numbers, values, end in (
            (self.train_step, self.train_step_loss, step),
            (self.train_epoch, self.train_loss, epoch),
            (self.val_epoch, self.val_loss, epoch),
        ):
            count = sum(number < end for number in numbers)
            del numbers[count:], values[count:]

    def take_over(self, others: Losses) -> None:
        """Hold what `others` hold."""
        for name, values in others.as_dict().items():
            getattr(self, name)[:] = values

    def as_dict(self) -> dict[str, list[float]]:
        """A copy as plain lists, by name."""
        return {name: list(values) for name, values in vars(self).items()}


def new_logger(config: Configuration, folder: Path | None) -> Logger | None:
    """The logger that `config` names; None where nothing is to be logged.

    Parameters
    ----------
    config : Configuration
        Names the logger and the experiment.
    folder : Path, optional
        Where the log goes; nothing is logged without.

    Raises
    ------
    ConfigurationError
        If the package of the logger is missing.
    """
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
            f"The logger {kind!r} needs a package that is not installed; pip install "
            f"'napari-hush[{kind}]', or set logger to csv."
        ) from error


class Log:
    """Write what events tell of losses to a logger, step by step and epoch by epoch.

    Steps are counted over all runs of a model, so that curves of a run that was cut off
    and went on fit together.

    Parameters
    ----------
    logger : Logger, optional
        None logs nothing.
    config : Configuration
        Kept beside the losses.
    """

    def __init__(self, logger: Logger | None, config: Configuration) -> None:
        self.logger = logger
        if logger is not None:
            settings: dict[str, Any] = config.model_dump(mode="json")
            logger.log_hyperparams(settings)

    def __call__(self, event: Event) -> None:
        """Take in `event`."""
        if self.logger is None:
            return
        if isinstance(event, StepsDone):
            for step, loss in enumerate(event.losses, event.first_step):
                metrics = {"loss": loss, "learning_rate": event.learning_rate}
                self.logger.log_metrics(metrics, step)
        elif isinstance(event, EpochDone):
            metrics = {"epoch": event.epoch, "train_loss": event.train_loss}
            if event.val_loss is not None:
                metrics["val_loss"] = event.val_loss
            self.logger.log_metrics(metrics, event.step - 1)
            self.logger.save()
