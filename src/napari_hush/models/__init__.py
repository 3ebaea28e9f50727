"""The U-Net, and the model file that keeps it with all that it needs."""

from napari_hush.models.device import Precision, choose_device, choose_precision
from napari_hush.models.file import Model, load_model, save_model
from napari_hush.models.folded import folded
from napari_hush.models.freed_memory import freed_memory_kept
from napari_hush.models.joined import rectifying
from napari_hush.models.out_of_memory import is_out_of_memory
from napari_hush.models.provenance import Provenance, provenance_of, result_record
from napari_hush.models.unet import UNet, halo

__all__ = [
    "Model",
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
