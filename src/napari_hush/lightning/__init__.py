"""Data modules, the Lightning module, its callbacks, and a training run."""

from napari_hush.deprecation import former_names
from napari_hush.lightning.checkpoint import (
    TrainingCheckpoint,
    interrupted_run,
    load_checkpoint,
    model_of,
    refuse_if_interrupted,
    remove_checkpoint,
)
from napari_hush.lightning.control import RunControl
from napari_hush.lightning.losses import Losses
from napari_hush.lightning.model_callbacks import PreviewCallback, Snapshot, thinned
from napari_hush.lightning.module import HushModule
from napari_hush.lightning.predict_data_module import PredictDataModule
from napari_hush.lightning.progress import ProgressCallback
from napari_hush.lightning.run import RunFolders, new_network, train
from napari_hush.lightning.train_data_module import TrainDataModule

__all__ = [
    "HushModule",
    "Losses",
    "PredictDataModule",
    "PreviewCallback",
    "ProgressCallback",
    "RunControl",
    "RunFolders",
    "Snapshot",
    "TrainDataModule",
    "TrainingCheckpoint",
    "interrupted_run",
    "load_checkpoint",
    "model_of",
    "new_network",
    "refuse_if_interrupted",
    "remove_checkpoint",
    "thinned",
    "train",
]

__getattr__ = former_names(
    __name__,
    {
        "RunState": "TrainingCheckpoint",
        "load_state": "load_checkpoint",
        "remove_state": "remove_checkpoint",
    },
)
