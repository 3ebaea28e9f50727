"""Arrays to batches: statistics, patch plan, augmentation and the two datasets."""

from napari_hush.dataset.augmentation import Augmentation
from napari_hush.dataset.background import foreground, marked
from napari_hush.dataset.batches import PatchSampler, Share, SharedBatches
from napari_hush.dataset.blocks import Block, LoadedBlocks, cut
from napari_hush.dataset.collection import Storage, choose_storage, fits_on
from napari_hush.dataset.gpu_patches import DevicePatches, device_bytes
from napari_hush.dataset.patch_dataset import InMemoryDataset, IterableDataset, PatchDataset
from napari_hush.dataset.statistics import (
    Statistics,
    fit_normalization,
    measure,
    require_finite,
)
from napari_hush.deprecation import former_names

__all__ = [
    "Augmentation",
    "Block",
    "DevicePatches",
    "InMemoryDataset",
    "IterableDataset",
    "LoadedBlocks",
    "PatchDataset",
    "PatchSampler",
    "Share",
    "SharedBatches",
    "Statistics",
    "Storage",
    "choose_storage",
    "cut",
    "device_bytes",
    "fit_normalization",
    "fits_on",
    "foreground",
    "marked",
    "measure",
    "require_finite",
]

__getattr__ = former_names(
    __name__,
    {
        "Normalization": "napari_hush.models.Normalization",
        "exact_float": "napari_hush.models.normalization.exact_float",
        "patches": "napari_hush.dataset.patch_plan",
    },
)
