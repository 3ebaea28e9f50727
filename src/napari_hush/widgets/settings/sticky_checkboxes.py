"""Choices that are no part of a configuration, from one session to the next.

napari 0.9 and later shows them among its own preferences and keeps them; elsewhere, and
where ``HUSH_CONFIG_DIR`` is set, the dock keeps them itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from napari_hush.widgets.user_settings import load_setting, save_setting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qtpy.QtWidgets import QCheckBox

__all__ = ["PREFERENCES", "prefer", "preferred", "tie"]

PREFERENCES = {"apart": False, "preview": True, "keep_type": False}
"""By their names in the manifest (``configurations``, "dock"), with their defaults."""


def preferred(name: str) -> bool:
    """What was chosen under `name`, one of `PREFERENCES`."""
    ours = _of_napari()
    if ours is not None:
        return bool(getattr(ours, name))
    return bool(load_setting(name, PREFERENCES[name]))


def prefer(name: str, chosen: bool) -> None:
    """Remember `chosen` under `name`."""
    ours = _of_napari()
    if ours is None:
        save_setting(name, chosen)
    elif getattr(ours, name) != chosen:
        setattr(ours, name, chosen)


def tie(boxes: Mapping[str, QCheckBox]) -> None:
    """Show preferences in `boxes`, by name, and keep what people choose there."""
    for name, box in boxes.items():
        box.setChecked(preferred(name))
        box.clicked.connect(_keep(name))


def _keep(name: str) -> Callable[[bool], None]:
    """What keeps a choice; a `partial` would be called without it by PySide."""

    def keep(chosen: bool) -> None:
        prefer(name, chosen)

    return keep


def _of_napari() -> Any:
    """What napari keeps for this plugin; None where it does not."""
    if "HUSH_CONFIG_DIR" in os.environ:
        return None
    try:
        from napari.settings import get_plugin_settings
    except ImportError:  # napari before 0.9
        return None
    try:
        return get_plugin_settings("napari-hush").dock
    except (KeyError, AttributeError):  # napari does not know the plugin, as in some tests
        return None
