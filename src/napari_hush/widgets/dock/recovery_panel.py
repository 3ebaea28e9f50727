"""Offers to go on with a training that was cut off."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_hush.errors import TrainingError
from napari_hush.widgets.jobs.crash_recovery import discard, interrupted_runs
from napari_hush.widgets.notifications import notify

if TYPE_CHECKING:
    from napari_hush.widgets.jobs.crash_recovery import InterruptedTraining

__all__ = ["RecoveryPanel"]

TOO_LARGE = (
    "Its images were too large to be copied, so it cannot go on;\n"
    "take its model, and train that on."
)
HELP = {
    "interrupted_continue": (
        "Go on from its last state; the model comes out as if nothing had happened."
    ),
    "interrupted_take": "Take the model as it was last, to denoise with it or to save it.",
    "interrupted_discard": "Remove it, and what was learned in it.",
}


class RecoveryPanel(QFrame):
    """Names the last training that was cut off, and what can be done about it.

    Hidden where there is none, and while another training runs.
    """

    continued = Signal(object)
    """Somebody wants this `InterruptedTraining` to go on."""
    taken = Signal(object)
    """Somebody wants the model of this `InterruptedTraining`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._run: InterruptedTraining | None = None
        self._offered = True

        # ---- widgets
        self.setObjectName("interrupted")
        self.setProperty("role", "offer")
        self._words = QLabel()
        self._words.setObjectName("interrupted_words")
        self._words.setTextFormat(Qt.TextFormat.PlainText)
        self._words.setWordWrap(True)
        self._words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        names = ("Continue", "Take its model", "Discard …")
        self._buttons = [
            _button(name, words) for name, words in zip(HELP, names, strict=True)
        ]

        # ---- layout
        row = QHBoxLayout()
        row.setSpacing(6)
        for button, stretch in zip(self._buttons, (3, 4, 3), strict=True):
            row.addWidget(button, stretch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(6)
        layout.addWidget(self._words)
        layout.addLayout(row)

        # ---- connections
        go_on, take, remove = self._buttons
        go_on.clicked.connect(lambda: self.continued.emit(self._run))
        take.clicked.connect(lambda: self.taken.emit(self._run))
        remove.clicked.connect(self._on_discard)
        self.hide()

    # ---- Public API

    def refresh(self) -> None:
        """Look for trainings that were cut off."""
        runs = interrupted_runs()
        self._run = runs[0] if runs else None
        self._show()
        if self._run is None:
            return
        words = f"The training on “{self._run.name}” was cut off {_when(self._run.when)}."
        if len(runs) > 1:
            words += f" {len(runs) - 1} more after it."
        self._words.setText(words)
        go_on = self._buttons[0]
        go_on.setEnabled(self._run.has_pixels)
        go_on.setToolTip(
            HELP["interrupted_continue"] if self._run.has_pixels else TOO_LARGE
        )

    def setOffered(self, offered: bool, *, enabled: bool) -> None:
        """Say whether anything is offered now, and whether it can be taken."""
        self._offered = offered
        self.setEnabled(enabled)
        self._show()

    # ---- Private API

    def _show(self) -> None:
        self.setVisible(self._offered and self._run is not None)

    def _on_discard(self) -> None:
        if self._run is None:
            return
        answer = QMessageBox.question(
            self,
            "Discard the training",
            f"Remove the training on “{self._run.name}” and what was learned in it?",
        )
        if answer == QMessageBox.StandardButton.Yes:
            try:
                discard(self._run.folder)
            except TrainingError as error:
                notify(str(error))
            self.refresh()


def _when(seconds: float) -> str:
    """``"today at 17:32"``, or ``"2026-11-27 at 17:32"``."""
    then = time.localtime(seconds)
    day = time.strftime("%Y-%m-%d", then)
    today = day == time.strftime("%Y-%m-%d")
    return f"{'today' if today else day} at {time.strftime('%H:%M', then)}"


def _button(name: str, words: str) -> QPushButton:
    button = QPushButton(words)
    button.setObjectName(name)
    button.setToolTip(HELP[name])
    return button
