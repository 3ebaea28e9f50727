"""What people are told in napari's notifications, with something to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.notifications import (
    Notification,
    NotificationSeverity,
    notification_manager,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["tell"]


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


def _pressed(do: Callable[[], None]) -> Callable[[Any], None]:
    def press(toast: Any) -> None:
        do()
        toast.close()

    return press
