"""A model made ready for a device: tiles in, denoised tiles out."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_hush.dataset import require_finite
from napari_hush.errors import OutOfMemoryError
from napari_hush.models import (
    Model,
    choose_device,
    choose_precision,
    fuse_batch_norm,
    fuse_relu,
    is_out_of_memory,
)
from napari_hush.models.normalization import exact_float
from napari_hush.prediction.tiles import (
    Tile,
    even,
    fitting_tile,
    halved,
    plan_tiles,
    read_tile,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_hush.io import Image


class Fitting:
    """Cuts groups of tiles into smaller pieces where memory runs out.

    What fitted is remembered, so that memory runs out a few times per image and not for
    every group of tiles. The result does not depend on it.

    Parameters
    ----------
    compute : callable
        Takes tiles that read equally many pixels, gives a result for each.
    halo, multiple : sequence of int
        Of the network, as `plan_tiles` was given them.
    """

    def __init__(
        self,
        compute: Callable[[list[Tile]], Sequence[Any]],
        halo: Sequence[int],
        multiple: Sequence[int],
    ) -> None:
        self._compute = compute
        self._halo, self._multiple = halo, multiple
        self._fits = float("inf")

    def __call__(self, group: list[Tile]) -> Iterator[tuple[Tile, Any]]:
        """The tiles of `group`, or smaller ones that make them up, with their results.

        Raises
        ------
        OutOfMemoryError
            If not even the smallest tile fits.
        """
        pieces = [group]
        while pieces:
            piece = pieces.pop()
            if _pixels(piece) < self._fits:
                try:
                    results = self._compute(piece)
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                else:
                    yield from zip(piece, results, strict=True)
                    continue
                # Beyond the except clause: the error holds on to what was computed so far.
                self._fits = _pixels(piece)
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
            pieces += reversed(self._smaller(piece))

    def _smaller(self, piece: list[Tile]) -> list[list[Tile]]:
        if len(piece) > 1:
            middle = len(piece) // 2
            return [piece[:middle], piece[middle:]]
        parts = halved(piece[0], self._halo, self._multiple)
        if parts is None:
            raise OutOfMemoryError(
                "Not even a tile of "
                + " x ".join(str(size) for size in piece[0].outer_shape)
                + " pixels fits into the memory of the device; close other programs that "
                "use it, or use another device or a model with fewer filters."
            )
        return [[part] for part in parts]


def _pixels(piece: list[Tile]) -> int:
    pixels = len(piece)
    for size in piece[0].outer_shape:
        pixels *= size
    return pixels


class Denoiser:
    """Denoises tiles, whoever wants them and in whatever order.

    Parameters
    ----------
    model : Model
        Network and statistics.
    tile_size : sequence of int, optional
        ``((Z), Y, X)`` in pixels; by default as even as can be, and as large as fits into
        the memory of the device.
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
        network = fuse_batch_norm(model.network).to(self.device)
        if self.device.type == "cpu":
            network = fuse_relu(network, self.precision)
        self._network = network
        self._versions = versions
        own = self._network.halo
        self.halo = own if halo is None else tuple(map(max, own, halo))
        self._step = self._network.multiple
        # What every tile sees beyond either end along Y and X.
        self._margin = min(
            -(-n // step) * step
            for n, step in zip(self.halo[-2:], self._step[-2:], strict=True)
        )
        self._wanted = tile_size
        self._largest = fitting_tile(
            self._network, self.device, self.precision, batch_size * min(versions, 4)
        )

    def tile_size(self, image: Image) -> tuple[int, ...]:
        """What a tile of `image` fills ``((Z), Y, X)``, multiples of the pooling."""
        if self._wanted is None:
            shape = image.axes.canonical_shape[2:]
            return even(shape, self._largest, self._step)
        return tuple(
            -(-n // step) * step for n, step in zip(self._wanted, self._step, strict=True)
        )

    def plan(self, image: Image) -> list[Tile]:
        """All tiles of `image`, in order."""
        shape = image.axes.canonical_shape
        return plan_tiles(shape, self.halo, self._step, self.tile_size(image))

    def fitting(
        self, image: Image, see: Callable[[NDArray[Any]], None] | None = None
    ) -> Fitting:
        """What denoises tiles of `image`.

        Parameters
        ----------
        image : Image
            What is denoised.
        see : callable, optional
            Gets the intensities ``(n, C, (Z), Y, X)`` that are denoised.

        Returns
        -------
        Fitting
            From tiles that read equally many pixels to pairs of a tile and its `Arriving`.

        Raises
        ------
        DataError
            When it is called: if the image holds NaN or infinite pixels.
        OutOfMemoryError
            When it is called: if not even a small tile fits.
        """
        samples = image.samples

        def compute(group: list[Tile]) -> list[Arriving]:
            inputs = np.stack([read_tile(samples[tile.sample], tile) for tile in group])
            inputs = inputs.astype(exact_float(inputs.dtype), copy=False)
            require_finite(inputs, image.name)
            if see is not None:
                see(inputs)
            return self._forward(inputs)

        return Fitting(compute, self.halo, self._step)

    def stream(
        self, fitting: Fitting, groups: Iterable[list[Tile]]
    ) -> Iterator[tuple[list[Tile], Iterator[tuple[Tile, NDArray[np.float32]]]]]:
        """Denoise one group after the other.

        A GPU gets the next group before the results of one are handed out: it computes
        while they are written.

        Yields
        ------
        group : list of Tile
            As it was given.
        results : iterator
            Its tiles, or smaller ones that make them up, and what each contributes to the
            result, float32 ``(C, (Z), Y, X)``.
        """
        waiting: deque[tuple[list[Tile], list[tuple[Tile, Arriving]]]] = deque()
        for group in groups:
            waiting.append((group, list(fitting(group))))
            if self.device.type != "cuda" or len(waiting) > 1:
                group, results = waiting.popleft()
                yield group, _inner(results)
        while waiting:
            group, results = waiting.popleft()
            yield group, _inner(results)

    def _forward(self, inputs: NDArray[Any]) -> list[Arriving]:
        model = self._model
        batch = torch.from_numpy(inputs)
        if self.device.type == "cuda":  # memory that the GPU fetches from by itself
            batch = batch.pin_memory()
        batch = model.normalization.normalize(batch.to(self.device, non_blocking=True))
        if batch.ndim == 4:
            batch = batch.contiguous(memory_format=torch.channels_last)
        bf16 = self.precision == "bf16"
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=bf16),
        ):
            network = partial(self._network, margin=self._margin)
            clean = averaged(network, batch, self._versions).float()
            clean = model.output_normalization.denormalize(clean)
        if self.device.type != "cuda":
            return [Arriving(result, self._margin) for result in clean.cpu()]
        fetched = torch.empty(clean.shape, pin_memory=True)
        fetched.copy_(clean, non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record()
        return [Arriving(result, self._margin, done) for result in fetched]


@dataclass(frozen=True)
class Arriving:
    """The result of a tile, on its way from a device.

    Attributes
    ----------
    tensor : Tensor
        ``(C, (Z), Y, X)`` float32, its outer region but for the margin.
    margin : int
        Pixels at either end of Y and X that it lacks.
    there : torch.cuda.Event, optional
        Happens when it has arrived; None if it has.
    """

    tensor: Tensor
    margin: int
    there: torch.cuda.Event | None = None

    def pixels(self, tile: Tile) -> NDArray[np.float32]:
        """What it contributes to the result, once it is there."""
        if self.there is not None:
            self.there.synchronize()
        *z, y, x = tile.crop
        y, x = (slice(a.start - self.margin, a.stop - self.margin) for a in (y, x))
        found: NDArray[np.float32] = self.tensor[(slice(None), *z, y, x)].numpy()
        return found


def inner_pixels(
    fitting: Fitting, group: list[Tile]
) -> Iterator[tuple[Tile, NDArray[np.float32]]]:
    """Denoise `group`; what each tile contributes to the result, ``(C, (Z), Y, X)``."""
    return _inner(fitting(group))


def _inner(
    results: Iterable[tuple[Tile, Arriving]],
) -> Iterator[tuple[Tile, NDArray[np.float32]]]:
    for tile, result in results:
        yield tile, result.pixels(tile)


_MIRRORINGS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))


def averaged(network: Callable[[Tensor], Tensor], batch: Tensor, versions: int) -> Tensor:
    """What `network` makes of `batch`, averaged over versions of it.

    Parameters
    ----------
    network : callable
        Takes and returns ``(B, C, (Z), Y, X)``.
    batch : Tensor
        ``(B, C, (Z), Y, X)``; Y and X may differ.
    versions : int
        1: as it is. 2: mirrored along X as well. 4: along X, Y and both. 8: these with Y
        and X exchanged, too.
    """
    mirrorings = _MIRRORINGS[: min(versions, 4)]
    total = _over(network, batch, mirrorings)
    if versions == 8:
        total = total + _over(network, batch.mT.contiguous(), mirrorings).mT
    return total / versions


def _over(
    network: Callable[[Tensor], Tensor],
    batch: Tensor,
    mirrorings: tuple[tuple[int, ...], ...],
) -> Tensor:
    """Sum over mirrored versions, all of them in one batch."""
    results = network(torch.cat([batch.flip(axes) for axes in mirrorings]))
    parts = results.chunk(len(mirrorings))
    return torch.stack(
        [part.flip(axes) for part, axes in zip(parts, mirrorings, strict=True)]
    ).sum(0)
