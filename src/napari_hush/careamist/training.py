"""Folders, checkpoint and data of a training run of `CAREamist`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.errors import ConfigurationError
from napari_hush.lightning import (
    RunFolders,
    TrainDataModule,
    TrainingCheckpoint,
    load_checkpoint,
    refuse_if_interrupted,
)
from napari_hush.models.file import SUFFIX
from napari_hush.system import job_env

if TYPE_CHECKING:
    from napari_hush.config import Configuration, DataConfig
    from napari_hush.models import Model


def open_folders(
    config: Configuration,
    work_dir: Path | None,
    checkpoint_dir: str | Path | None,
    resume: str | Path | None,
    log_dir: str | Path | None,
) -> tuple[RunFolders, TrainingCheckpoint | None]:
    """The folders that a run writes to, and the checkpoint to resume from."""
    root = work_dir or Path()
    logs = None if log_dir is None else root / log_dir
    if resume is None:
        folder = None if checkpoint_dir is None else root / checkpoint_dir
        # Other processes may start after the first one has written.
        if folder is not None and job_env.is_first():
            refuse_if_interrupted(folder)
        return RunFolders(folder, logs=logs, work=work_dir), None
    if checkpoint_dir is not None:
        raise ConfigurationError(
            "A resumed run writes its checkpoints where they are; give either "
            "checkpoint_dir or resume."
        )
    checkpoint = load_checkpoint(root / resume)
    # The result does not depend on the devices.
    saved, wanted = (
        one.replace(training_config=one.training_config.elsewhere())
        for one in (checkpoint.config, config)
    )
    if saved != wanted:
        raise ConfigurationError(
            "The configuration is not that of the interrupted run; make the CAREamist with "
            "the same one, or start a new run."
        )
    return RunFolders(root / resume, logs=logs, work=work_dir), checkpoint


def files_in(folder: Path) -> dict[str, Model | Path]:
    """The model files in `folder` by name, in order."""
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def data_module(
    given: TrainDataModule | None,
    config: DataConfig,
    statistics: dict[str, Any],
    sources: tuple[Any, ...],
    **split: Any,
) -> TrainDataModule:
    """The data module `given`, or one of the images in `sources`."""
    if (given is None) == (sources[0] is None):
        raise ConfigurationError("Give either a datamodule or a train_source.")
    if given is None:
        return TrainDataModule(config.replace(**statistics), *sources, **split)
    if not isinstance(given, TrainDataModule):
        raise ConfigurationError(
            f"datamodule is a {type(given).__name__}; give a TrainDataModule or a "
            "subclass of it."
        )
    return given


def known_statistics(
    model: Model | None, checkpoint: TrainingCheckpoint | None
) -> dict[str, Any]:
    """Statistics that training must keep, as fields of a `DataConfig`.

    A resumed run that started with new weights has none: it measures the statistics again,
    which shows whether the data are the same.
    """
    if checkpoint is not None:
        is_new = checkpoint.position.first_step == 0
        return {} if is_new else checkpoint.data.statistics
    if model is None:
        return {}
    target = model.target_normalization
    return {
        "image_means": model.normalization.means,
        "image_stds": model.normalization.scales,
        "target_means": None if target is None else target.means,
        "target_stds": None if target is None else target.scales,
    }
