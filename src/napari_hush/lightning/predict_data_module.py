"""Images to denoise, as a Lightning data module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytorch_lightning as L
import torch
from torch.utils.data import DataLoader

from napari_hush.config import UNetConfig
from napari_hush.io import (
    Image,
    check_source,
    is_path,
    list_files,
    open_images,
    select_channels,
)
from napari_hush.lightning.tile_dataset import TileDataset
from napari_hush.models.normalization import Normalization
from napari_hush.models.unet import halo

if TYPE_CHECKING:
    from napari_hush.config import InferenceConfig
    from napari_hush.io import ReadSource
    from napari_hush.prediction import Tile


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
    network : UNetConfig, optional
        The network that the tiles are for. They then overlap at least as much as it can
        see, so that the result does not depend on them, and have sizes that it can halve.
        By default they are large enough for any network up to depth 4, which for one of
        depth 2 is five times more than it needs; a ``tile_overlap`` in `pred_config` is
        then taken as it is.

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
        network: UNetConfig | None = None,
    ) -> None:
        super().__init__()
        check_source(pred_data, pred_config.data_type, read_source_func)
        self.pred_config = pred_config
        self.pred_data = pred_data
        self.read_source_func = read_source_func
        self.extension_filter = extension_filter
        self.network = network
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
            level=self.pred_config.level,
        )
        chosen = self.pred_config.channels
        self.images = [select_channels(image, chosen) for image in opened]

    def predict_dataloader(self) -> DataLoader[tuple[torch.Tensor, int, Tile]]:
        """Batches ``(pixels, images, tiles)`` of tiles that are equally large.

        ``pixels`` is float32 ``(B, C, (Z), Y, X)``, normalised; ``images`` and ``tiles``
        are lists that say where each result belongs.
        """
        config = self.pred_config
        network = self.network or _deepest(config.axes)
        sides = tuple(halo(levels, n2v2=network.n2v2) for levels in network.pooling)
        if config.tile_overlap is not None:
            wished = tuple(-(-overlap // 2) for overlap in config.tile_overlap)
            least = sides if self.network is not None else wished
            sides = tuple(max(pair) for pair in zip(wished, least, strict=True))
        dataset = TileDataset(
            self.images,
            Normalization(config.image_means, config.image_stds),
            config.tile_size,
            sides,
            network.multiple,
        )
        return DataLoader(
            dataset,
            batch_sampler=dataset.batches(config.batch_size),
            collate_fn=_collate,
            generator=torch.Generator(),
        )


def _deepest(axes: str) -> UNetConfig:
    """What tiles are made for where nobody names the network."""
    return UNetConfig(conv_dims=3 if "Z" in axes else 2, depth=4, n2v2=True)


def _collate(
    items: list[tuple[torch.Tensor, int, Tile]],
) -> tuple[torch.Tensor, list[int], list[Tile]]:
    pixels, images, tiles = zip(*items, strict=True)
    return torch.stack(pixels), list(images), list(tiles)
