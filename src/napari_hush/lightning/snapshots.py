"""Models from earlier in a run, to go back to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytorch_lightning as L
import torch

from napari_hush.events import SnapshotTaken
from napari_hush.lightning.module import HushModule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_hush.models import Model


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A model as it was at one moment of its training.

    Attributes
    ----------
    epoch, steps : int
        Epochs and optimizer steps done, counted over all runs of the model.
    loss : float
        Mean training loss since the snapshot before, or since the start of the run.
    model : Model
        In memory, not on the device.
    """

    epoch: int
    steps: int
    loss: float
    model: Model


class SnapshotCallback(L.Callback):
    """Take a given number of snapshots, evenly spread over the run; the last at its end.

    Parameters
    ----------
    count : int
        How many; 0 for none.
    take : callable
        Gets each `Snapshot`.
    first_step, total_steps : int
        Steps done before the run, and steps of the run.
    """

    def __init__(
        self,
        count: int,
        take: Callable[[Snapshot], None],
        first_step: int,
        total_steps: int,
    ) -> None:
        self._count = count
        self._take = take
        self._first_step = first_step
        self._total_steps = total_steps
        self._losses: list[torch.Tensor] = []

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *others: Any
    ) -> None:
        """Take a snapshot if its time has come."""
        assert isinstance(pl_module, HushModule)  # noqa: S101 - narrows a type
        if not self._count:
            return
        self._losses.append(outputs["loss"])
        done = pl_module.steps - self._first_step
        before = (done - 1) * self._count // self._total_steps
        if done * self._count // self._total_steps == before:
            return
        model = pl_module.model()
        model.network.to("cpu")
        if trainer.is_last_batch:  # the epoch is done but for its validation
            model = replace(model, epochs=model.epochs + 1)
        loss = float(torch.stack(self._losses).mean())
        self._losses.clear()
        self._take(Snapshot(model.epochs, model.steps, loss, model))
        pl_module.on_progress(SnapshotTaken(model.epochs, model.steps, loss))


def thinned(snapshots: Sequence[Snapshot], count: int) -> list[Snapshot]:
    """At most `count` of `snapshots`, as evenly spread as can be, the last among them."""
    kept = list(snapshots)
    while len(kept) > max(count, 1):
        # Leave out the one whose neighbours are closest to each other.
        steps = [0, *(snapshot.steps for snapshot in kept)]
        gaps = [steps[i + 1] - steps[i - 1] for i in range(1, len(kept))]
        del kept[gaps.index(min(gaps))]
    return kept
