"""How the pixels of an OME-Zarr image are cut into chunks, shards and resolutions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHARD_BYTES = 2**25
"""Bytes of pixels in a file of the store, about; so much is in memory while it is made."""
_CHUNK = {2: 256, 3: 64}
"""Side of what viewers fetch at once, about, in pictures and in volumes."""
_SMALLEST = 256
"""Side, along Y and X, below which there are no further resolutions."""


@dataclass(frozen=True)
class Grid:
    """Sizes ``((Z), Y, X)`` of the pieces; a shard is made of whole chunks.

    Attributes
    ----------
    chunk : tuple of int
        What is packed by itself.
    shard : tuple of int
        What is one file.
    """

    chunk: tuple[int, ...]
    shard: tuple[int, ...]


def plan_grid(
    shape: Sequence[int], tile: Sequence[int], pixel_bytes: int, shard_bytes: int
) -> Grid:
    """Choose shards that are made of whole tiles, so that each is written once.

    Parameters
    ----------
    shape : sequence of int
        Size of the image, ``((Z), Y, X)``.
    tile : sequence of int
        Size of the tiles that fill it, beginning in its corner.
    pixel_bytes : int
        Bytes of a pixel of all channels together.
    shard_bytes : int
        Bytes of a shard, about; no smaller than a tile.
    """
    wish = _CHUNK[len(shape)]
    chunk = [_chunk(n, t, wish) for n, t in zip(shape, tile, strict=True)]
    # A tile that reaches the border need not be made of whole chunks.
    shard = [
        _up(min(n, math.lcm(t, c)), c) for n, t, c in zip(shape, tile, chunk, strict=True)
    ]
    for axis in reversed(range(len(shape))):
        room = shard_bytes // (math.prod(shard) * pixel_bytes)
        times = min(max(room, 1), -(-shape[axis] // shard[axis]))
        shard[axis] *= times
    return Grid(tuple(chunk), tuple(shard))


def plan_levels(
    shape: Mapping[str, int], scale: Mapping[str, float]
) -> list[dict[str, int]]:
    """Say by how much each resolution is smaller than the one before it.

    Y and X are halved until they are small. Z is halved with them once its step is no
    longer twice as large as theirs, so that coarse resolutions have about cubic pixels.

    Parameters
    ----------
    shape : mapping of str to int
        Size along Z (if there is one), Y and X.
    scale : mapping of str to float
        Size of one step along them; 1 where it is not known.

    Returns
    -------
    list of dict
        For each further resolution the factor, 1 or 2, by axis.
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
    """About as large as wished, and a divisor or a multiple of the tile."""
    if tile >= size:
        return min(size, wish)
    if tile <= wish:
        return tile * max(1, wish // tile)
    divisors = [d for d in range(1, math.isqrt(tile) + 1) if tile % d == 0]
    divisors += [tile // d for d in divisors]
    return min(divisors, key=lambda d: abs(math.log(d / wish)))


def _up(number: int, step: int) -> int:
    return -(-number // step) * step
