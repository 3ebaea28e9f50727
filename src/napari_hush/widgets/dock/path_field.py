"""A field for the path of a file or folder: typed, chosen in a dialog, or dropped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QLineEdit, QWidget

from napari_hush.widgets.theme.widgets import push_button, row

if TYPE_CHECKING:
    from qtpy.QtGui import QDragEnterEvent, QDropEvent


class PathField(QWidget):
    """Holds a path. `name` is the objectName of the line, `help` its tool tip.

    `kinds` is the filter of the dialog, e.g. ``"Models (*.safetensors)"``; empty for
    folders.
    """

    valueChanged = Signal()

    def __init__(
        self, name: str, help: str, kinds: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._kinds = kinds
        self._edit = QLineEdit()
        self._edit.setObjectName(name)
        self._edit.setToolTip(help)
        self._edit.setPlaceholderText("drop or choose a " + ("file" if kinds else "folder"))
        button = push_button(f"{name}_choose", "…", help)
        button.setFixedWidth(32)
        self.setAcceptDrops(True)
        self._edit.setAcceptDrops(False)  # or the URL would be pasted as text
        layout = row(self)
        layout.addWidget(self._edit, 1)
        layout.addWidget(button)
        self._edit.textChanged.connect(self.valueChanged)
        button.clicked.connect(self._choose)

    def value(self) -> Path | None:
        """The path; None if the line is empty."""
        text = self._edit.text().strip()
        return Path(text).expanduser() if text else None

    def setValue(self, path: Path) -> None:
        """Show `path`."""
        self._edit.setText(str(path))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        if path := event.mimeData().urls()[0].toLocalFile():
            self.setValue(Path(path))
            event.acceptProposedAction()

    def _choose(self) -> None:
        start = self._edit.text()
        if self._kinds:
            chosen, _ = QFileDialog.getOpenFileName(self, "Choose", start, self._kinds)
        else:
            chosen = QFileDialog.getExistingDirectory(self, "Choose a folder", start)
        if chosen:
            self.setValue(Path(chosen))
