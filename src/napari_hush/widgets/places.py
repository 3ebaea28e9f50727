"""Where the dock puts files for which nobody has chosen a place. No Qt here."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path

__all__ = ["data_folder"]


def data_folder() -> Path:
    """The user's data folder, or ``HUSH_DATA_DIR`` if that is set. It may be missing."""
    chosen = os.environ.get("HUSH_DATA_DIR")
    return Path(chosen) if chosen else Path(user_data_path("napari-hush"))
