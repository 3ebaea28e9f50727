"""When the checkpoint of a run is written."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.errors import UnwritableFileError
from napari_hush.events import OnProgress, WarningIssued
from napari_hush.lightning.checkpoint import (
    TrainingCheckpoint,
    remove_checkpoint,
    save_checkpoint,
)

if TYPE_CHECKING:
    from napari_hush.lightning.checkpoint import Fingerprint, Position
    from napari_hush.lightning.losses import Losses
    from napari_hush.lightning.module import HushModule

_MIN_INTERVAL = 20
"""Least time between the checkpoints of two epochs, in multiples of the writing time."""


class Checkpointer:
    """Write the checkpoint of a run into `folder`, `every_s` seconds within an epoch.

    After shorter epochs one is written, too, as long as writing takes less than a twentieth
    of the time. If one cannot be written, `on_unwritable` gets a `WarningIssued`, once, and
    training continues; without it the error ends the run.
    """

    def __init__(
        self,
        folder: Path,
        every_s: float,
        data: Fingerprint,
        losses: Losses,
        on_unwritable: OnProgress | None = None,
    ) -> None:
        self.folder = folder
        self._every = every_s
        self._data = data
        self._losses = losses
        self._on_unwritable = on_unwritable
        self._warned = False
        self._saved_at = self._cost = 0.0

    def is_due(self, *, epoch: bool = False) -> bool:
        """Whether it is time for a checkpoint, within an epoch or at its end."""
        waited = time.perf_counter() - self._saved_at
        shortest = min(self._every, _MIN_INTERVAL * self._cost) if epoch else self._every
        return waited >= shortest

    def save(self, module: HushModule, position: Position, numbers: dict[str, Any]) -> None:
        """Write `module` and `numbers` at `position` of the run."""
        started = time.perf_counter()
        checkpoint = TrainingCheckpoint(
            module.config,
            position,
            self._data,
            numbers=module.numbers() | numbers,
            tensors=module.tensors(),
            losses=self._losses,
            provenance=module.provenance,
        )
        try:
            save_checkpoint(checkpoint, self.folder)
        except UnwritableFileError as error:
            if self._on_unwritable is None:
                raise
            if not self._warned:
                self._warned = True
                message = f"After a crash this training cannot be resumed: {error}"
                self._on_unwritable(WarningIssued("state", message))
        self._saved_at = time.perf_counter()
        self._cost = self._saved_at - started

    def discard(self) -> None:
        """Remove the checkpoint, because the run cannot be continued."""
        remove_checkpoint(self.folder)
