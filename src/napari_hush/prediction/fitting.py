"""Denoise as many tiles at once as fit into the memory of the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from napari_hush.errors import OutOfMemoryError
from napari_hush.models import is_out_of_memory
from napari_hush.prediction.tiles import Tile, halved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


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
