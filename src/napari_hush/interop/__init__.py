"""Models in the formats of other programs, out and in."""

from napari_hush.interop.about import About
from napari_hush.interop.bioimageio import write_package
from napari_hush.interop.export import export_model, refuse_existing
from napari_hush.interop.loading import open_model
from napari_hush.interop.onnx import write_onnx
from napari_hush.interop.torchscript import write_torchscript

__all__ = [
    "About",
    "export_model",
    "open_model",
    "refuse_existing",
    "write_onnx",
    "write_package",
    "write_torchscript",
]
