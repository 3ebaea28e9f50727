"""Models in the formats of other programs, out and in."""

from napari_hush.exchange.about import About
from napari_hush.exchange.export import export_model, refuse_existing
from napari_hush.exchange.onnx_graph import write_onnx
from napari_hush.exchange.opening import open_model
from napari_hush.exchange.package import write_package
from napari_hush.exchange.torchscript import write_torchscript

__all__ = [
    "About",
    "export_model",
    "open_model",
    "refuse_existing",
    "write_onnx",
    "write_package",
    "write_torchscript",
]
