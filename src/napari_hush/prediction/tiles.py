"""Tiles: the pixels that are denoised at once, and those that the network reads for them.

A tile's *inner* region is its part of the result; inner regions cover an image once and do
not overlap. Its *outer* region adds the network's halo, so that no inner pixel depends on
where the tile ends; it may reach beyond the image, which is padded by reflection. Outer
regions start at multiples of the network's pooling, so that every pixel meets the pooling
grid at the same phase: the result does not depend on the tiles.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from napari_hush.boxes import spans

if TYPE_CHECKING:
    from napari_hush.models import Precision, UNet


class Tile(NamedTuple):  # Lightning passes no frozen dataclass on
    """A part of an image that is denoised at once."""

    sample: int
    """Index along S."""
    inner: tuple[slice, ...]
    """Region of the result that it fills, ``((Z), Y, X)``."""
    outer: tuple[tuple[int, int], ...]
    """First pixel that it reads and the one after the last, along each spatial axis."""

    @property
    def region(self) -> tuple[slice, ...]:
        """Region of the result that it fills, ``(S, C, (Z), Y, X)``."""
        return (slice(self.sample, self.sample + 1), slice(None), *self.inner)

    @property
    def outer_shape(self) -> tuple[int, ...]:
        """Pixels that it reads along each axis."""
        return tuple(last - first for first, last in self.outer)

    @property
    def crop(self) -> tuple[slice, ...]:
        """The inner region, counted from the start of the outer one."""
        return tuple(
            slice(i.start - first, i.stop - first)
            for i, (first, _) in zip(self.inner, self.outer, strict=True)
        )


def plan_tiles(
    shape: Sequence[int],
    halo: int | Sequence[int],
    multiple: int | Sequence[int],
    tile_size: Sequence[int],
    *,
    reflects: bool = True,
) -> list[Tile]:
    """Cut an image of `shape` ``(S, C, (Z), Y, X)`` into tiles.

    A tile fills `tile_size` pixels ``((Z), Y, X)``, rounded up to `multiple`, and reads
    `halo` pixels beyond each side, to the next multiple. `halo` and `multiple` are those
    of the `UNet`, one number or one per axis. Unless it `reflects` the image beyond its
    border, no tile reads more than the next multiple.
    """
    per_axis = extents(shape, halo, multiple, tile_size, reflects=reflects)
    return [tile for sample in range(shape[0]) for tile in _product_of(sample, per_axis)]


Extents = list[tuple[slice, tuple[int, int]]]
"""Inner and outer extents of all tiles along one axis."""


def extents(
    shape: Sequence[int],
    halo: int | Sequence[int],
    multiple: int | Sequence[int],
    tile_size: Sequence[int],
    *,
    reflects: bool = True,
) -> list[Extents]:
    """Extents along each of ``((Z), Y, X)``, whose products are the tiles of a sample.

    Takes the arguments of `plan_tiles`.
    """
    spatial = shape[2:]
    dims = len(spatial)
    along = zip(spatial, tile_size, _each(halo, dims), _each(multiple, dims), strict=True)
    return [
        _along(size, tile, beyond, step, reflected=reflects and axis >= dims - 2)
        for axis, (size, tile, beyond, step) in enumerate(along)
    ]


def _product_of(sample: int, per_axis: Sequence[Extents]) -> list[Tile]:
    return [
        Tile(sample, tuple(p[0] for p in pieces), tuple(p[1] for p in pieces))
        for pieces in itertools.product(*per_axis)
    ]


class TileBlocks(Sequence[list[Tile]]):
    """Tiles grouped by the block of a file, ``((Z), Y, X)``, that they fill.

    Blocks have whole tiles. Their tiles are made when asked for, so that there may be any
    number of them.
    """

    def __init__(
        self, samples: int, per_axis: Sequence[Extents], block: Sequence[int]
    ) -> None:
        self._axes: list[list[Extents]] = []
        for axis, size in zip(per_axis, block, strict=True):
            found: dict[int, Extents] = {}
            for inner, outer in axis:
                found.setdefault(inner.start // size, []).append((inner, outer))
            self._axes.append([*found.values()])
        self._grid = (samples, *map(len, self._axes))
        self.num_tiles = samples * math.prod(map(len, per_axis))
        """Tiles in all blocks."""

    def __len__(self) -> int:
        return math.prod(self._grid)

    def __getitem__(self, number: int) -> list[Tile]:  # type: ignore[override]  # no slices
        if not 0 <= number < len(self):
            raise IndexError(f"Block {number} of {len(self)}")
        sample, *at = (int(i) for i in np.unravel_index(number, self._grid))
        return _product_of(sample, [a[i] for a, i in zip(self._axes, at, strict=True)])


def halved(
    tile: Tile, halo: Sequence[int], multiple: Sequence[int]
) -> tuple[Tile, Tile] | None:
    """Cut a tile of `plan_tiles` in two, across its longest side; None if it is too small.

    Takes the same `halo` and `multiple`, one per axis. Both parts together give the same
    result as `tile`.
    """
    sizes = [part.stop - part.start for part in tile.inner]
    fits = [size > step for size, step in zip(sizes, multiple, strict=True)]
    if not any(fits):
        return None
    axis = max(range(len(sizes)), key=lambda i: sizes[i] * fits[i])
    step, inner, (first, last) = multiple[axis], tile.inner[axis], tile.outer[axis]
    middle = inner.start + _up(sizes[axis] // 2, step)
    beyond = _up(halo[axis], step)

    def piece(part: slice, ends: tuple[int, int]) -> Tile:
        return Tile(
            tile.sample,
            (*tile.inner[:axis], part, *tile.inner[axis + 1 :]),
            (*tile.outer[:axis], ends, *tile.outer[axis + 1 :]),
        )

    return (
        piece(slice(inner.start, middle), (first, min(last, middle + beyond))),
        piece(slice(middle, inner.stop), (max(first, middle - beyond), last)),
    )


def read_tile(pixels: Any, tile: Tile) -> NDArray[Any]:
    """Read the outer region of `tile` from its sample, both ``(C, (Z), Y, X)``.

    Beyond its border the image is reflected, the border pixel not repeated. Only the
    pixels needed are read, so the sample may be on disk.
    """
    spatial = pixels.shape[1:]
    index = [
        reflect(np.arange(*ends), size)
        for ends, size in zip(tile.outer, spatial, strict=True)
    ]
    region = [slice(int(i.min()), int(i.max()) + 1) for i in index]
    read: NDArray[Any] = pixels[(slice(0, pixels.shape[0]), *region)]
    beyond = [
        (max(-first, 0), max(last - size, 0))
        for (first, last), size in zip(tile.outer, spatial, strict=True)
    ]
    if any(map(any, beyond)):
        read = np.pad(read, [(0, 0), *beyond], mode="reflect")
    wanted = (
        slice(first + before - part.start, last + before - part.start)
        for (first, last), (before, _), part in zip(tile.outer, beyond, region, strict=True)
    )
    return read[(slice(None), *wanted)]


def group_by_shape(tiles: Iterable[Tile], size: int) -> Iterator[list[Tile]]:
    """Yield runs of at most `size` consecutive tiles of the same outer shape.

    Takes no more than one tile in advance from `tiles`.
    """
    for _, run in itertools.groupby(tiles, key=lambda tile: tile.outer_shape):
        while group := list(itertools.islice(run, size)):
            yield group


def reflect(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Reflect positions into ``0..size - 1``: ``-1 → 1``, ``size → size - 2``."""
    if size == 1:
        return np.zeros_like(index)
    folded = index % (2 * (size - 1))
    return np.minimum(folded, 2 * (size - 1) - folded)


def _along(size: int, tile: int, halo: int, step: int, *, reflected: bool) -> Extents:
    halo, tile = _up(halo, step), _up(tile, step)
    found = []
    for inner in spans(size, tile):
        first, last = inner.start - halo, _up(inner.stop, step) + halo
        if not reflected:
            # The network pads here itself; along Z it repeats the border plane.
            first, last = max(first, 0), min(last, _up(size, step))
        found.append((inner, (first, last)))
    return found


def _each(number: int | Sequence[int], axes: int) -> Sequence[int]:
    return (number,) * axes if isinstance(number, int) else number


def _up(number: int, step: int) -> int:
    return -(-number // step) * step


_CPU_BYTES = 800_000_000
"""Memory for one batch on a CPU. Fixed, so that a resumed job has the same tiles."""
_CPU_BYTES_2D = 210_000_000
"""The same for one 2D tile: larger 2D tiles gain little, larger 3D tiles do."""
_CPU_BYTES_WIDE = 450_000_000
"""The same if the network computes a wide halo, which would be most of a small tile."""
_WIDE = 32
"""Pixels of a wide halo."""
_GPU_SHARE = 0.25
"""Share of a GPU's memory for one batch; the rest is for kernels and other programs."""
_LARGEST = {2: 1024, 3: 128}
"""Longest side on a CPU; longer ones gain nothing and delay *Stop*."""
_LARGEST_GPU = {2: 4096, 3: 256}
"""The same on a GPU."""
_PLANES = 32
"""Planes of a 3D tile."""
_BYTES = {"32": 4, "bf16": 2}
"""Bytes per number, by precision."""


def fitting_tile(
    network: UNet, device: torch.device, precision: Precision, at_once: int = 1
) -> tuple[int, ...]:
    """Inner size ``((Z), Y, X)`` in pixels of tiles for `network` on `device`.

    Volumes that are denoised plane by plane have tiles of one plane, unless planes beside
    it are read as well. `at_once` tiles, or
    augmented copies of one, share the memory. The size does not depend on other programs;
    `MemoryLimit` splits tiles that do not fit.
    """
    halo = network.computed_halo
    dims = network.config.conv_dims  # 2 for planes of a volume, too
    gpu = device.type == "cuda"
    if gpu:
        memory = _GPU_SHARE * torch.cuda.get_device_properties(device).total_memory
    elif dims == 3:
        memory = _CPU_BYTES
    else:
        of_one = _CPU_BYTES_WIDE if halo[-1] > _WIDE else _CPU_BYTES_2D
        memory = min(_CPU_BYTES, of_one * at_once)
    pixels = memory / (_BYTES[precision] * network.floats_per_pixel * at_once)
    if dims == 3:
        pixels /= _PLANES + 2 * halo[0]
    largest = (_LARGEST_GPU if gpu else _LARGEST)[dims]
    side = int(math.sqrt(pixels)) - 2 * halo[-1]
    step = network.multiple[-1]
    side = max(min(side, largest) // step * step, step)
    planes = (_PLANES if network.halo[0] else 1,) * (len(halo) - 2)
    return (*planes, side, side)


def even(
    shape: Sequence[int], largest: Sequence[int], multiple: Sequence[int]
) -> tuple[int, ...]:
    """Size ``((Z), Y, X)`` of equal tiles, as few as `largest` allows for a `shape`."""
    # A narrow tile at the border would have a full halo for few pixels.
    return tuple(
        -(-size // (-(-size // most) * step)) * step
        for size, most, step in zip(shape, largest, multiple, strict=True)
    )


Region = tuple[slice, ...]
"""A part of an image ``(S, C, (Z), Y, X)``, one slice per axis. The step along S may be any
positive number; the slice along C is ignored, since a tile has all channels."""


def within(inner: Sequence[slice], box: Sequence[slice]) -> tuple[slice, ...]:
    """The region `inner`, counted from the start of `box`, which contains it."""
    return tuple(
        slice(part.start - whole.start, part.stop - whole.start)
        for part, whole in zip(inner, box, strict=True)
    )


def meets(tile: Tile, region: Region) -> bool:
    """Whether `tile` fills a pixel of `region`."""
    samples = region[0]
    first, last, step = samples.start or 0, samples.stop, samples.step or 1
    if tile.sample < first or (last is not None and tile.sample >= last):
        return False
    if (tile.sample - first) % step:
        return False
    return all(
        (part.stop is None or inner.start < part.stop) and inner.stop > (part.start or 0)
        for inner, part in zip(tile.inner, region[2:], strict=True)
    )


def in_order(
    tiles: Sequence[Tile], first: Callable[[], Region | None] | None
) -> Iterator[Tile]:
    """Yield all `tiles` in order, those in the region that `first()` names first."""
    if first is None:
        yield from tiles
        return
    left, seen = list(reversed(tiles)), None
    while left:
        region = first()
        if region is not None and region != seen:
            left.sort(key=lambda tile: _place(tile, region), reverse=True)
        seen = region
        yield left.pop()


def _place(tile: Tile, region: Region) -> tuple[object, ...]:
    where = (tile.sample, *(part.start for part in tile.inner))
    return (not meets(tile, region), where)
