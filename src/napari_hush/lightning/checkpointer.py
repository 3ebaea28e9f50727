"""When and what of a run is kept on disk, so that it can be taken up again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from napari_hush.errors import ExistingFileError, UnwritableFileError
from napari_hush.events import OnProgress, WarningIssued
from napari_hush.lightning.checkpoint import (
    FILE,
    Position,
    TrainingCheckpoint,
    interrupted_run,
    remove_checkpoint,
    save_checkpoint,
)

if TYPE_CHECKING:
    from pathlib import Path

    from napari_hush.lightning.checkpoint import Fingerprint
    from napari_hush.lightning.losses import Losses
    from napari_hush.lightning.module import HushModule

_REST = 20
"""Between the epochs' states lie this many times the seconds that one takes to write."""


class Checkpointer:
    """Save the state of a run at its start and end, at epochs, and every so often.

    Parameters
    ----------
    folder : Path
        Where the state goes.
    every_s : float
        Seconds between two states within an epoch. Epochs shorter than that have theirs
        saved too, as long as this costs less than a twentieth of the time.
    data : Fingerprint
        What the run is trained on.
    losses : Losses
        Filled by the run.
    start : Position
        Where the run starts.
    unwritten : callable, optional
        Gets a `WarningIssued` the first time that a checkpoint cannot be written, and
        training continues; by default it ends with that error.
    """

    def __init__(
        self,
        folder: Path,
        every_s: float,
        data: Fingerprint,
        losses: Losses,
        start: Position,
        unwritten: OnProgress | None = None,
    ) -> None:
        self.folder = folder
        self._every = every_s
        self._data = data
        self._losses = losses
        self._start = start
        self._unwritten = unwritten
        self._told = False
        self._saved = self._cost = 0.0

    def is_due(self, *, epoch: bool = False) -> bool:
        """Whether a state should be saved, now or, if that is now, at an epoch's end."""
        waited = time.perf_counter() - self._saved
        return waited >= (min(self._every, _REST * self._cost) if epoch else self._every)

    def save(
        self,
        module: HushModule,
        *,
        epochs: int,
        in_epoch: int,
        ended: bool,
        numbers: dict[str, Any],
    ) -> None:
        """Save the state of `module` after `epochs` epochs of the run and some steps."""
        started = time.perf_counter()
        first = self._start
        position = Position(
            first.first_epoch,
            first.first_step,
            epochs,
            module.steps - first.first_step,
            in_epoch,
            ended,
        )
        state = TrainingCheckpoint(
            module.config,
            position,
            self._data,
            numbers=module.numbers() | numbers,
            tensors=module.tensors(),
            losses=self._losses,
            provenance=module.provenance,
        )
        try:
            save_checkpoint(state, self.folder)
        except UnwritableFileError as error:
            if self._unwritten is None:
                raise
            if not self._told:
                self._told = True
                words = f"After a crash the training would not go on from here: {error}"
                self._unwritten(WarningIssued("state", words))
        self._saved = time.perf_counter()
        self._cost = self._saved - started

    def discard(self) -> None:
        """Remove the state: nothing can come of this run."""
        remove_checkpoint(self.folder)


def refuse_if_interrupted(folder: Path) -> None:
    """Do not let a new run replace the state of one that was cut off.

    Raises
    ------
    ExistingFileError
        If there is such a run in `folder`.
    """
    state = interrupted_run(folder)
    if state is not None:
        done, total = state.position.epochs, state.config.training_config.num_epochs
        raise ExistingFileError(
            f"The folder {str(folder)!r} holds a run of {state.config.experiment_name!r} "
            f"that was cut off after {done} of {total} epochs; go on with it (resume), or "
            f"delete {FILE} there to begin anew."
        )
