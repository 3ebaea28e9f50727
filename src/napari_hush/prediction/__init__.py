"""Tiles, halo, stitching, streaming into the result."""

from napari_hush.prediction.denoise import check_suits, denoise, result_axes
from napari_hush.prediction.files import predict_files
from napari_hush.prediction.lazy import denoise_lazily
from napari_hush.prediction.order import Region
from napari_hush.prediction.rounding import result_dtype
from napari_hush.prediction.streaming import FileTarget, denoise_to_file
from napari_hush.prediction.tile_dataset import TileDataset
from napari_hush.prediction.tiles import Tile, alike, plan_tiles

__all__ = [
    "FileTarget",
    "Region",
    "Tile",
    "TileDataset",
    "alike",
    "check_suits",
    "denoise",
    "denoise_lazily",
    "denoise_to_file",
    "plan_tiles",
    "predict_files",
    "result_axes",
    "result_dtype",
]
