"""A model on its device: tiles of one image in, denoised tiles out."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from napari_hush.dataset import require_finite
from napari_hush.errors import ModelFileError, OutOfMemoryError
from napari_hush.io.frames import frames_around, middle_frame
from napari_hush.models import (
    Model,
    choose_device,
    choose_precision,
    fuse_batch_norm,
    fuse_relu,
    is_out_of_memory,
)
from napari_hush.models.built_in import built_in_denoiser, suited
from napari_hush.models.normalization import exact_float
from napari_hush.models.unet import UNet, cropped, with_own_value
from napari_hush.prediction.cast import check_holds, result_dtype
from napari_hush.prediction.own_scaling import own_scalings
from napari_hush.prediction.tiles import (
    Tile,
    TileBlocks,
    even,
    extents,
    fitting_tile,
    halved,
    plan_tiles,
    read_tile,
)

if TYPE_CHECKING:
    from torch import Tensor

    from napari_hush.config import InferenceConfig
    from napari_hush.io import Image
    from napari_hush.models.file import BuiltInShare

Result = TypeVar("Result")
_SCALED_BY = 2**24  # pixels of a sample that scale the built-in denoiser's part


class Denoiser:
    """Denoises the tiles of one image, in any order.

    `observe` gets the intensities ``(B, C, (Z), Y, X)`` of every batch before it is
    denoised. A tile fills `tile_size` pixels ``((Z), Y, X)``, multiples of the pooling, and
    reads `halo` pixels beyond each side.
    """

    def __init__(
        self,
        model: Model,
        image: Image,
        config: InferenceConfig,
        observe: Callable[[NDArray[Any]], None] | None = None,
    ) -> None:
        training = model.config.training_config
        self.device = choose_device(training.device)
        wish = config.precision or training.precision
        self.precision = choose_precision(wish, self.device)
        self._model = model
        self.channels = model.config.algorithm_config.model.num_classes
        self._context = model.network.config.time_context
        self._image, self._samples = image, frames_around(image, self._context)
        self._observe = observe
        network = fuse_batch_norm(model.network).to(self.device)
        if self.device.type == "cpu":
            network = fuse_relu(network, self.precision)
        self._network = network
        self._tta = config.tta
        self._own_value = model.own_value if config.own_value == "auto" else ()
        share = model.built_in_share if config.own_value == "auto" else None
        self._built_in = None if share is None else (share, self._denoiser_of(share))
        dtype = result_dtype(image, config.dtype)
        check_holds(dtype, model.output_normalization)
        self._result: torch.dtype = getattr(torch, exact_float(dtype).__name__)
        overlap = config.tile_overlap or (0,) * len(network.halo)
        wanted = (-(-pixels // 2) for pixels in overlap)
        # The network of another program may take tiles of one size only.
        self._largest = getattr(network, "largest", None)
        self.halo = network.halo
        if self._largest is None:
            self.halo = tuple(map(max, network.halo, wanted))
        self._step = network.multiple
        if self._built_in is not None:
            self.halo = tuple(map(max, self.halo, self._built_in[1].halo))
            self._step = tuple(map(max, self._step, self._built_in[1].multiple))
        prepare = getattr(network, "prepare", None)
        # How the built-in denoiser scales a sample and its result.
        self._scalings_of = cache(
            lambda number: own_scalings(image.samples[number], image.name, _SCALED_BY)
        )
        self._prepared = prepare and cache(lambda number: prepare(self._samples[number]))
        # Pixels that every tile reads beyond both ends of Y and X.
        self._reflects = network.config.reflects
        self._margin = self._reflects * min(
            -(-n // step) * step
            for n, step in zip(self.halo[-2:], self._step[-2:], strict=True)
        )
        self.tile_size = self._tile_size(config)
        self._memory = MemoryLimit(self.halo, self._step)

    def _denoiser_of(self, share: BuiltInShare) -> UNet:
        """The built-in denoiser for the channels of the image, on the device."""
        model = built_in_denoiser()
        if model.provenance.built_in_sha256 != share.sha256:
            raise ModelFileError(
                "Results of this model are in part those of the built-in denoiser of "
                "another version of napari-hush; use that version, or predict with "
                "own_value='off' (--own-value off) for the output of the network alone."
            )
        network = fuse_batch_norm(suited(model, self._image).network).to(self.device)
        on_cpu = self.device.type == "cpu"
        return fuse_relu(network, self.precision) if on_cpu else network

    def _tile_size(self, config: InferenceConfig) -> tuple[int, ...]:
        if config.tile_size is not None:
            size = tuple(
                -(-n // step) * step
                for n, step in zip(config.tile_size, self._step, strict=True)
            )
            return size if self._largest is None else tuple(map(min, size, self._largest))
        at_once = config.batch_size * min(config.tta, 4)
        # The built-in denoiser takes more memory.
        network = self._built_in[1] if self._built_in is not None else self._network
        largest = fitting_tile(network, self.device, self.precision, at_once)
        if self._largest is not None:
            largest = tuple(map(min, largest, self._largest))
        return even(self._image.axes.canonical_shape[2:], largest, self._step)

    def plan(self) -> list[Tile]:
        """All tiles of the image, in order."""
        return plan_tiles(*self._sizes, reflects=self._reflects)

    def blocks(self, block: Sequence[int]) -> TileBlocks:
        """The tiles by the block ``((Z), Y, X)`` of a file that they fill, in order."""
        per_axis = extents(*self._sizes, reflects=self._reflects)
        return TileBlocks(self._image.axes.canonical_shape[0], per_axis, block)

    @property
    def _sizes(self) -> tuple[Sequence[int], ...]:
        shape = self._image.axes.canonical_shape
        return shape, self.halo, self._step, self.tile_size

    def denoise(self, group: list[Tile]) -> Iterator[tuple[Tile, NDArray[np.floating]]]:
        """Denoise tiles that read equally many pixels.

        Yields each tile, or parts of it where memory is short, with its inner region of
        the result ``(C, (Z), Y, X)``, float32, or float64 if its dtype needs it.
        """
        return _arrived(self._memory.apply(self._compute, group))

    def stream(
        self, groups: Iterable[list[Tile]]
    ) -> Iterator[tuple[list[Tile], Iterator[tuple[Tile, NDArray[np.floating]]]]]:
        """Denoise one group after the other; yields each with its results, see `denoise`.

        A GPU gets the next group before the results of one are handed out: it computes
        while they are written.
        """
        waiting: deque[tuple[list[Tile], list[tuple[Tile, Pending]]]] = deque()
        for group in groups:
            waiting.append((group, list(self._memory.apply(self._compute, group))))
            if self.device.type != "cuda" or len(waiting) > 1:
                group, results = waiting.popleft()
                yield group, _arrived(results)
        while waiting:
            group, results = waiting.popleft()
            yield group, _arrived(results)

    def _read(self, group: list[Tile]) -> NDArray[np.floating]:
        """The outer regions ``(B, C, (Z), Y, X)`` of tiles, and frames around them."""
        inputs = np.stack([read_tile(self._samples[tile.sample], tile) for tile in group])
        inputs = inputs.astype(exact_float(inputs.dtype), copy=False)
        require_finite(inputs, self._image.name)
        return inputs

    def _compute(self, group: list[Tile]) -> list[Pending]:
        """Read, normalize and denoise one batch."""
        inputs = self._read(group)
        if self._observe is not None:
            self._observe(middle_frame(inputs, self._context))
        raw = torch.from_numpy(inputs)
        if self.device.type == "cuda":  # pinned memory is copied in the background
            raw = raw.pin_memory()
        raw = raw.to(self.device, non_blocking=True)
        with (
            torch.inference_mode(),
            torch.autocast(
                self.device.type, torch.bfloat16, enabled=self.precision == "bf16"
            ),
        ):
            if self._built_in is None:
                clean = self._own_result(group, raw)
            else:
                clean = self._shared_result(*self._built_in, group, raw)
        if self.device.type != "cuda":
            return [Pending(result, self._margin) for result in clean]
        fetched = torch.empty(clean.shape, dtype=clean.dtype, pin_memory=True)
        fetched.copy_(clean, non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record()
        return [Pending(result, self._margin, arrived) for result in fetched]

    def _own_result(self, group: list[Tile], raw: Tensor) -> Tensor:
        """The result of the model's network for a `raw` batch."""
        model = self._model
        scalings = [model.of_samples[tile.sample] for tile in group if model.of_samples]
        if scalings:
            batch = _each([before.normalize for before, _ in scalings], raw)
        else:
            batch = model.normalization.for_frames(2 * self._context + 1).normalize(raw)
        if self._prepared is not None:
            pairs = zip(group, batch, strict=True)
            batch = torch.stack([self._prepared(tile.sample)(item) for tile, item in pairs])
        unused = 0
        if self._built_in is not None:  # which needs more pixels around
            unused = (self._margin - self._network.halo[-1]) // self._step[-1]
            unused *= self._step[-1]
        network = partial(self._network, margin=self._margin - unused)
        clean = augmented_mean(network, _in_rows(cropped(batch, unused)), self._tta)
        clean = clean if self.device.type == "cuda" else clean.cpu()
        clean = clean.to(self._result)
        if scalings:
            clean = _each([after.denormalize for _, after in scalings], clean)
        else:
            clean = model.output_normalization.denormalize(clean)
        if self._own_value:
            noisy = middle_frame(raw, self._context)
            noisy = noisy[(..., *(slice(self._margin, -self._margin or None),) * 2)]
            clean = with_own_value(clean, noisy.to(clean.device), self._own_value)
        return clean

    def _shared_result(
        self, share: BuiltInShare, network: UNet, group: list[Tile], raw: Tensor
    ) -> Tensor:
        """The result for a `raw` batch, with its share of the built-in denoiser."""
        own = [self._scalings_of(tile.sample) for tile in group]
        frame = middle_frame(raw, self._context)
        batch = _in_rows(_each([before.normalize for before, _ in own], frame))
        result = augmented_mean(partial(network, margin=self._margin), batch, self._tta)
        result = result if self.device.type == "cuda" else result.cpu()
        result = _each([after.denormalize for _, after in own], result.to(self._result))
        if min(share.shares) == 1:
            return result
        clean = self._own_result(group, raw)
        part = torch.tensor(share.shares).reshape(1, -1, *(1,) * len(self.halo))
        return torch.lerp(clean, result, part.to(clean))


def _in_rows(batch: Tensor) -> Tensor:
    """A batch of planes with the channels of a pixel side by side, which is faster."""
    layout = torch.channels_last if batch.ndim == 4 else torch.contiguous_format
    return batch.contiguous(memory_format=layout)


def _each(functions: Sequence[Callable[[Tensor], Tensor]], batch: Tensor) -> Tensor:
    """One function per item of `batch`."""
    pairs = zip(functions, batch, strict=True)
    return torch.cat([function(item[None]) for function, item in pairs])


@dataclass(frozen=True)
class Pending:
    """The result of a tile, possibly still on its way from the device."""

    tensor: Tensor
    """``(C, (Z), Y, X)``, the tile's outer region without `margin`."""
    margin: int
    """Pixels missing at both ends of Y and X."""
    arrived: torch.cuda.Event | None = None
    """Occurs when the copy from the device is complete; None if it is."""

    def pixels(self, tile: Tile) -> NDArray[np.floating]:
        """The tile's inner region of the result; waits for the device."""
        if self.arrived is not None:
            self.arrived.synchronize()
        *z, y, x = tile.crop
        y, x = (slice(a.start - self.margin, a.stop - self.margin) for a in (y, x))
        inner: NDArray[np.floating] = self.tensor[(slice(None), *z, y, x)].numpy()
        return inner


def _arrived(
    results: Iterable[tuple[Tile, Pending]],
) -> Iterator[tuple[Tile, NDArray[np.floating]]]:
    for tile, result in results:
        yield tile, result.pixels(tile)


class MemoryLimit:
    """Splits groups where memory runs out; remembers the size that failed."""

    def __init__(self, halo: Sequence[int], multiple: Sequence[int]) -> None:
        self._halo, self._multiple = halo, multiple
        self._failed = math.inf

    def apply(
        self, compute: Callable[[list[Tile]], Sequence[Result]], group: list[Tile]
    ) -> Iterator[tuple[Tile, Result]]:
        """Yield the tiles of `group`, or parts of them, with their results."""
        pieces = [group]
        while pieces:
            piece = pieces.pop()
            if _pixels(piece) < self._failed:
                try:
                    results = compute(piece)
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                else:
                    yield from zip(piece, results, strict=True)
                    continue
                # After the except clause: the error refers to the tensors of the attempt.
                self._failed = _pixels(piece)
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
            pieces += reversed(self._split(piece))

    def _split(self, piece: list[Tile]) -> list[list[Tile]]:
        if len(piece) > 1:
            middle = len(piece) // 2
            return [piece[:middle], piece[middle:]]
        parts = halved(piece[0], self._halo, self._multiple)
        if parts is None:
            size = " x ".join(str(size) for size in piece[0].outer_shape)
            raise OutOfMemoryError(
                f"Not even a tile of {size} pixels fits into the memory of the device; "
                "close other programs that use it, or use another device or a model with "
                "fewer filters."
            )
        return [[part] for part in parts]


def _pixels(piece: list[Tile]) -> int:
    return len(piece) * math.prod(piece[0].outer_shape)


_FLIPS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))


def augmented_mean(network: Callable[[Tensor], Tensor], batch: Tensor, tta: int) -> Tensor:
    """Average the output of `network` over flips and rotations of ``(B, C, (Z), Y, X)``.

    With `tta` 2, `batch` is also flipped along X; with 4 along X, Y and both; with 8 all
    that with Y and X exchanged as well.
    """
    flips = _FLIPS[: min(tta, 4)]
    total = _sum_over(network, batch, flips)
    if tta == 8:
        total = total + _sum_over(network, batch.mT.contiguous(), flips).mT
    return total / tta


def _sum_over(
    network: Callable[[Tensor], Tensor], batch: Tensor, flips: tuple[tuple[int, ...], ...]
) -> Tensor:
    """Sum of the outputs for all flips, computed in one batch."""
    results = network(torch.cat([batch.flip(axes) for axes in flips]))
    parts = results.chunk(len(flips))
    return torch.stack(
        [part.flip(axes) for part, axes in zip(parts, flips, strict=True)]
    ).sum(0)
