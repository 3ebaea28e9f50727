"""What people are told in napari's notifications, with something to do about it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import (
    Notification,
    NotificationSeverity,
    notification_manager,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_hush.events import WarningIssued

__all__ = ["WarningCollector", "tell"]

_log = logging.getLogger(__name__)


def tell(sentence: str, **actions: Callable[[], None]) -> None:
    """Show `sentence` as an error, with a button per action.

    Parameters
    ----------
    sentence : str
        What was given, what is allowed, what to do.
    **actions : callable
        By the words on the button, with ``_`` for blanks.
    """
    buttons = [(name.replace("_", " "), _pressed(do)) for name, do in actions.items()]
    notification_manager.dispatch(
        Notification(sentence, NotificationSeverity.ERROR, actions=buttons)
    )


class WarningCollector:
    """Shows what speaks against a result, each kind once in a run."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def begin(self) -> None:
        """Another run begins."""
        self._told.clear()

    def take(self, event: WarningIssued) -> None:
        """Show `event`, unless one of its kind was shown; log it in any case."""
        _log.info(event.message)
        if event.about not in self._told:
            self._told.add(event.about)
            notification_manager.dispatch(
                Notification(event.message, NotificationSeverity.WARNING)
            )


def _pressed(do: Callable[[], None]) -> Callable[[Any], None]:
    def press(toast: Any) -> None:
        do()
        toast.close()

    return press
