"""Which tiles are denoised, and which of them first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from napari_hush.prediction.tiles import Tile

Region = tuple[slice, ...]
"""A part of an image ``(S, C, (Z), Y, X)``: a slice per dimension, that along S of any
positive step; what it says of C does not matter, since a tile has all channels."""


def meets(tile: Tile, region: Region) -> bool:
    """Whether a pixel of `region` is filled by `tile`."""
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
    """All of `tiles`, those in the region that somebody looks at before the others.

    Parameters
    ----------
    tiles : sequence of Tile
        In the order that they have otherwise.
    first : callable, optional
        Asked before every tile for the region looked at now; None for nowhere.
    """
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


def restricted(tiles: Iterable[Tile], region: Region | None) -> list[Tile]:
    """Those of `tiles` that meet `region`; all if it is None."""
    return [tile for tile in tiles if region is None or meets(tile, region)]
