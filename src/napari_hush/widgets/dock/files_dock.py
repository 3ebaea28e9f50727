"""The dock "Denoise files": a folder in, a model, a folder out."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QSize, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QProgressBar,
    QSpinBox,
    QWidget,
)

from napari_hush.events import Event, FileWritten, ImageStarted
from napari_hush.widgets.dock.docking import OnlyDock
from napari_hush.widgets.dock.status import ActivityBar, StatusLine, show_progress
from napari_hush.widgets.jobs.denoising_task import DenoisingFiles
from napari_hush.widgets.jobs.run import Run
from napari_hush.widgets.jobs.run_state import Activity, Phase
from napari_hush.widgets.model.file_dialogs import FILE_FILTER
from napari_hush.widgets.notifications import notify
from napari_hush.widgets.theme.repaint import paint_now
from napari_hush.widgets.theme.theme import Colours, stylesheet
from napari_hush.widgets.theme.widgets import column, form, mark, push_button, row

if TYPE_CHECKING:
    import napari.viewer
    from qtpy.QtGui import QDragEnterEvent, QDropEvent


class FilesDock(QWidget):
    """Denoises all images of a folder, or of a file, with a model from a file."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._file = ""
        self._written: list[Path] = []

        # ---- widgets
        self.setObjectName("files_dock")
        self._source = PathField(
            "files_source",
            "A folder, file or plate with the images to denoise, or a pattern such as "
            "cells_*.tif.",
        )
        self._model = PathField("files_model", "The model to denoise with.", FILE_FILTER)
        self._output = PathField(
            "files_output", "The folder for the results; no file is overwritten."
        )
        self._axes = QLineEdit()
        self._axes.setObjectName("files_axes")
        self._axes.setPlaceholderText("axes of the model")
        self._axes.setToolTip("Axes of the files, e.g. TYX; if empty, those of the model.")
        self._images = ImageChooser()
        self._resume = QCheckBox("Only missing results")
        self._resume.setObjectName("files_resume")
        self._resume.setToolTip(
            "Keep the results that exist, and complete one that was interrupted."
        )
        self._start = push_button("files_start", "Denoise")
        self._cancel = push_button(
            "files_cancel", "Cancel", "Stop, and keep the finished files."
        )
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._status = StatusLine()
        self._bar = ActivityBar(self)
        self._run = Run(self, self._summary)

        # ---- layout
        fields = form()
        fields.addRow("Images", self._source)
        fields.addRow("Model", self._model)
        fields.addRow("Results", self._output)
        fields.addRow("Axes", self._axes)
        fields.addRow("Of each file", self._images)
        fields.addRow("", self._resume)
        buttons = row()
        buttons.addWidget(self._start, 2)
        buttons.addWidget(self._cancel, 1)
        layout = column(self, spacing=10)
        layout.setContentsMargins(12, 10, 12, 12)
        layout.addLayout(fields)
        layout.addLayout(buttons)
        layout.addWidget(self._progress)
        layout.addWidget(self._status)
        layout.addStretch(1)

        # ---- connections
        for field in (self._source, self._model, self._output):
            field.valueChanged.connect(self._on_edited)
        self._start.clicked.connect(self._on_start)
        self._cancel.clicked.connect(self._on_cancel)
        self._run.progressed.connect(self._on_progressed)
        self._run.refused.connect(notify)
        self._run.ended.connect(self._render)
        viewer.events.theme.connect(self._on_theme)
        OnlyDock(self, viewer)
        self._on_theme()
        self._render()

    def sizeHint(self) -> QSize:
        return QSize(330, 320)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._run.abandon()
            self._bar.close()
        return bool(super().event(event))

    def _on_edited(self) -> None:
        self._run.reset()
        self._render()

    def _on_start(self) -> None:
        source, model, output = (
            field.value() for field in (self._source, self._model, self._output)
        )
        if source is None or model is None or output is None:
            return
        self._written, self._file = [], ""
        axes = self._axes.text().strip().upper()
        resume = self._resume.isChecked()
        task = DenoisingFiles(
            model, source, output, axes, self._images.value(), resume=resume
        )
        self._run.start(Activity.DENOISING, source.name, task)
        self._render()

    def _on_cancel(self) -> None:
        self._run.stop()
        self._render()

    def _on_progressed(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, ImageStarted):
                self._file = event.name
            if isinstance(event, FileWritten):
                self._written.append(event.path)
        self._render()
        self._run.setPaintTime(paint_now(self))

    def _summary(self, written: list[Path]) -> str:
        stopped = "Cancelled; " if self._run.state.stopped else ""
        count = "1 file is" if len(written) == 1 else f"{len(written)} files are"
        where = f" in “{written[0].parent.name}”" if written else ""
        return f"{stopped}{count} denoised{where}."

    def _missing(self) -> str:
        for field, what in (
            (self._source, "the folder with the images"),
            (self._model, "a model"),
            (self._output, "a folder for the results"),
        ):
            if field.value() is None:
                return f"Choose {what}."
        return ""

    def _render(self) -> None:
        state, missing = self._run.state, self._missing()
        running = state.phase is Phase.RUNNING
        for field in (
            self._source,
            self._model,
            self._output,
            self._axes,
            self._images,
            self._resume,
        ):
            field.setEnabled(not state.busy)
        self._start.setEnabled(not state.busy and not missing)
        self._start.setToolTip(missing or "Denoise all images of the folder.")
        self._cancel.setEnabled(running)
        mark(self._start, "lit", self._start.isEnabled())
        mark(self._cancel, "lit", running)
        show_progress(self._progress, state.done, max(1, state.total))
        if running:
            doing = f"“{self._file}”" if self._file else "the model"
            words = f"{len(self._written)} done · {doing}"
            if state.total:
                words += f" · tile {state.done} of {state.total}"
        elif state.phase is Phase.STOPPING:
            words = "Stopping; finished files are kept …"
        else:
            words = state.message or missing or "Ready."
        kind = "failed" if state.phase is Phase.FAILED else "plain"
        self._status.setText(words, kind)
        self._bar.show(state)

    def _on_theme(self, event: Any = None) -> None:
        self.setStyleSheet(stylesheet(Colours.of(self._viewer.theme)))


class ImageChooser(QWidget):
    """Which image is used of files that hold several: all, or one by its number."""

    _KINDS = MappingProxyType(
        {"all images": "", "series": "series", "scene": "scene", "field of wells": "field"}
    )

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kind = QComboBox()
        self._kind.setObjectName("files_images")
        self._kind.addItems(list(self._KINDS))
        self._kind.setToolTip(
            "Files may hold several images: series (TIFF), scenes (microscope formats) or "
            "fields of wells (plates)."
        )
        self._number = QSpinBox()
        self._number.setObjectName("files_image_number")
        self._number.setMaximum(9999)
        self._number.setToolTip("Number of the image in each file, from 0.")
        self._number.hide()
        layout = row(self)
        layout.addWidget(self._kind, 2)
        layout.addWidget(self._number, 1)
        self._kind.currentTextChanged.connect(
            lambda text: self._number.setVisible(bool(self._KINDS[text]))
        )

    def value(self) -> dict[str, int]:
        """The choice as keyword of `predict_to_disk`; empty for all images."""
        kind = self._KINDS[self._kind.currentText()]
        return {kind: self._number.value()} if kind else {}


class PathField(QWidget):
    """Holds the path of a file or folder: typed, chosen in a dialog, or dropped.

    `name` is the objectName of the line, `help` its tool tip. `kinds` is the filter of the
    dialog, e.g. ``"Models (*.safetensors)"``; empty for folders.
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
