"""Check boxes that keep their state between sessions.

napari 0.9 and later stores them in its preferences; with older versions, or where
``HUSH_CONFIG_DIR`` is set, they are in the user settings of the dock.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.widgets.user_settings import load_setting, save_setting

if TYPE_CHECKING:
    from qtpy.QtWidgets import QCheckBox

PREFERENCES = {"apart": False, "preview": True, "keep_type": False}
"""Defaults, by the names in the manifest (``configurations``, ``dock``)."""


def load_preference(name: str) -> bool:
    """The saved state of `name`, a key of `PREFERENCES`."""
    if _is_untouched():
        return PREFERENCES[name]
    settings = _napari_settings()
    if settings is not None:
        return bool(getattr(settings, name))
    return bool(load_setting(name, PREFERENCES[name]))


def save_preference(name: str, chosen: bool) -> None:
    """Save `chosen` as the state of `name`."""
    settings = _napari_settings()
    if settings is None:
        save_setting(name, chosen)
    elif getattr(settings, name) != chosen:
        setattr(settings, name, chosen)


def persist(boxes: Mapping[str, QCheckBox]) -> None:
    """Restore the state of `boxes`, given by name, and save each change."""
    for name, box in boxes.items():
        box.setChecked(load_preference(name))
        # not a `partial`, which PySide would call without the argument
        box.clicked.connect(lambda chosen, name=name: save_preference(name, chosen))


def _is_untouched() -> bool:
    """Whether napari has no file with settings of this plugin.

    napari reads the manifests of all plugins again before it gives any settings, which is
    a fifth of the time that the dock takes to open.
    """
    keeper = _keeper()
    if keeper is None:
        return False
    path = keeper.get_settings().config_path
    return path is None or not Path(path).with_name("napari-hush.yaml").exists()


def _napari_settings() -> Any:
    """The settings of this plugin in napari; None where napari has none."""
    keeper = _keeper()
    if keeper is None:
        return None
    try:
        return keeper.get_plugin_settings("napari-hush").dock
    except (KeyError, AttributeError):  # napari does not know the plugin, as in some tests
        return None


def _keeper() -> Any:
    """The module of napari that keeps settings of plugins; None where there is none."""
    if "HUSH_CONFIG_DIR" in os.environ:
        return None
    from napari import settings

    return settings if hasattr(settings, "get_plugin_settings") else None  # from 0.9 on
