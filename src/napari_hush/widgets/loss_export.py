"""Loss curves as files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_hush.widgets.notices import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_hush.widgets.loss_history import LossHistory

__all__ = ["save_csv", "save_picture", "write_csv"]

HEADER = ("run", "step", "training_loss", "training_loss_smoothed", "validation_loss")


def save_csv(parent: QWidget, runs: Sequence[LossHistory]) -> None:
    """Ask for a name and write all `runs` there."""
    if path := _ask(parent, "Save the losses", "losses.csv", "Tables (*.csv)"):
        try:
            write_csv(path, runs)
        except OSError as error:
            tell(f"The losses were not saved to “{path}”: {error.strerror}.")


def save_picture(plot: QWidget) -> None:
    """Ask for a name and save what `plot` shows there."""
    path = _ask(plot, "Save the picture", "losses.png", "Pictures (*.png)")
    if path is not None and not plot.grab().save(str(path)):
        tell(f"The picture was not saved to “{path}”; choose another folder.")


def write_csv(path: Path, runs: Sequence[LossHistory]) -> None:
    """Write `runs` as a table: a row per step, the validation in that of its step."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(HEADER)
        for number, run in enumerate(runs, start=1):
            val = dict(zip(run.val_steps, run.val, strict=True))
            for row in zip(run.steps, run.train, run.smooth, strict=True):
                table.writerow((number, *row, val.get(row[0], "")))


def _ask(parent: QWidget, title: str, name: str, kinds: str) -> Path | None:
    chosen, _ = QFileDialog.getSaveFileName(parent, title, name, kinds)
    return Path(chosen) if chosen else None
