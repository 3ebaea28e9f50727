"""Offers to resume an interrupted training run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QLabel, QMessageBox, QSizePolicy, QWidget

from napari_hush.errors import TrainingError
from napari_hush.widgets.jobs.crash_recovery import discard, interrupted_runs
from napari_hush.widgets.notifications import notify
from napari_hush.widgets.theme.help import HelpButton
from napari_hush.widgets.theme.widgets import column, push_button, row

if TYPE_CHECKING:
    from napari_hush.widgets.jobs.crash_recovery import InterruptedTraining

TOO_LARGE = (
    "Its images were too large to be copied, so it cannot be resumed;\n"
    "use its model and train that further."
)
HELP = {
    "interrupted_resume": (
        "Resume from the last checkpoint; the model will be the same as without a crash."
    ),
    "interrupted_use_model": "Use the model of the last checkpoint to denoise or to save.",
    "interrupted_discard": "Delete this training run and its model.",
}


class RecoveryPanel(QFrame):
    """Shows the last interrupted training run; hidden without one and during training."""

    resumed = Signal(object)
    """Resume this `InterruptedTraining`."""
    modelAsked = Signal(object)
    """Use the model of this `InterruptedTraining`."""

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
        texts = ("Resume", "Use its model", "Discard …")
        self._resume, use_model, remove = (
            push_button(name, text, HELP[name])
            for name, text in zip(HELP, texts, strict=True)
        )

        # ---- layout
        buttons = row()
        buttons.addWidget(self._resume, 3)
        buttons.addWidget(use_model, 4)
        buttons.addWidget(remove, 3)
        layout = column(self, spacing=6)
        layout.setContentsMargins(8, 8, 8, 8)
        top = row()
        top.addWidget(self._words, 1)
        top.addWidget(HelpButton("recovery"), 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(top)
        layout.addLayout(buttons)

        # ---- connections
        self._resume.clicked.connect(lambda: self.resumed.emit(self._run))
        use_model.clicked.connect(lambda: self.modelAsked.emit(self._run))
        remove.clicked.connect(self._on_discard)
        self.hide()

    def refresh(self) -> None:
        """Look for interrupted training runs."""
        runs = interrupted_runs()
        self._run = runs[0] if runs else None
        self._show()
        if self._run is None:
            return
        words = f"Training on “{self._run.name}” was interrupted {_when(self._run.when)}."
        if len(runs) > 1:
            words += f" It is the latest of {len(runs)} such runs."
        self._words.setText(words)
        possible = self._run.has_pixels
        self._resume.setEnabled(possible)
        self._resume.setToolTip(HELP["interrupted_resume"] if possible else TOO_LARGE)

    def setOffered(self, offered: bool, *, enabled: bool) -> None:
        """Set whether the panel may be visible, and whether its buttons are enabled."""
        self._offered = offered
        self.setEnabled(enabled)
        self._show()

    def _show(self) -> None:
        self.setVisible(self._offered and self._run is not None)

    def _on_discard(self) -> None:
        if self._run is None:
            return
        answer = QMessageBox.question(
            self,
            "Discard training",
            f"Delete the training run on “{self._run.name}” and its model?",
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
