"""Where the losses of a run are logged: Lightning's own loggers, chosen by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytorch_lightning.loggers import CSVLogger, Logger

from napari_hush.errors import ConfigurationError
from napari_hush.events import EpochDone, StepsDone

if TYPE_CHECKING:
    from pathlib import Path

    from napari_hush.config import Configuration
    from napari_hush.events import Event


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
