"""Tiles of images as a dataset, for prediction loops of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from napari_hush.dataset import require_finite
from napari_hush.models.normalization import exact_float
from napari_hush.prediction.tiles import Tile, plan_tiles, read_tile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_hush.io import Image
    from napari_hush.models.normalization import Normalization


class TileDataset(Dataset[tuple[torch.Tensor, int, Tile]]):
    """Every tile of every image, in one stream, normalised; read when asked for.

    ``dataset[i]`` is ``(pixels, image, tile)``: float32 ``(C, (Z), Y, X)``, the number of
    the image, and the `Tile` that says where the result belongs.

    Parameters
    ----------
    images : sequence of Image
        Any sizes; they may be on disk.
    normalization : Normalization
        Statistics of the training data.
    tile_size : sequence of int, optional
        Inner size ``((Z), Y, X)``; None for each sample as one tile.
    halo : int or sequence of int
        Pixels that a tile sees beyond each side, of all axes or of each.
    multiple : int or sequence of int
        What the sizes of the pixels are a multiple of, of all axes or of each.
    """

    def __init__(
        self,
        images: Sequence[Image],
        normalization: Normalization,
        tile_size: Sequence[int] | None,
        halo: int | Sequence[int],
        multiple: int | Sequence[int],
    ) -> None:
        self._names = [image.name for image in images]
        self._samples = [image.samples for image in images]
        self._normalization = normalization
        self._tiles = [
            (number, tile)
            for number, image in enumerate(images)
            for tile in plan_tiles(
                image.axes.canonical_shape,
                halo,
                multiple,
                image.axes.canonical_shape[2:] if tile_size is None else tile_size,
            )
        ]

    def batches(self, size: int) -> list[list[int]]:
        """Indices in order, in groups of at most `size` tiles of one size."""
        found: list[list[int]] = []
        for index, (_, tile) in enumerate(self._tiles):
            last = found[-1] if found else []
            same = last and self._tiles[last[0]][1].outer_shape == tile.outer_shape
            if same and len(last) < size:
                last.append(index)
            else:
                found.append([index])
        return found

    def __len__(self) -> int:
        return len(self._tiles)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int, Tile]:
        image, tile = self._tiles[index]
        pixels = read_tile(self._samples[image][tile.sample], tile)
        require_finite(pixels, self._names[image])
        batch = torch.from_numpy(np.array(pixels[None], exact_float(pixels.dtype)))
        return self._normalization.normalize(batch)[0], image, tile
