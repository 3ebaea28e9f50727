"""The model that Denoise and Save use, and those before it. No Qt here."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_hush.errors import counted

if TYPE_CHECKING:
    from pathlib import Path

    from napari_hush.careamist import CAREamist
    from napari_hush.lightning import Snapshot
    from napari_hush.models import Model

MAX_EARLIER = 3
"""Models kept to go back to, beside the snapshots of the last run."""


@dataclass(frozen=True, eq=False)
class Earlier:
    """A model that was current before."""

    engine: CAREamist
    model: Model
    name: str
    kept: bool


class CurrentModel:
    """The model of the dock; one that is replaced can be restored.

    Attributes
    ----------
    engine : CAREamist or None
        Has the model, its losses and its snapshots.
    name : str
        Name of the model; empty without one.
    kept : bool
        Whether the model is saved in a file.
    """

    def __init__(self) -> None:
        self.engine: CAREamist | None = None
        self.name = ""
        self.kept = False
        self._is_chosen = False  # a person has chosen it, finished or not
        self._model: Model | None = None
        self._earlier: deque[Earlier] = deque(maxlen=MAX_EARLIER)

    @property
    def model(self) -> Model | None:
        """The network and all settings to denoise with it."""
        return None if self.engine is None else self.engine.model

    @property
    def earlier(self) -> list[Earlier]:
        """Models before this one, the last first."""
        return [one for one in reversed(self._earlier) if one.model is not self.model]

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """Snapshots of the training run, oldest first."""
        return () if self.engine is None else self.engine.snapshots

    @property
    def unfinished(self) -> bool:
        """Whether training was stopped long before its end, and nobody chose the model."""
        model = self.model
        return model is not None and model.provenance.unfinished and not self._is_chosen

    def take(
        self, engine: CAREamist, name: str, *, kept: bool, unfinished: bool = False
    ) -> None:
        """Make the model of `engine` the current one; its file will say if `unfinished`."""
        self._store()
        self._is_chosen = False
        if unfinished and (model := engine.model) is not None:
            known = replace(model.provenance, unfinished=True)
            engine.model = replace(model, provenance=known)
        self.engine, self.name, self.kept = engine, name, kept
        self._model = engine.model

    def noteSaved(self, path: Path) -> None:
        """Record that the model is saved in the file `path`."""
        self.name, self.kept = path.stem, True

    def goBackTo(self, target: Snapshot | Earlier) -> str:
        """Make `target` the current model; returns a message about it."""
        if isinstance(target, Earlier):
            self._store()
            self.engine, self.name, self.kept = target.engine, target.name, target.kept
            self.engine.model = self._model = target.model
            self._is_chosen = False
            return f"Back to “{target.name}” after {counted(target.model.steps, 'step')}."
        if self.engine is not None:
            self._store()
            self.engine.go_back(target)
            self._model, self.kept = self.engine.model, False
            self._is_chosen = True
        return f"Back to the model after {counted(target.steps, 'step')}."

    def _store(self) -> None:
        """Keep the current model as it was taken; its engine may have trained it on."""
        if self.engine is None or self._model is None:
            return
        here = Earlier(self.engine, self._model, self.name, self.kept)
        if all(one.model is not here.model for one in self._earlier):
            self._earlier.append(here)
