"""The U-Net, and the model file that keeps it with all that it needs."""

from napari_hush.models.device import (
    Precision,
    choose_device,
    choose_precision,
    is_out_of_memory,
)
from napari_hush.models.file import Model, load_model, save_model
from napari_hush.models.fusion import folded, rectifying
from napari_hush.models.malloc import freed_memory_kept
from napari_hush.models.normalization import Normalization
from napari_hush.models.provenance import Provenance, provenance_of, result_record
from napari_hush.models.unet import UNet, halo

__all__ = [
    "Model",
    "Normalization",
    "Precision",
    "Provenance",
    "UNet",
    "choose_device",
    "choose_precision",
    "folded",
    "freed_memory_kept",
    "halo",
    "is_out_of_memory",
    "load_model",
    "provenance_of",
    "rectifying",
    "result_record",
    "save_model",
]
