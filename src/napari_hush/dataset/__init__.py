"""Arrays to batches: statistics, patch plan, augmentation and the two datasets."""

from napari_hush.dataset import patches
from napari_hush.dataset.augmentation import Augmentation
from napari_hush.dataset.background import foreground, marked
from napari_hush.dataset.blocks import Block, LoadedBlocks, cut
from napari_hush.dataset.in_memory import InMemoryDataset
from napari_hush.dataset.iterable import IterableDataset
from napari_hush.dataset.normalization import Normalization, exact_float
from napari_hush.dataset.on_device import DevicePatches, device_bytes
from napari_hush.dataset.patch_dataset import PatchDataset
from napari_hush.dataset.sampler import PatchSampler
from napari_hush.dataset.share import Share, SharedBatches
from napari_hush.dataset.statistics import Statistics, measure, require_finite
from napari_hush.dataset.storage import Storage, choose_storage, fits_on

__all__ = [
    "Augmentation",
    "Block",
    "DevicePatches",
    "InMemoryDataset",
    "IterableDataset",
    "LoadedBlocks",
    "Normalization",
    "PatchDataset",
    "PatchSampler",
    "Share",
    "SharedBatches",
    "Statistics",
    "Storage",
    "choose_storage",
    "cut",
    "device_bytes",
    "exact_float",
    "fits_on",
    "foreground",
    "marked",
    "measure",
    "patches",
    "require_finite",
]
