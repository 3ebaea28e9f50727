"""Where the pixels live during training: in memory, or on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_hush.system.memory import format_bytes, free_memory

if TYPE_CHECKING:
    from napari_hush.io import Image

SHARE = 0.8
"""Share of the available memory that images may use."""
DEVICE_SHARE = 0.5
"""Share of a GPU's free memory that images may use; the rest is for the network."""


@dataclass(frozen=True)
class Storage:
    """Where the pixels live, and why."""

    in_memory: bool
    """In memory, or read from disk when needed."""
    reason: str
    """One sentence, shown to the user."""


def choose_storage(
    images: Sequence[Image], *, wish_memory: bool, processes: int = 1
) -> Storage:
    """Decide whether `images`, targets included, are loaded or stay on disk.

    Files are loaded if all of them, decoded, take less than 80 % of the available memory,
    divided by the number of `processes` on this machine that load the same images. Without
    `wish_memory` files are never loaded.
    """
    if all(image.in_memory for image in images):
        return Storage(True, "The images are arrays, so they are in memory.")
    needed = sum(image.nbytes for image in images if not image.in_memory)
    if not wish_memory:
        return Storage(
            False,
            f"The images stay on disk, as asked; decoded they are {format_bytes(needed)}.",
        )
    free = free_memory() // processes
    fits = needed < SHARE * free
    return Storage(
        fits,
        f"Decoded, the images are {format_bytes(needed)}, {'less' if fits else 'more'} "
        f"than {SHARE:.0%} of the {format_bytes(free)} of memory available"
        f"{'' if processes == 1 else ' to each process'}, so they "
        f"{'are loaded' if fits else 'stay on disk'}.",
    )


def fits_on(device: torch.device, nbytes: int) -> bool:
    """Whether images of `nbytes` fit on `device`; always False but for CUDA."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return nbytes < DEVICE_SHARE * free
