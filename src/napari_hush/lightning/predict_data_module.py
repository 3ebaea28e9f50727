"""Images to denoise, as a Lightning data module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytorch_lightning as L

from napari_hush.io import Image, ReadSource, check_source, is_path, list_files, load_images

if TYPE_CHECKING:
    from napari_hush.config import InferenceConfig


class PredictDataModule(L.LightningDataModule):
    """Find and read the images to denoise.

    Parameters
    ----------
    pred_config : InferenceConfig
        What kind of data it is, its axes, and how it is cut into tiles.
    pred_data : array, str, Path, or list of one kind of them
        Images, or files and folders.
    read_source_func : callable, optional
        For custom data: called as ``func(path, axes)``, returns an array.
    extension_filter : str
        For custom data: which file names count, e.g. ``"*.npy"``.

    Attributes
    ----------
    images : list of Image
        What was read, in the order given; there after `setup`.
    """

    def __init__(
        self,
        pred_config: InferenceConfig,
        pred_data: Any,
        read_source_func: ReadSource | None = None,
        extension_filter: str = "",
    ) -> None:
        super().__init__()
        check_source(pred_data, pred_config.data_type, read_source_func)
        self.pred_config = pred_config
        self.pred_data = pred_data
        self.read_source_func = read_source_func
        self.extension_filter = extension_filter
        self.images: list[Image] = []

    def prepare_data(self) -> None:
        """Check that every path exists and holds files of the right kind."""
        if is_path(self.pred_data):
            list_files(self.pred_data, self.pred_config.data_type, self.extension_filter)

    def setup(self, stage: str | None = None) -> None:
        """Read the images."""
        self.images = load_images(
            self.pred_data,
            self.pred_config.data_type,
            self.pred_config.axes,
            self.read_source_func,
            self.extension_filter,
        )
