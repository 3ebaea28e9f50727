"""How large tiles are by default: the fewer, the less is computed twice between them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_hush.models import Precision, UNet

_CPU_BYTES = 800_000_000
"""Memory for what is computed at once on a processor. It does not follow what is free, so
that a job that is taken up again is cut as it was."""
_CPU_PICTURE = 210_000_000
"""The same for one tile of a picture: larger ones gain little. Of a volume they do."""
_GPU_SHARE = 0.25
"""Share of a GPU's memory for one tile; the rest is for kernels and other programs."""
_LARGEST = {2: 1024, 3: 128}
"""Side on a processor beyond which nothing is gained, but answers to *Stop* come late."""
_LARGEST_GPU = {2: 4096, 3: 256}
"""The same on a GPU."""
_PLANES = 32
"""Planes of a tile of a volume."""
_BYTES = {"32": 4, "bf16": 2}
"""Of one number, by precision."""


def fitting_tile(
    network: UNet, device: torch.device, precision: Precision, at_once: int = 1
) -> tuple[int, ...]:
    """Inner size ``((Z), Y, X)`` in pixels of tiles for `network` on `device`.

    As large as memory allows, within reason; halved where it runs out all the same
    (`Fitting`). It depends on network and machine alone, not on what else is running.

    Parameters
    ----------
    network : UNet
        More filters make smaller tiles.
    device : torch.device
        On GPUs, their total memory counts.
    precision : {"32", "bf16"}
        Half of the bytes make larger tiles.
    at_once : int
        How many tiles, or versions of one, share the memory.
    """
    halo = network.halo
    dims = len(halo)
    gpu = device.type == "cuda"
    memory = (
        _GPU_SHARE * torch.cuda.get_device_properties(device).total_memory
        if gpu
        else min(_CPU_BYTES, _CPU_PICTURE * at_once if dims == 2 else _CPU_BYTES)
    )
    pixels = memory / (_BYTES[precision] * network.floats_per_pixel * at_once)
    if dims == 3:
        pixels /= _PLANES + 2 * halo[0]
    largest = (_LARGEST_GPU if gpu else _LARGEST)[dims]
    side = int(math.sqrt(pixels)) - 2 * halo[-1]
    step = network.multiple[-1]
    side = max(min(side, largest) // step * step, step)
    return (_PLANES,) * (dims - 2) + (side, side)


def even(
    shape: Sequence[int], largest: Sequence[int], multiple: Sequence[int]
) -> tuple[int, ...]:
    """Size of as few tiles as `largest` allows, all about as large as each other.

    A narrow tile at the far border sees as wide a halo as any, for few pixels.

    Parameters
    ----------
    shape : sequence of int
        Of the image, ``((Z), Y, X)`` in pixels.
    largest : sequence of int
        Size of the largest tile, of multiples of `multiple`.
    multiple : sequence of int
        What a tile is a multiple of, of each axis.
    """
    return tuple(
        -(-size // (-(-size // most) * step)) * step
        for size, most, step in zip(shape, largest, multiple, strict=True)
    )
