"""The foot of the dock, which never scrolls: status, progress and the primary button."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QProgressBar, QWidget

from napari_hush.widgets.dock.status import Footer, StatusLine, show_progress
from napari_hush.widgets.theme.widgets import Rule, column, row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qtpy.QtWidgets import QPushButton

    from napari_hush.widgets.dock.view_state import ViewState

STRETCHES = {"denoise_now": 1, "pause": 2, "stop": 3, "cancel": 3}
"""Width of the buttons, of which only those of use are shown, relative to each other."""


class FootBar(QWidget):
    """Shows what runs or why nothing can, and the buttons that start and stop it."""

    def __init__(
        self, buttons: Mapping[str, QPushButton], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("foot")
        self.footer = Footer()
        self._buttons = {name: buttons[name] for name in STRETCHES}
        self._progress = QProgressBar()
        self._progress.setObjectName("progress")
        self._progress.setTextVisible(False)
        self._status = StatusLine()
        layout = column(self, spacing=6)
        layout.setContentsMargins(11, 0, 11, 8)
        layout.addWidget(Rule())
        layout.addWidget(self._status)
        layout.addWidget(self._progress)
        self._row = row()
        for name, stretch in STRETCHES.items():
            self._row.addWidget(self._buttons[name], stretch)
        layout.addLayout(self._row)
        layout.addWidget(self.footer)

    def showView(self, view: ViewState) -> None:
        """Show the status, the progress, and the buttons of use."""
        for name, button in self._buttons.items():
            shown = name in view.foot
            if button.isHidden() == shown:
                button.setVisible(shown)
        show_progress(self._progress, *view.progress)
        self._status.setText(view.status, view.status_kind)
