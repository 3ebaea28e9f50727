"""`HushModule` in a Trainer of the user, in place of `napari_hush.lightning.train`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from napari_hush.errors import ConfigurationError
from napari_hush.lightning.data_setup import check_patches, check_scaling, fingerprint
from napari_hush.lightning.predict_data_module import PredictDataModule
from napari_hush.lightning.train_data_module import TrainDataModule
from napari_hush.models import provenance_of

if TYPE_CHECKING:
    import pytorch_lightning as L

    from napari_hush.lightning.module import HushModule


def set_up(module: HushModule, stage: str) -> None:
    """Take from the data module what `module` lacks: statistics, or the halo of tiles."""
    data: Any = getattr(module.trainer, "datamodule", None)
    if isinstance(data, PredictDataModule) and data.network is None:
        data.network = module.network.config
    if stage != "fit" or not isinstance(data, TrainDataModule):
        return
    if (processes := module.trainer.world_size) > 1:
        raise ConfigurationError(
            f"This Trainer has {processes} processes, which a HushModule cannot join; give "
            "it one device, or set devices in the configuration and call CAREamist.train."
        )
    check_patches(module.config, data)
    training = module.config.training_config
    data.pace(training, module.epochs)
    if training.accumulate_grad_batches > 1:
        module.micro_batches.patches = data.data_config.batch_size
    found = fingerprint(data, 0)
    check_scaling("image", module.normalization, found.normalization)
    check_scaling("target", module.target_normalization, found.target_normalization)
    module.normalization = module.normalization or found.normalization
    module.target_normalization = module.target_normalization or found.target_normalization
    module.provenance = provenance_of(
        data.images, module.provenance, size=data.pixel_size, precision=module.precision
    )


def total_steps(trainer: L.Trainer, *, needed: bool) -> int:
    """Optimizer steps of `trainer`; 1 if they are neither known nor `needed`."""
    steps = trainer.estimated_stepping_batches
    if 0 < steps < math.inf:
        return int(steps)
    if needed:
        raise ConfigurationError(
            "The length of this training is unknown, which cosine annealing needs; give "
            "the Trainer max_epochs or max_steps, or use another schedule."
        )
    return 1
