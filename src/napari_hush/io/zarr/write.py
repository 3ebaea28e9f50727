"""Writing OME-Zarr 0.5 images shard by shard."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.boxes import Box, Boxes, box_size
from napari_hush.io.output import RECORD, ResultImage, damaged, ordered, placed
from napari_hush.system.atomic_write import force
from napari_hush.system.optional import require

if TYPE_CHECKING:
    from napari_hush.io.lazy import Bounds

_VERSION = "0.5"
_TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
_WHITE = "FFFFFF"
_COLORS = ("00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF")
"""Display colors of one channel, and of several."""
_RGB = ("FF0000", "00FF00", "0000FF")
_PART_PIXELS = 2**20
"""Pixels of a coarse resolution that are computed at once."""
_CHECKSUM = 4
"""Bytes after the index of a shard."""
_NO_CHUNK = [2**64 - 1] * 2
"""Place of a chunk beyond the image."""
_PARTIAL = ".*.partial"
"""How the names of files end that zarr is writing."""

CompleteShards = Callable[[int, int], None]
"""Completes all shards of a resolution: its number, and how many."""


class ZarrResult:
    """An OME-Zarr image; coarse resolutions are computed at the end.

    Every resolution is a sharded array (Zarr 3) with the axes TCZYX of the image; S and T
    are joined as T. `tile` is the size ``((Z), Y, X)`` of the tiles that will fill it, and
    `target` its final path. Raises a HushError if zarr is not installed.
    """

    def __init__(self, image: ResultImage, tile: Sequence[int], target: Path) -> None:
        self._zarr = require("zarr", "zarr", "Writing OME-Zarr images")
        self._image, self._name = image, target.name.split(".")[0]
        own = image.axes.axes.replace("S", "T")
        self.axes, self._shape = ordered(image.axes, "".join(a for a in _TYPES if a in own))
        size = dict(zip(self.axes, self._shape, strict=True))
        space = {a: n for a, n in size.items() if a in "ZYX"}
        pixel = image.dtype.itemsize * size.get("C", 1)
        self._grid = plan_grid(list(space.values()), tile, pixel, SHARD_BYTES)
        self.block: tuple[int, ...] | None = self._grid.shard
        steps = plan_levels(space, image.sizes.scale)
        self._factors = [[factors.get(a, 1) for a in self.axes] for factors in ({}, *steps)]
        self._group: Any = None
        self._arrays: list[Any] = []
        self._written: set[Path] = set()

    def begin(self, path: Path) -> None:
        """Create the store without pixels; see `Result`."""
        attributes: dict[str, Any] = {"ome": self._ome()}
        if self._image.record is not None:
            attributes[RECORD] = dict(self._image.record)
        self._group = self._zarr.open_group(
            str(path), mode="w", zarr_format=3, attributes=attributes
        )
        outer = [a for a in self.axes if a in "TC"]
        channels = dict(zip(self.axes, self._shape, strict=True)).get("C", 1)
        shape = list(self._shape)
        for level, factors in enumerate(self._factors):
            shape = [-(-n // f) for n, f in zip(shape, factors, strict=True)]
            shard = [  # not much larger than the image
                min(s, -(-n // c) * c)
                for n, s, c in zip(
                    shape[len(outer) :], self._grid.shard, self._grid.chunk, strict=True
                )
            ]
            array = self._group.create_array(
                str(level),
                shape=tuple(shape),
                dtype=self._image.dtype,
                chunks=(*(1 for _ in outer), *self._grid.chunk),
                shards=(*(channels if a == "C" else 1 for a in outer), *shard),
                compressors=self._zarr.codecs.BloscCodec(
                    cname="zstd", clevel=1, shuffle="shuffle"
                ),
                dimension_names=[a.lower() for a in self.axes],
                fill_value=0,
                config={"write_empty_chunks": True},
            )
            self._arrays.append(array)

    def reopen(self, path: Path) -> None:
        """Open an unfinished store; see `Result`."""
        try:
            self._group = self._zarr.open_group(str(path), mode="r+", zarr_format=3)
            # Finding empty chunks costs as much as compressing them.
            with self._zarr.config.set({"array.write_empty_chunks": True}):
                self._arrays = [
                    self._group[str(level)] for level in range(len(self._factors))
                ]
        except (OSError, KeyError, ValueError) as error:
            raise damaged(path) from error
        finest = self._arrays[0]
        if finest.shape != self._shape or finest.dtype != self._image.dtype:
            raise damaged(path)

    def write(self, sample: int, inner: Sequence[slice], pixels: NDArray[Any]) -> None:
        """Write a block; see `Result`."""
        self._put(0, *placed(self.axes, self._arrays[0].shape, sample, inner, pixels))

    def force(self) -> None:
        """Force the shards written since the last call to the disk."""
        folders = {file.parent for file in self._written}
        for place in (*self._written, *folders):
            if place.exists():  # a shard of fill values has no file
                force(place)
        self._written.clear()

    def finish(self, complete: CompleteShards | None = None) -> None:
        """Compute the coarse resolutions, and force all to the disk.

        ``complete(level, count)`` has `complete_shards` called for all shards of a
        resolution, by default here.
        """
        for level, array in enumerate(self._arrays):
            count = len(Boxes(array.shape, array.shards))
            if complete is None:
                self.complete_shards(level, 0, count)
            else:
                complete(level, count)
        root = Path(self._group.store.root)
        for folder in (root, *(root / array.path for array in self._arrays)):
            if not (folder / "zarr.json").is_file():
                raise damaged(root)
        if self._image.sizes.channels:
            self._group.update_attributes({"ome": self._ome(self._ranges())})
            self._written.add(root / "zarr.json")
        for left in root.glob(f"zarr{_PARTIAL}"):
            left.unlink()
        self.force()

    def complete_shards(self, level: int, start: int, stop: int) -> None:
        """Compute shards ``start ... stop - 1`` of a coarse resolution, and check them.

        Those of the finest one are checked alone. Raises an UnreadableFileError if one is
        gone or truncated.
        """
        array = self._arrays[level]
        boxes = Boxes(array.shape, array.shards)
        count = math.prod(array.shards) // math.prod(array.chunks)
        for number in range(start, stop):
            at = np.unravel_index(number, boxes.grid)
            if level:
                self._downsample(level, boxes.at(at))
            if not _is_whole(self._file(array, at), count):
                raise damaged(Path(array.store.root))

    def close(self) -> None:
        """Nothing to close."""

    def _ome(self, ranges: Sequence[tuple[float, float]] = ()) -> dict[str, Any]:
        """OME metadata; channels have names once the range of each is known."""
        ome: dict[str, Any] = {"version": _VERSION, "multiscales": [self._multiscale()]}
        channels = []
        names = self._image.sizes.channels
        for number, (low, high) in enumerate(ranges):
            whole: tuple[float, float] = (low, high)
            if self._image.dtype.kind in "ui":
                limits = np.iinfo(self._image.dtype)
                whole = limits.min, limits.max
            window = {"start": low, "end": high, "min": whole[0], "max": whole[1]}
            color = _COLORS[number % len(_COLORS)] if len(ranges) > 1 else _WHITE
            if self._image.colors:
                color = _RGB[number]
            one = {"label": names[number], "color": color, "active": True, "window": window}
            channels.append(one)
        return ome | ({"omero": {"channels": channels}} if channels else {})

    def _ranges(self) -> list[tuple[float, float]]:
        """Range of each channel in the coarsest resolution, never empty."""
        coarse = self._arrays[-1]
        ranges = [(np.inf, -np.inf)] * len(self._image.sizes.channels)
        for box in Boxes(coarse.shape, coarse.shards):
            pixels = np.asarray(coarse[box])
            if "C" in self.axes:
                pixels = np.moveaxis(pixels, self.axes.index("C"), 0)
            for number, one in enumerate(pixels.reshape(len(ranges), -1)):
                if (finite := one[np.isfinite(one)]).size:
                    low, high = ranges[number]
                    low, high = min(low, finite.min()), max(high, finite.max())
                    ranges[number] = float(low), float(high)
        return [
            (a, b) if a < b else (a, a + 1) if a == b else (0.0, 1.0) for a, b in ranges
        ]

    def _multiscale(self) -> dict[str, Any]:
        sizes = self._image.sizes
        axes = []
        for letter in self.axes:
            axis = {"name": letter.lower(), "type": _TYPES[letter]}
            if letter in sizes.scale and (unit := sizes.units.get(letter)):
                axis["unit"] = unit
            axes.append(axis)
        datasets = []
        step = [sizes.scale.get(a, 1.0) for a in self.axes]
        # A size that is unknown is written as 1, in which a place in a unit has no sense.
        known = {
            a: place
            for a, place in sizes.position.items()
            if a in sizes.scale or a not in sizes.units
        }
        corner = [known.get(a, 0.0) for a in self.axes]
        for level, factors in enumerate(self._factors):
            # The center of a coarse pixel is between those of its fine pixels.
            corner = [
                c + s * (f - 1) / 2 for c, s, f in zip(corner, step, factors, strict=True)
            ]
            step = [s * f for s, f in zip(step, factors, strict=True)]
            places: list[dict[str, Any]] = [{"type": "scale", "scale": step}]
            if any(corner):
                places.append({"type": "translation", "translation": corner})
            datasets.append({"path": str(level), "coordinateTransformations": places})
        return {"name": self._name, "axes": axes, "datasets": datasets, "type": "mean"}

    def _put(self, level: int, bounds: Bounds, pixels: NDArray[Any]) -> None:
        array = self._arrays[level]
        at = tuple(start // n for (start, _), n in zip(bounds, array.shards, strict=True))
        file = self._file(array, at)
        file.unlink(missing_ok=True)  # a truncated shard would be read first
        for left in file.parent.glob(f"{file.name}{_PARTIAL}"):  # by a process that died
            left.unlink(missing_ok=True)
        array[tuple(slice(*pair) for pair in bounds)] = pixels
        self._written.add(file)

    @staticmethod
    def _file(array: Any, at: Sequence[int | np.integer]) -> Path:
        folder: Path = Path(array.store.root) / array.path
        return folder / str(array.metadata.encode_chunk_key(tuple(map(int, at))))

    def _downsample(self, level: int, shard: Box) -> None:
        """Compute one shard of a resolution from the one before it."""
        fine, coarse = self._arrays[level - 1], self._arrays[level]
        factors = self._factors[level]
        # In parts, since the fine pixels of a shard take more memory.
        part = self._part(coarse.shards, coarse.chunks)
        pixels = np.empty([side.stop - side.start for side in shard], coarse.dtype)
        for box in Boxes(pixels.shape, part):
            above = tuple(
                slice((s.start + b.start) * f, min((s.start + b.stop) * f, n))
                for s, b, f, n in zip(shard, box, factors, fine.shape, strict=True)
            )
            pixels[box] = averages(np.asarray(fine[above]), factors)
        self._put(level, tuple((side.start, side.stop) for side in shard), pixels)

    def _part(self, shard: tuple[int, ...], chunk: tuple[int, ...]) -> tuple[int, ...]:
        outer = sum(a in "TC" for a in self.axes)
        inner = plan_grid(shard[outer:], chunk[outer:], 1, _PART_PIXELS).shard
        return (*chunk[:outer], *inner)


def _is_whole(shard: Path, count: int) -> bool:
    """Whether a shard of `count` chunks is there, from its first chunk to its index."""
    try:
        with shard.open("rb") as file:
            place = file.seek(-16 * count - _CHECKSUM, os.SEEK_END)
            index = np.frombuffer(file.read(16 * count), "<u8").reshape(-1, 2)
    except OSError:
        return False
    end = 0
    for start, size in sorted(pair for pair in index.tolist() if pair != _NO_CHUNK):
        if start != end:
            return False
        end += size
    return end == place


def averages(pixels: NDArray[Any], factors: Sequence[int]) -> NDArray[Any]:
    """Downsample by means, of the same dtype; `factors` are 1 or 2 per dimension."""
    result = pixels.astype(np.float64 if pixels.dtype.kind in "ui" else pixels.dtype)
    for axis, factor in enumerate(factors):
        if factor == 1:
            continue
        one = np.moveaxis(result, axis, 0)
        pairs = len(one) // 2
        means = (one[: 2 * pairs : 2] + one[1 : 2 * pairs : 2]) / 2
        if len(one) > 2 * pairs:
            means = np.concatenate([means, one[-1:]])
        result = np.moveaxis(means, 0, axis)
    return (np.rint(result) if pixels.dtype.kind in "ui" else result).astype(pixels.dtype)


SHARD_BYTES = 2**25
"""Bytes of pixels in a shard, about, which is in memory while it is written."""
_CHUNK = {2: 256, 3: 64}
"""Side of chunks, about, in planes and in volumes."""
_SMALLEST = 256
"""Side along Y and X of the coarsest resolution at most."""


@dataclass(frozen=True)
class Grid:
    """Sizes ``((Z), Y, X)`` of chunks and of shards, which are files of whole chunks."""

    chunk: tuple[int, ...]
    shard: tuple[int, ...]


def plan_grid(
    shape: Sequence[int], tile: Sequence[int], pixel_bytes: int, shard_bytes: int
) -> Grid:
    """Choose shards of about `shard_bytes` and whole tiles, each written once."""
    wish = _CHUNK[len(shape)]
    chunk = [_chunk(n, t, wish) for n, t in zip(shape, tile, strict=True)]
    # A tile at the border need not have whole chunks.
    shard = [
        _up(min(n, math.lcm(t, c)), c) for n, t, c in zip(shape, tile, chunk, strict=True)
    ]
    whole = [_up(n, s) for n, s in zip(shape, shard, strict=True)]
    shard = list(box_size(whole, shard_bytes // pixel_bytes, shard))
    return Grid(tuple(chunk), tuple(shard))


def plan_levels(
    shape: Mapping[str, int], scale: Mapping[str, float]
) -> list[dict[str, int]]:
    """Factors (1 or 2, by axis) of each resolution relative to the one before.

    Y and X are downsampled until they are small. Z is downsampled with them unless its
    step is twice theirs or more, so that coarse resolutions have about cubic pixels;
    missing pixel sizes in `scale` are 1.
    """
    size, step = dict(shape), {a: scale.get(a, 1.0) for a in shape}
    levels = []
    while max(size["Y"], size["X"]) > _SMALLEST:
        thin = step.get("Z", 0) < 2 * min(step["Y"], step["X"])
        factors = {a: 2 if n > 1 and (a in "YX" or thin) else 1 for a, n in size.items()}
        size = {a: -(-n // factors[a]) for a, n in size.items()}
        step = {a: s * factors[a] for a, s in step.items()}
        levels.append(factors)
    return levels


def _chunk(size: int, tile: int, wish: int) -> int:
    """A divisor or a multiple of the tile, near `wish`."""
    if tile >= size:
        return min(size, wish)
    if tile <= wish:
        return tile * max(1, wish // tile)
    divisors = [d for d in range(1, math.isqrt(tile) + 1) if tile % d == 0]
    divisors += [tile // d for d in divisors]
    return min(divisors, key=lambda d: abs(math.log(d / wish)))


def _up(number: int, step: int) -> int:
    return -(-number // step) * step
