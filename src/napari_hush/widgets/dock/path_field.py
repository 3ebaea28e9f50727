"""A field for a file or a folder: typed, chosen in a dialog, or dropped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QWidget

if TYPE_CHECKING:
    from qtpy.QtGui import QDragEnterEvent, QDropEvent

__all__ = ["PathField"]


class PathField(QWidget):
    """Holds a path.

    Parameters
    ----------
    name : str
        Becomes the objectName of the field.
    help : str
        What the path is for.
    kinds : str
        Filter of the dialog, e.g. ``"Models (*.safetensors)"``; empty for folders.
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
        self._button = QPushButton("…")
        self._button.setObjectName(f"{name}_choose")
        self._button.setToolTip(help)
        self._button.setFixedWidth(32)
        self.setAcceptDrops(True)
        self._edit.setAcceptDrops(False)  # or the text of the address would be pasted
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self._edit, 1)
        layout.addWidget(self._button)
        self._edit.textChanged.connect(self.valueChanged)
        self._button.clicked.connect(self._choose)

    def value(self) -> Path | None:
        """The path; None if there is none."""
        text = self._edit.text().strip()
        return Path(text).expanduser() if text else None

    def setValue(self, path: Path) -> None:
        """Show `path`."""
        self._edit.setText(str(path))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = event.mimeData().urls()[0].toLocalFile()
        if path:
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
