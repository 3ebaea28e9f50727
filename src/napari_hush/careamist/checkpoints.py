"""Where a training run of `CAREamist` writes its checkpoints and what it resumes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.errors import ConfigurationError
from napari_hush.lightning import TrainingCheckpoint, load_checkpoint, refuse_if_interrupted
from napari_hush.system import job_env

if TYPE_CHECKING:
    from napari_hush.config import Configuration
    from napari_hush.models import Model


def open_checkpoint(
    config: Configuration,
    work_dir: Path | None,
    checkpoint_dir: str | Path | None,
    resume: str | Path | None,
) -> tuple[Path | None, TrainingCheckpoint | None]:
    """The folder for the checkpoints of a run, and the checkpoint to resume from."""
    root = work_dir or Path()
    if resume is None:
        if checkpoint_dir is None:
            return None, None
        folder = root / checkpoint_dir
        if job_env.is_first():  # other processes may start after this one has written
            refuse_if_interrupted(folder)
        return folder, None
    if checkpoint_dir is not None:
        raise ConfigurationError(
            "A resumed run writes its checkpoints where they are; give either "
            "checkpoint_dir or resume."
        )
    checkpoint = load_checkpoint(root / resume)
    if _without_devices(checkpoint.config) != _without_devices(config):
        raise ConfigurationError(
            "The configuration is not that of the interrupted run; make the CAREamist with "
            "the same one, or start a new run."
        )
    return root / resume, checkpoint


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
        "image_stds": model.normalization.stds,
        "target_means": None if target is None else target.means,
        "target_stds": None if target is None else target.stds,
    }


def _without_devices(config: Configuration) -> Configuration:
    """`config` without the devices, on which the result does not depend."""
    return config.replace(training_config=config.training_config.elsewhere())
