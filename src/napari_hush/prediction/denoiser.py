"""A model made ready for a device: tiles in, denoised tiles out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_hush.dataset import exact_float, require_finite
from napari_hush.models import Model, choose_device, choose_precision, folded
from napari_hush.prediction.augmented import averaged
from napari_hush.prediction.fitting import Fitting
from napari_hush.prediction.tile_size import fitting_tile
from napari_hush.prediction.tiles import Tile, plan_tiles, read_tile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_hush.io import Image


class Denoiser:
    """Denoises tiles, whoever wants them and in whatever order.

    Parameters
    ----------
    model : Model
        Network and statistics.
    tile_size : sequence of int, optional
        ``((Z), Y, X)`` in pixels; by default what fits into the memory of the device.
    halo : sequence of int, optional
        Pixels ``((Z), Y, X)`` a tile sees beyond each side, where that is more than the
        network can use.
    batch_size : int
        Tiles per forward pass.
    versions : int
        Mirrored and turned versions to average over: 1, 2, 4 or 8.

    Attributes
    ----------
    device : torch.device
        Where it computes.
    precision : {"32", "bf16"}
        How precisely.
    tile_size : tuple of int
        What a tile fills ``((Z), Y, X)``, a multiple of the network's pooling.
    halo : tuple of int
        What a tile sees beyond each side.
    """

    def __init__(
        self,
        model: Model,
        *,
        tile_size: Sequence[int] | None = None,
        halo: Sequence[int] | None = None,
        batch_size: int = 1,
        versions: int = 1,
    ) -> None:
        training = model.config.training_config
        self.device = choose_device(training.device)
        self.precision = choose_precision(training.precision, self.device)
        self._model = model
        self._network = folded(model.network).to(self.device)
        self._versions = versions
        own = self._network.halo
        self.halo = own if halo is None else tuple(map(max, own, halo))
        self._step = self._network.multiple
        size = tile_size or fitting_tile(
            self._network, self.device, batch_size * min(versions, 4)
        )
        self.tile_size = tuple(
            -(-n // step) * step for n, step in zip(size, self._step, strict=True)
        )

    def plan(self, image: Image) -> list[Tile]:
        """All tiles of `image`, in order."""
        shape = image.axes.canonical_shape
        return plan_tiles(shape, self.halo, self._step, self.tile_size)

    def fitting(self, image: Image) -> Fitting:
        """What denoises tiles of `image`.

        Returns
        -------
        Fitting
            From tiles that read equally many pixels to pairs of a tile and its float32
            result, ``(C, (Z), Y, X)``, what it reads beyond its inner region included.

        Raises
        ------
        DataError
            When it is called: if the image holds NaN or infinite pixels.
        OutOfMemoryError
            When it is called: if not even a small tile fits.
        """
        samples = image.samples

        def compute(group: list[Tile]) -> Tensor:
            inputs = np.stack([read_tile(samples[tile.sample], tile) for tile in group])
            inputs = inputs.astype(exact_float(inputs.dtype))
            require_finite(inputs, image.name)
            return self._forward(inputs)

        return Fitting(compute, self.halo, self._step)

    def _forward(self, inputs: NDArray[Any]) -> Tensor:
        model = self._model
        batch = model.normalization.normalize(torch.from_numpy(inputs)).to(self.device)
        if batch.ndim == 4:
            batch = batch.contiguous(memory_format=torch.channels_last)
        bf16 = self.precision == "bf16"
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=bf16),
        ):
            clean = averaged(self._network, batch, self._versions).float()
        return model.output_normalization.denormalize(clean.cpu())


def inner_pixels(
    fitting: Fitting, group: list[Tile]
) -> Iterator[tuple[Tile, NDArray[np.float32]]]:
    """Denoise `group`; what each tile contributes to the result, ``(C, (Z), Y, X)``."""
    for tile, result in fitting(group):
        yield tile, result[(slice(None), *tile.crop)].numpy()
