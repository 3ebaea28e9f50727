"""Tiles, halo, stitching, streaming into the result."""

from napari_hush.prediction.denoise import check_suits, denoise
from napari_hush.prediction.tiles import Tile, plan_tiles

__all__ = ["Tile", "check_suits", "denoise", "plan_tiles"]
