"""Fields for paths: typed, chosen in a dialog, or dropped; and one for a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QLineEdit,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from napari_hush.widgets.model.file_dialogs import FILE_FILTER
from napari_hush.widgets.theme.widgets import mark, push_button, row, small_button
from napari_hush.widgets.user_settings import load_setting

if TYPE_CHECKING:
    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QDragEnterEvent, QDropEvent

    from napari_hush.models import Model

NARROWEST = 60
"""Width of a line in pixels, where the dock is narrow."""


class PathField(QWidget):
    """Holds the path of a folder.

    `name` is the objectName of the line, `help` its tool tip, `empty` what it says while it
    is empty.
    """

    valueChanged = Signal()

    def __init__(
        self, name: str, help: str, empty: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._edit = QLineEdit()
        self._edit.setObjectName(name)
        self._edit.setToolTip(help)
        self._edit.setPlaceholderText(empty)
        self._edit.setMinimumWidth(NARROWEST)
        self._button = push_button(f"{name}_choose", "…", help)
        self._button.setMinimumWidth(32)
        self._button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._button.setAccessibleName(f"Choose: {empty}")
        self.setAcceptDrops(True)
        self._edit.setAcceptDrops(False)  # or the URL would be pasted as text
        self._layout = row(self)
        self._layout.addWidget(self._edit, 1)
        self._layout.addWidget(self._button)
        self._edit.textChanged.connect(self.valueChanged)
        self._connect(self._button)

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
            mark(self._edit, "hover", True)

    def dragLeaveEvent(self, event: QEvent) -> None:
        mark(self._edit, "hover", False)

    def dropEvent(self, event: QDropEvent) -> None:
        mark(self._edit, "hover", False)
        if paths := dropped_paths(event):
            self._take(paths)
            event.acceptProposedAction()

    def _take(self, paths: list[str]) -> None:
        self._edit.setText(paths[0])

    def _connect(self, button: QPushButton) -> None:
        button.clicked.connect(self._choose_folder)

    def _choose_folder(self) -> None:
        start = self._edit.text().strip('"')
        if chosen := QFileDialog.getExistingDirectory(self, "Choose a folder", start):
            self._take([chosen])


class SourceField(PathField):
    """Holds files, folders, patterns or addresses; several are in quotes."""

    def paths(self) -> tuple[Path, ...]:
        """The paths; none if the line is empty."""
        text = self._edit.text().strip()
        quoted = re.findall(r'"([^"]+)"', text) if text.startswith('"') else []
        names = quoted or ([text] if text else [])
        return tuple(Path(name).expanduser() for name in names)

    def setPaths(self, paths: Iterable[Path | str]) -> None:
        """Show `paths`."""
        self._take([str(path) for path in paths])

    def _take(self, paths: list[str]) -> None:
        several = len(paths) > 1
        self._edit.setText(" ".join(f'"{p}"' for p in paths) if several else paths[0])

    def _connect(self, button: QPushButton) -> None:
        menu = QMenu(self)
        menu.addAction("Folder …").triggered.connect(lambda _=False: self._choose_folder())
        menu.addAction("Files …").triggered.connect(lambda _=False: self._choose_files())
        button.setMenu(menu)

    def _choose_files(self) -> None:
        start = self._edit.text().strip('"')
        chosen, _ = QFileDialog.getOpenFileNames(self, "Choose images", start)
        if chosen:
            self._take(chosen)


class ModelField(PathField):
    """Holds the file of a model, or the current model of the dock "Denoise".

    `current` returns the name of that model and the model; None if there is none. The
    button after the line lists it, and recent files.
    """

    def __init__(
        self, name: str, help: str, current: Callable[[], tuple[str, Model] | None]
    ) -> None:
        super().__init__(name, help, "a model file")
        self._current = current
        self._chosen: tuple[str, Model] | None = None
        recent = small_button(f"{name}_recent", "▾", "The current model and recent ones.")
        recent.setAccessibleName("Recent models")
        recent.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._menu = QMenu(self)
        self._menu.setToolTipsVisible(True)
        recent.setMenu(self._menu)
        self._layout.insertWidget(1, recent)
        self._menu.aboutToShow.connect(self._fill)

    def model(self) -> Model | Path | None:
        """The model or its file; None if the line is empty."""
        if self._chosen is None or self._edit.text() != _words(self._chosen[0]):
            return self.value()
        now = self._current()
        return self._chosen[1] if now is None else now[1]

    def setModel(self, name: str, model: Model) -> None:
        """Choose the current model of the dock "Denoise"."""
        self._chosen = name, model
        self._edit.setText(_words(name))

    def _fill(self) -> None:
        self._menu.clear()
        if current := self._current():
            action = self._menu.addAction(_words(current[0]))
            action.setToolTip("The model of the dock “Denoise”, saved or not.")
            action.triggered.connect(lambda _=False: self.setModel(*current))
            self._menu.addSeparator()
        for name in load_setting("models", []):
            path = Path(name)
            action = self._menu.addAction(path.stem)
            action.setToolTip(name if path.is_file() else f"{name} no longer exists.")
            action.setEnabled(path.is_file())
            action.triggered.connect(lambda _=False, path=path: self.setValue(path))
        if self._menu.isEmpty():
            self._menu.addAction("No model has been saved or loaded yet.").setEnabled(False)

    def _connect(self, button: QPushButton) -> None:
        button.clicked.connect(self._choose_model)

    def _choose_model(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Choose a model", "", FILE_FILTER)
        if chosen:
            self.setValue(Path(chosen))


def _words(name: str) -> str:
    return f"Current model “{name}”"


def dropped_paths(event: QDropEvent) -> list[str]:
    """The files, folders and addresses that are dropped."""
    return [url.toLocalFile() or url.toString() for url in event.mimeData().urls()]
