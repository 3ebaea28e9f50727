"""Models in the formats of other programs."""

from napari_hush.exchange.export import export_model
from napari_hush.exchange.onnx_graph import write_onnx
from napari_hush.exchange.torchscript import write_torchscript

__all__ = ["export_model", "write_onnx", "write_torchscript"]
