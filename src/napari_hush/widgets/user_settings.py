"""What the dock remembers from one session to the next: a small JSON file. No Qt here.

It lies in the user's configuration folder, or in ``HUSH_CONFIG_DIR`` if that is set. Only
conveniences are in it: whoever deletes it loses no work.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from platformdirs import user_config_path, user_data_path

__all__ = ["forget", "place", "recall", "remember", "remember_model"]

_log = logging.getLogger(__name__)

RECENT = 8
"""Models kept in the list of recent ones."""


def place() -> Path:
    """The file."""
    folder = os.environ.get("HUSH_CONFIG_DIR")
    root = Path(folder) if folder else user_config_path("napari-hush", appauthor=False)
    return root / "dock.json"


def recall(name: str, default: Any = None) -> Any:
    """What was remembered under `name`."""
    return _read().get(name, default)


def remember(name: str, value: Any) -> None:
    """Remember `value`, anything that JSON can hold, under `name`.

    A folder that cannot be written to is no reason to stop anybody's work: it is logged.
    """
    everything = _read()
    if name in everything and everything[name] == value:
        return
    everything[name] = value
    path = place()
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(everything, indent=1), encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        _log.warning("The dock's settings are not remembered: %s", error)


def remember_model(path: Path) -> None:
    """Put `path` at the head of the recent models."""
    others = [other for other in recall("models", []) if other != str(path)]
    remember("models", [str(path), *others][:RECENT])


def forget(name: str) -> None:
    """Remember nothing under `name` any more."""
    if name in _read():
        remember(name, None)


def _read() -> dict[str, Any]:
    path = place()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _log.warning("What the dock remembered in %s cannot be read: %s", path, error)
        return {}
    return values if isinstance(values, dict) else {}


def data_folder() -> Path:
    """The user's data folder, or ``HUSH_DATA_DIR`` if that is set. It may be missing."""
    chosen = os.environ.get("HUSH_DATA_DIR")
    return Path(chosen) if chosen else Path(user_data_path("napari-hush"))
