"""What to do when a batch does not fit into the memory of the device: less at once.

The batch stays what it is; only as many of its patches as fit go through the network at
a time, and their gradients are added up. So neither the order of patches nor the number
of steps nor the learning rate has to change.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from napari_hush import n2v
from napari_hush.errors import TrainingError
from napari_hush.events import BatchHalved
from napari_hush.models import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_hush.events import OnProgress


class Room:
    """How many patches fit through the network at once, found out by trying.

    Parameters
    ----------
    on_progress : callable
        Gets `BatchHalved`.
    alone : bool
        Whether this process trains alone. Several cannot take less at once: each waits
        for the others in the middle of a batch.

    Attributes
    ----------
    patches : int or None
        Patches that fit; None as long as every batch did.
    """

    def __init__(self, on_progress: OnProgress, *, alone: bool = True) -> None:
        self.patches: int | None = None
        self.alone = alone
        self._on_progress = on_progress

    def within(
        self, size: int, work: Callable[[int], Tensor], undo: Callable[[], None]
    ) -> Tensor:
        """Do ``work(patches at once)`` for a batch of `size`, with less until it fits.

        Parameters
        ----------
        size : int
            Patches in the batch.
        work : callable
            Told how many patches to take at once.
        undo : callable
            Takes back what a failed `work` had done.

        Raises
        ------
        TrainingError
            If not even one patch fits, or several processes train together.
        """
        while True:
            now = min(size, self.patches or size)
            try:
                return work(now)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            if not self.alone:
                raise TrainingError(
                    f"{size} patches do not fit into the memory of one of the devices; use "
                    "a smaller batch_size, more devices or smaller patches."
                )
            # Beyond the except clause: the error holds on to what was computed so far.
            undo()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if now == 1:
                raise TrainingError(
                    "Not even one patch at a time fits into the memory of the device; use "
                    "smaller patches, fewer filters, or another device."
                )
            self.patches = (now + 1) // 2
            self._on_progress(BatchHalved(now, self.patches))


def parts(seen: Tensor, answer: Any, size: int) -> Iterator[tuple[Tensor, Any, Any]]:
    """Cut a prepared batch into pieces of `size` patches.

    Yields
    ------
    seen, answer : Tensor, Any
        As `napari_hush.lightning.algorithms.Algorithm` has them.
    share : float or Tensor
        What the piece's mean loss contributes to that of the batch.
    """
    patches = len(seen)
    if size >= patches:
        yield seen, answer, 1.0
        return
    whole = _weight(answer)
    for first in range(0, patches, size):
        last = min(first + size, patches)
        piece = _rows(answer, patches, first, last)
        yield seen[first:last], piece, _weight(piece) / whole


def _weight(answer: Any) -> Any:
    return answer.weights.sum() if isinstance(answer, n2v.Masked) else answer.numel()


def _rows(answer: Any, patches: int, first: int, last: int) -> Any:
    """The rows of patches ``first..last``; there may be several rows for each patch."""
    if isinstance(answer, Tensor):
        rows = len(answer) // patches
        return answer[first * rows : last * rows]
    fields = {
        field.name: _rows(value, patches, first, last)
        for field in dataclasses.fields(answer)
        if isinstance(value := getattr(answer, field.name), Tensor) and value.ndim
    }
    return dataclasses.replace(answer, **fields)
