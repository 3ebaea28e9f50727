"""Denoise images with a model: tiles with a halo, into arrays, files or dask arrays."""

from napari_hush.deprecation import former_names
from napari_hush.prediction.built_in_share import fit_built_in_share
from napari_hush.prediction.cast import result_dtype
from napari_hush.prediction.files import (
    FilesPlan,
    plan_files,
    predict_files,
    refuse_other_results,
)
from napari_hush.prediction.own_value import fit_own_value
from napari_hush.prediction.progress import ImageProgress
from napari_hush.prediction.tiles import Region, Tile, group_by_shape, plan_tiles
from napari_hush.prediction.to_array import (
    check_suits,
    denoise,
    denoise_lazily,
    result_axes,
)
from napari_hush.prediction.to_file import FileTarget, denoise_to_file

__all__ = [
    "FileTarget",
    "FilesPlan",
    "ImageProgress",
    "Region",
    "Tile",
    "check_suits",
    "denoise",
    "denoise_lazily",
    "denoise_to_file",
    "fit_built_in_share",
    "fit_own_value",
    "group_by_shape",
    "plan_files",
    "plan_tiles",
    "predict_files",
    "refuse_other_results",
    "result_axes",
    "result_dtype",
]

__getattr__ = former_names(
    __name__,
    {
        "TileDataset": "napari_hush.lightning.predict_data_module.TileDataset",
        "alike": "group_by_shape",
    },
)
