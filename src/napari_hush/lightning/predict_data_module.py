"""The data module of the images to denoise."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as L
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from napari_hush.arguments import by_any_name
from napari_hush.config import InferenceConfig, UNetConfig
from napari_hush.dataset import require_finite
from napari_hush.errors import ConfigurationError
from napari_hush.io import (
    Image,
    check_source,
    is_path,
    list_files,
    open_images,
    select_channels,
)
from napari_hush.io.frames import frames_around
from napari_hush.models.normalization import Normalization, exact_float
from napari_hush.models.unet import halo
from napari_hush.prediction.tiles import Tile, group_by_shape, plan_tiles, read_tile
from napari_hush.prediction.to_array import with_channels

if TYPE_CHECKING:
    from napari_hush.io import ReadSource


TileBatch = tuple[torch.Tensor, list[int], list[Tile]]
"""Normalized pixels ``(B, C, (Z), Y, X)``, the number of each image, and the tiles."""
TilePrediction = tuple[int, Tile, NDArray[np.floating]]
"""Number of the image, tile, and its part of the result ``(C, (Z), Y, X)``."""


class PredictDataModule(L.LightningDataModule):
    """Read images to denoise tile by tile, as one stream over all images.

    Parameters
    ----------
    pred_config : InferenceConfig
        Kind of the data, axes, tile size and overlap.
    pred_data : array, str, Path, or list of one kind of them
        Images of any size, or files and folders.
    read_source_func, extension_filter
        For custom data, see `TrainDataModule`.
    network : UNetConfig, optional
        The network that denoises the tiles. They then overlap by at least its receptive
        field, so that the result does not depend on them, and have sizes that it can
        downsample. By default they suit any network up to depth 4, with five times the
        overlap that depth 2 needs; a ``tile_overlap`` in `pred_config` is then used
        unchanged.

    Attributes
    ----------
    images : list of Image
        The opened images, in the order given; set by `setup`.
    inherited_axes : bool
        Whether the axes are those of the training images, with which the images must agree;
        False by default: they are the user's, and override what the images say.

    Raises
    ------
    SourceTypeError, ConfigurationError
        If the data are not of ``pred_config.data_type``.
    """

    @by_any_name
    def __init__(
        self,
        pred_config: InferenceConfig,
        pred_data: Any,
        read_source_func: ReadSource | None = None,
        extension_filter: str = "",
        network: UNetConfig | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(pred_config, InferenceConfig):
            raise ConfigurationError(
                f"pred_config was given as {type(pred_config).__name__}; give an "
                "InferenceConfig."
            )
        check_source(pred_data, pred_config.data_type, read_source_func)
        self.pred_config = pred_config
        self.pred_data = pred_data
        self.read_source_func = read_source_func
        self.extension_filter = extension_filter
        self.network = network
        self.images: list[Image] = []
        self.inherited_axes = False

    def prepare_data(self) -> None:
        """Check that every path exists and holds files of the right kind."""
        if is_path(self.pred_data):
            kind, extension = self.pred_config.data_type, self.extension_filter
            list_files(self.pred_data, kind, extension, report=False)

    def setup(self, stage: str | None = None) -> None:
        """Open the images."""
        opened = open_images(
            self.pred_data,
            self.pred_config.data_type,
            self.pred_config.axes,
            self.read_source_func,
            self.extension_filter,
            **self.pred_config.selection,
            inherited=self.inherited_axes,
            equivalent=self.inherited_axes,
        )
        chosen = self.pred_config.channels
        self.images = [select_channels(image, chosen) for image in opened]

    def assemble(self, predictions: list[list[TilePrediction]]) -> list[NDArray[Any]]:
        """The denoised images from the result of ``Trainer.predict`` with this module.

        They are float32, in the axes, shape and intensities of their sources, with the
        model's output channels (C first if the source has none).
        """
        results: list[Any] = [None] * len(self.images)
        tiles = [tile for batch in predictions for tile in batch]
        for number, tile, pixels in tiles:
            axes = with_channels(self.images[number].axes, len(pixels))
            if results[number] is None:
                results[number] = np.zeros(axes.shape, np.float32)
            axes.samples(results[number])[tile.sample][(slice(None), *tile.inner)] = pixels
        return [
            image.like_source(result)
            for image, result in zip(self.images, results, strict=True)
        ]

    def predict_dataloader(self) -> DataLoader[TileBatch]:
        """Batches ``(pixels, images, tiles)`` of tiles of equal size.

        ``pixels`` is float32 ``(B, C, (Z), Y, X)``, normalized; ``images`` and ``tiles``
        are lists that say where each result belongs.
        """
        config = self.pred_config
        network = self.network or _deepest(config.axes)
        sides = tuple(halo(levels, n2v2=network.n2v2) for levels in network.pooling)
        if config.tile_overlap is not None:
            wished = tuple(-(-overlap // 2) for overlap in config.tile_overlap)
            sides = wished if self.network is None else tuple(map(max, wished, sides))
        dataset = TileDataset(
            self.images,
            Normalization(config.image_means, config.image_stds),
            config.tile_size,
            sides,
            network.multiple,
            reflects=network.reflects,
            time_context=network.time_context,
        )
        batches = TileBatches(dataset, config.batch_size)
        # Lightning accepts no sampler of whole batches here.
        return DataLoader(
            batches, batch_size=None, collate_fn=_unchanged, generator=torch.Generator()
        )


class TileDataset(Dataset[tuple[torch.Tensor, int, Tile]]):
    """The tiles of all images, normalized; read when they are indexed.

    ``dataset[i]`` is ``(pixels, image, tile)``: float32 ``(C, (Z), Y, X)``, the number of
    the image, and the `Tile` that says where the result belongs. A `tile_size` of None
    makes one tile of each sample. With a `time_context` each channel has so many frames
    before and after its own.
    """

    def __init__(
        self,
        images: Sequence[Image],
        normalization: Normalization,
        tile_size: Sequence[int] | None,
        halo: int | Sequence[int],
        multiple: int | Sequence[int],
        *,
        reflects: bool = True,
        time_context: int = 0,
    ) -> None:
        self._names = [image.name for image in images]
        self._samples = [frames_around(image, time_context) for image in images]
        self._normalization = normalization.for_frames(2 * time_context + 1)
        self._tiles = [
            (number, tile)
            for number, image in enumerate(images)
            for tile in plan_tiles(
                image.axes.canonical_shape,
                halo,
                multiple,
                image.axes.canonical_shape[2:] if tile_size is None else tile_size,
                reflects=reflects,
            )
        ]

    def batches(self, size: int) -> list[list[int]]:
        """Indices in order, in groups of at most `size` tiles of one size."""
        indices = iter(range(len(self._tiles)))
        groups = group_by_shape((tile for _, tile in self._tiles), size)
        return [list(itertools.islice(indices, len(group))) for group in groups]

    def __len__(self) -> int:
        return len(self._tiles)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int, Tile]:
        image, tile = self._tiles[index]
        pixels = read_tile(self._samples[image][tile.sample], tile)
        require_finite(pixels, self._names[image])
        batch = torch.from_numpy(np.array(pixels[None], exact_float(pixels.dtype)))
        return self._normalization.normalize(batch)[0], image, tile


class TileBatches(Dataset[TileBatch]):
    """The tiles of a `TileDataset`, at most `size` of one shape at once."""

    def __init__(self, tiles: TileDataset, size: int) -> None:
        self._tiles = tiles
        self._groups = tiles.batches(size)

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, index: int) -> TileBatch:
        group = [self._tiles[number] for number in self._groups[index]]
        pixels, images, tiles = zip(*group, strict=True)
        return torch.stack(pixels), list(images), list(tiles)


def _unchanged(batch: Any) -> Any:
    return batch


def _deepest(axes: str) -> UNetConfig:
    """The network with the largest receptive field, if none is given."""
    return UNetConfig(conv_dims=3 if "Z" in axes else 2, depth=4, n2v2=True)
