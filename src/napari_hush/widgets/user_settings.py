"""User settings of the dock, kept between sessions in a small JSON file. No Qt here.

The file is in the user's configuration folder, or in ``HUSH_CONFIG_DIR`` if that is set.
"""

from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path
from typing import Any

from platformdirs import user_config_path, user_data_path

from napari_hush.io import file_of
from napari_hush.system.atomic_write import whole_file

_log = logging.getLogger(__name__)

RECENT = 8
"""Length of the list of recent models."""


def settings_path() -> Path:
    """Path of the file."""
    folder = os.environ.get("HUSH_CONFIG_DIR")
    root = Path(folder) if folder else user_config_path("napari-hush", appauthor=False)
    return root / "dock.json"


def load_setting(name: str, default: Any = None) -> Any:
    """The saved value of `name`."""
    return _read().get(name, default)


def save_setting(name: str, value: Any) -> None:
    """Save `value`, anything that JSON can hold, under `name`.

    A failure to write is logged, not raised: these settings are conveniences.
    """
    settings = _read()
    if name in settings and settings[name] == value:
        return
    settings[name] = value
    path = settings_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, follow=True) as part:
            part.write_text(json.dumps(settings, indent=1), encoding="utf-8")
    except OSError as error:
        _log.warning("The settings of the dock cannot be saved: %s", error)


def add_recent_model(path: Path) -> None:
    """Put `path` first in the list of recent models."""
    others = [other for other in load_setting("models", []) if other != str(path)]
    save_setting("models", [str(path), *others][:RECENT])


def data_folder() -> Path:
    """The user's data folder, or ``HUSH_DATA_DIR`` if that is set. It may not exist yet."""
    chosen = os.environ.get("HUSH_DATA_DIR")
    return Path(chosen) if chosen else Path(user_data_path("napari-hush", appauthor=False))


def folder_beside(source: str) -> Path | None:
    """The folder next to the image file `source`, for files that are made from it.

    A Zarr store counts as one file. None if the folder is not there or not writable, and
    for a `source` that is empty or an address.
    """
    if not source:
        return None
    path = file_of(Path(source))
    stores = [one for one in path.parents if one.suffix.lower() == ".zarr"]
    folder = (stores[-1] if stores else path).absolute().parent
    return folder if folder.is_dir() and os.access(folder, os.W_OK) else None


def safe_name(name: str, default: str) -> str:
    """`name` as part of a file name; `default` if nothing is left of it."""
    return re.sub(r"[^\w\- ]+", "_", name).strip() or default


def new_path(folder: Path, stem: str, suffix: str) -> Path:
    """Path of a file that does not exist yet; adds a number to `stem` if needed."""
    path, number = folder / f"{stem}{suffix}", 2
    while path.exists():
        path, number = folder / f"{stem} {number}{suffix}", number + 1
    return path


def _read() -> dict[str, Any]:
    path = settings_path()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _log.warning("The settings of the dock in %s cannot be read: %s", path, error)
        return {}
    return values if isinstance(values, dict) else {}
