"""The U-Net, and the model file with weights, normalization and configuration."""

from napari_hush.deprecation import former_names
from napari_hush.models.built_in import (
    BuiltIn,
    built_in_denoiser,
    built_in_networks,
)
from napari_hush.models.device import (
    Precision,
    choose_device,
    choose_precision,
    is_out_of_memory,
    keep_freed_memory,
)
from napari_hush.models.file import Curve, Model, load_model, save_model
from napari_hush.models.fusion import fuse_batch_norm, fuse_relu
from napari_hush.models.normalization import Normalization
from napari_hush.models.provenance import Provenance, provenance_of, result_record
from napari_hush.models.unet import UNet, halo

__all__ = [
    "BuiltIn",
    "Curve",
    "Model",
    "Normalization",
    "Precision",
    "Provenance",
    "UNet",
    "built_in_denoiser",
    "built_in_networks",
    "choose_device",
    "choose_precision",
    "fuse_batch_norm",
    "fuse_relu",
    "halo",
    "is_out_of_memory",
    "keep_freed_memory",
    "load_model",
    "provenance_of",
    "result_record",
    "save_model",
]

__getattr__ = former_names(
    __name__,
    {
        "folded": "fuse_batch_norm",
        "freed_memory_kept": "keep_freed_memory",
        "rectifying": "fuse_relu",
    },
)
