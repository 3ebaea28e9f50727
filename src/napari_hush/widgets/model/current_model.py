"""The model that Denoise and Save work with, and those before it. No Qt here."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from napari_hush.careamist import CAREamist
    from napari_hush.lightning import Snapshot
    from napari_hush.models import Model

__all__ = ["CurrentModel", "Earlier"]

EARLIER = 3
"""Models that are kept to go back to, beside the snapshots of the last run."""


@dataclass(frozen=True, eq=False)
class Earlier:
    """A model that was at hand before."""

    engine: CAREamist
    model: Model
    name: str
    kept: bool


class CurrentModel:
    """Holds the model of the dock; nothing that comes in its place makes it be lost.

    Attributes
    ----------
    engine : CAREamist or None
        Which has the model, its losses and its snapshots.
    name : str
        What the model is called; empty without one.
    kept : bool
        Whether it is in a file.
    """

    def __init__(self) -> None:
        self.engine: CAREamist | None = None
        self.name = ""
        self.kept = False
        self._model: Model | None = None
        self._earlier: deque[Earlier] = deque(maxlen=EARLIER)

    @property
    def model(self) -> Model | None:
        """The network and all it takes to denoise with it."""
        return None if self.engine is None else self.engine.model

    @property
    def earlier(self) -> list[Earlier]:
        """Models to go back to, the last one first."""
        return [one for one in reversed(self._earlier) if one.model is not self.model]

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """Moments of the training to go back to, oldest first."""
        return () if self.engine is None else self.engine.snapshots

    def take(self, engine: CAREamist, name: str, *, kept: bool) -> None:
        """Let the model of `engine` be the one at hand."""
        self._put_aside()
        self.engine, self.name, self.kept = engine, name, kept
        self._model = engine.model

    def noteSaved(self, path: Path) -> None:
        """Take notice that the model is in the file `path` now."""
        self.name, self.kept = path.stem, True

    def goBackTo(self, moment: Snapshot | Earlier) -> str:
        """Let the model of `moment` be the one at hand; returns a sentence about it."""
        if isinstance(moment, Earlier):
            self._put_aside()
            self.engine, self.name, self.kept = moment.engine, moment.name, moment.kept
            self.engine.model = self._model = moment.model
            return f"“{moment.name}” of {moment.model.steps:,} steps is the model again."
        if self.engine is not None:
            self._put_aside()
            self.engine.go_back(moment)
            self._model, self.kept = self.engine.model, False
        return f"The model is that after {moment.steps:,} steps again."

    def _put_aside(self) -> None:
        """Keep what is at hand: as it was taken, for its engine may have trained on."""
        if self.engine is None or self._model is None:
            return
        here = Earlier(self.engine, self._model, self.name, self.kept)
        if all(one.model is not here.model for one in self._earlier):
            self._earlier.append(here)
