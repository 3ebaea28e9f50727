"""Export models to the formats of other programs, and open theirs."""

from napari_hush.deprecation import former_names
from napari_hush.interop.bioimageio import write_package
from napari_hush.interop.bioimageio_about import About
from napari_hush.interop.careamics_config import load_careamics_configuration
from napari_hush.interop.files import export_model, open_model
from napari_hush.interop.onnx import write_onnx
from napari_hush.interop.torchscript import write_torchscript

__all__ = [
    "About",
    "export_model",
    "load_careamics_configuration",
    "open_model",
    "write_onnx",
    "write_package",
    "write_torchscript",
]

_REFUSE = "napari_hush.system.atomic_write.refuse_existing"
__getattr__ = former_names(__name__, {"refuse_existing": _REFUSE})
