"""Test-time augmentation: the mean over mirrored and turned versions of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

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
