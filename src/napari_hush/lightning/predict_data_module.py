"""Images to denoise, as a Lightning data module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytorch_lightning as L
import torch
from torch.utils.data import DataLoader

from napari_hush.dataset import Normalization
from napari_hush.io import (
    Image,
    check_source,
    is_path,
    list_files,
    open_images,
    select_channels,
)
from napari_hush.prediction import Tile, TileDataset

if TYPE_CHECKING:
    from napari_hush.config import InferenceConfig
    from napari_hush.io import ReadSource

DEFAULT_OVERLAP = 56
"""Overlap of tiles by default, in pixels: what a U-Net of depth 2 can see, both sides."""
_MULTIPLE = 16
"""Sizes are padded to a multiple of this, which networks up to depth 4 can halve."""


class PredictDataModule(L.LightningDataModule):
    """Find and read the images to denoise, tile by tile, as one stream over all of them.

    Parameters
    ----------
    pred_config : InferenceConfig
        What kind of data it is, its axes, and how it is cut into tiles.
    pred_data : array, str, Path, or list of one kind of them
        Images of any size, or files and folders.
    read_source_func : callable, optional
        For custom data: called as ``func(path, axes)``, returns an array.
    extension_filter : str
        For custom data: which file names count, e.g. ``"*.npy"``.

    Attributes
    ----------
    images : list of Image
        What was opened, in the order given; there after `setup`.

    Raises
    ------
    SourceTypeError, ConfigurationError
        If the data are not what ``pred_config.data_type`` says.
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
        """Open the images."""
        opened = open_images(
            self.pred_data,
            self.pred_config.data_type,
            self.pred_config.axes,
            self.read_source_func,
            self.extension_filter,
        )
        chosen = self.pred_config.channels
        self.images = [select_channels(image, chosen) for image in opened]

    def predict_dataloader(self) -> DataLoader[tuple[torch.Tensor, int, Tile]]:
        """Batches ``(pixels, images, tiles)`` of tiles that are equally large.

        ``pixels`` is float32 ``(B, C, (Z), Y, X)``, normalised; ``images`` and ``tiles``
        are lists that say where each result belongs.
        """
        config = self.pred_config
        overlap = max(config.tile_overlap or (DEFAULT_OVERLAP,))
        dataset = TileDataset(
            self.images,
            Normalization(config.image_means, config.image_stds),
            config.tile_size,
            -(-overlap // 2),
            _MULTIPLE,
        )
        return DataLoader(
            dataset,
            batch_sampler=dataset.batches(config.batch_size),
            collate_fn=_collate,
            generator=torch.Generator(),
        )


def _collate(
    items: list[tuple[torch.Tensor, int, Tile]],
) -> tuple[torch.Tensor, list[int], list[Tile]]:
    pixels, images, tiles = zip(*items, strict=True)
    return torch.stack(pixels), list(images), list(tiles)
