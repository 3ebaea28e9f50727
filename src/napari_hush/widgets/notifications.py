"""Errors and warnings in napari's notifications, with buttons for what to do next."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import (
    Notification,
    NotificationSeverity,
    notification_manager,
)
from qtpy.QtWidgets import QMessageBox

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from napari_hush.events import WarningIssued

_log = logging.getLogger(__name__)


def notify(sentence: str, **actions: Callable[[], None]) -> None:
    """Show `sentence` as an error, with a button per action.

    The keyword of an action is the label of its button, with ``_`` for spaces.
    """
    buttons = [(name.replace("_", " "), _pressed(do)) for name, do in actions.items()]
    notification_manager.dispatch(
        Notification(sentence, NotificationSeverity.ERROR, actions=buttons)
    )


def confirm(parent: QWidget, action: str, sentence: str) -> bool:
    """Ask whether to do `action`, the label of a button, in spite of `sentence`."""
    box = QMessageBox(QMessageBox.Icon.Warning, action, sentence, parent=parent)
    box.setObjectName("confirm")
    accept = box.addButton(action, QMessageBox.ButtonRole.AcceptRole)
    box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
    box.exec()
    return box.clickedButton() is accept


class WarningCollector:
    """Shows the warnings of a run, each kind once."""

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def begin(self) -> None:
        """Start a new run."""
        self._shown.clear()

    def skip(self, about: str) -> None:
        """Only log what is `about` this during the run."""
        self._shown.add(about)

    def take(self, event: WarningIssued) -> None:
        """Show `event` unless one of its kind was shown; log it in any case."""
        _log.info(event.message)
        if event.about not in self._shown:
            self._shown.add(event.about)
            notification_manager.dispatch(
                Notification(event.message, NotificationSeverity.WARNING)
            )


def _pressed(do: Callable[[], None]) -> Callable[[Any], None]:
    def press(toast: Any) -> None:
        do()
        toast.close()

    return press
