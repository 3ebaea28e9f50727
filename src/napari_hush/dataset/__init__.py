"""Arrays to batches: statistics, patch plan, augmentation and the dataset."""

from napari_hush.dataset import patches
from napari_hush.dataset.augmentation import Augmentation
from napari_hush.dataset.in_memory import InMemoryDataset
from napari_hush.dataset.normalization import (
    Normalization,
    exact_float,
    measure,
    require_finite,
)
from napari_hush.dataset.sampler import PatchSampler

__all__ = [
    "Augmentation",
    "InMemoryDataset",
    "Normalization",
    "PatchSampler",
    "exact_float",
    "measure",
    "patches",
    "require_finite",
]
