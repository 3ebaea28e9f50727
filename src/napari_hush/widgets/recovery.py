"""Where a model goes whose dock was closed while it was being trained. No Qt here."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from napari_hush.widgets.places import data_folder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["recovered_path", "recovery_folder"]


def recovery_folder() -> Path:
    """The folder of such models."""
    return data_folder() / "recovered"


def recovered_path(name: str) -> Path:
    """A new path for the model trained on the layer called `name`."""
    folder = recovery_folder()
    folder.mkdir(parents=True, exist_ok=True)
    plain = re.sub(r"[^\w\- ]+", "_", name).strip() or "model"
    stem = f"{plain} {time.strftime('%Y-%m-%d %H.%M.%S')}"
    path = folder / f"{stem}.safetensors"
    number = 2
    while path.exists():
        path = folder / f"{stem} {number}.safetensors"
        number += 1
    return path
