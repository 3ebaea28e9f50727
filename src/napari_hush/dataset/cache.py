"""Keeping what took a pass over the data, for the next run on the same data."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from napari_hush.dataset.normalization import Normalization

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where it is kept: ``$HUSH_CACHE_DIR``, or the user's cache folder."""
    given = os.environ.get("HUSH_CACHE_DIR")
    return Path(given) if given else platformdirs.user_cache_path("napari-hush")


def remembered(
    key: list[object] | None, measure: Callable[[], Normalization]
) -> Normalization:
    """The scaling that was measured for `key`, or measure it and remember.

    Parameters
    ----------
    key : list, optional
        All that the result depends on, as JSON has it; None where that is unknown.
    measure : callable
        Takes a pass over the data.
    """
    if key is None:
        return measure()
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    path = cache_folder() / "statistics" / f"{name}.json"
    if path.is_file():
        try:
            kept = json.loads(path.read_text())
            return Normalization(tuple(kept["means"]), tuple(kept["stds"]))
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("The statistics kept in %s are unreadable: %s", path, error)
    found = measure()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps({"means": found.means, "stds": found.stds}))
        os.replace(part, path)
    except OSError as error:
        _log.warning("The statistics cannot be kept in %s: %s", path, error)
    return found
