"""The dock "Denoise files": images on disk and a model in, a folder of results out."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QSize, QTimer, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QProgressBar, QWidget

from napari_hush.widgets.data.file_opener import FileOpener
from napari_hush.widgets.dock.docking import OnlyDock, find_dock, open_dock
from napari_hush.widgets.dock.files_inputs import FilesInputs
from napari_hush.widgets.dock.files_list import FilesList
from napari_hush.widgets.dock.path_fields import dropped_paths
from napari_hush.widgets.dock.status import ActivityBar, StatusLine, show_progress
from napari_hush.widgets.jobs.files_progress import FilesProgress, Step
from napari_hush.widgets.jobs.files_task import (
    CheckingFiles,
    DenoisingFiles,
)
from napari_hush.widgets.jobs.run import Run
from napari_hush.widgets.jobs.run_state import Activity, Phase
from napari_hush.widgets.notifications import WarningCollector, notify
from napari_hush.widgets.theme.collapsible import order_tabs
from napari_hush.widgets.theme.help import add_help_key
from napari_hush.widgets.theme.repaint import paint_now
from napari_hush.widgets.theme.theme import Colours, stylesheet
from napari_hush.widgets.theme.widgets import (
    Rule,
    WrappedLabel,
    column,
    mark,
    push_button,
    row,
    scrolled,
)
from napari_hush.widgets.user_settings import add_recent_model

if TYPE_CHECKING:
    import napari.viewer
    from qtpy.QtGui import QDragEnterEvent, QDropEvent

    from napari_hush.events import Event, WarningIssued
    from napari_hush.models import Model

CHECK_AFTER_MS = 250
"""Milliseconds from the last edit to the check of the files."""
STEPS = 1000
"""Of the progress bar."""


class FilesDock(QWidget):
    """Denoises images on disk with a model, each into its own file."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._progress = FilesProgress()
        self._refusal = ""
        self._check_again = False
        self._heeds_check = False
        """Whether the running check is one of the present inputs, and no job came since."""

        # ---- widgets
        self.setObjectName("files_dock")
        self.setAcceptDrops(True)
        self._inputs = FilesInputs(self._current)
        self._list = FilesList()
        self._warnings = WrappedLabel("files_warnings", role="quiet")
        self._bar = QProgressBar()
        self._bar.setObjectName("progress")
        self._bar.setTextVisible(False)
        self._status = StatusLine()
        self._start = push_button("files_start", "Denoise")
        self._cancel = push_button(
            "files_cancel", "Cancel", "Stop, and keep the finished files."
        )
        self._open = push_button("files_open_folder", "Open folder")
        self._activity = ActivityBar(self)
        self._opener = FileOpener(viewer, self)
        self._opener.refused.connect(notify)
        self._run = Run(self, self._summary, _Silent())
        self._check = Run(self, warnings=_Silent())
        self._check_later = QTimer(self)
        self._check_later.setSingleShot(True)
        self._check_later.setInterval(CHECK_AFTER_MS)
        self._lay_out()
        order_tabs(self)

        # ---- connections
        self._inputs.valueChanged.connect(self._on_edited)
        self._check_later.timeout.connect(self._on_check)
        self._check.progressed.connect(self._on_checked)
        self._check.refused.connect(self._on_refused)
        self._check.ended.connect(self._on_check_ended)
        self._start.clicked.connect(self._on_start)
        self._cancel.clicked.connect(self._on_cancel)
        self._open.clicked.connect(self._on_open_folder)
        self._list.chosen.connect(self._on_chosen)
        self._run.progressed.connect(self._on_progressed)
        self._run.refused.connect(self._end_rows)
        self._run.ended.connect(self._on_ended)
        viewer.events.theme.connect(self._on_theme)
        add_help_key(self)
        OnlyDock(self, viewer)
        self._on_theme()
        self._render()

    def _lay_out(self) -> None:
        controls = QWidget()
        inside = column(controls, spacing=8)
        inside.setContentsMargins(12, 10, 12, 8)
        inside.addWidget(self._inputs)
        inside.addWidget(self._list, 1)
        inside.addWidget(self._warnings)
        buttons = row()
        for button, stretch in ((self._open, 1), (self._start, 2), (self._cancel, 2)):
            buttons.addWidget(button, stretch)
        foot = column(spacing=6)
        foot.setContentsMargins(12, 6, 12, 10)
        foot.addWidget(self._status)
        foot.addWidget(self._bar)
        foot.addLayout(buttons)
        layout = column(self, spacing=0)
        layout.addWidget(scrolled("files_scroll", controls), 1)
        layout.addWidget(Rule())
        layout.addLayout(foot)

    # ---- Public API

    def setModel(self, name: str, model: Model, *, network_alone: bool = False) -> None:
        """Choose the current model of the dock "Denoise", called `name`.

        With `network_alone`, results are the output of its network.
        """
        self._inputs.model.setModel(name, model)
        self._inputs.options.network_alone.setChecked(network_alone)

    def setSource(self, *paths: Path) -> None:
        """Choose images."""
        self._inputs.source.setPaths(paths)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Take images and folders, or a model."""
        if self._run.state.busy or not (paths := dropped_paths(event)):
            return
        event.acceptProposedAction()
        self._inputs.take(paths)

    def sizeHint(self) -> QSize:
        return QSize(330, 560)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._run.abandon()
            self._check.abandon()
            self._activity.close()
        elif event.type() == QEvent.Type.WindowActivate and self._refusal:
            self._check_later.start()  # the reason may be gone
        return bool(super().event(event))

    # ---- Edits and the check of the files

    def _current(self) -> tuple[str, Model] | None:
        """Name and model of the dock "Denoise"."""
        dock = find_dock(self._viewer, "denoise_dock")
        return None if dock is None or dock.model is None else (dock.modelName, dock.model)

    def _on_edited(self) -> None:
        self._run.reset()
        self._refusal = ""
        self._check_later.start()
        self._render()

    def _on_check(self) -> None:
        if self._run.state.busy:
            return
        if self._check.state.busy:
            self._check_again, self._heeds_check = True, False
            self._check.stop()
            return
        self._refusal, self._check_again, self._heeds_check = "", False, True
        self._progress.clear()
        self._show_rows(None)
        if (request := self._inputs.value()) is not None:
            self._check.start(Activity.CHECKING, str(request), CheckingFiles(request))
        self._render()

    def _on_checked(self, events: list[Event]) -> None:
        if self._heeds_check:
            self._show_rows(self._progress.take(events, time.monotonic()))
            self._render()

    def _on_refused(self, sentence: str) -> None:
        if self._heeds_check:
            self._refusal = sentence

    def _on_check_ended(self) -> None:
        if self._check_again:
            self._on_check()
        self._render()

    # ---- Denoising

    def _on_start(self) -> None:
        request = self._inputs.value()
        if request is None or request.model is None or self._run.state.busy:
            return
        self._check.stop()
        self._check_later.stop()
        self._check_again = self._heeds_check = False
        self._progress.begin()
        self._run.start(Activity.DENOISING, str(request), DenoisingFiles(request))
        if isinstance(request.model, Path):
            add_recent_model(request.model)
        self._render()

    def _on_cancel(self) -> None:
        self._run.stop()
        self._render()

    def _on_progressed(self, events: list[Event]) -> None:
        before = self._progress.running
        self._show_rows(self._progress.take(events, time.monotonic()))
        running = self._progress.running
        if running is not None and running != before:
            self._list.follow(running)
        self._render()
        self._run.setPaintTime(paint_now(self))

    def _on_ended(self) -> None:
        self._end_rows()
        self._render()

    def _end_rows(self, reason: str = "") -> None:
        self._show_rows(self._progress.end(reason))

    def _summary(self, _: object) -> str:
        self._end_rows()
        output = self._inputs.output.value()
        name = "" if output is None else output.name
        return self._progress.summary(name, stopped=self._run.state.stopped)

    def _on_open_folder(self) -> None:
        if (folder := self._inputs.output.value()) is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder.absolute())))

    def _on_chosen(self, number: int) -> None:
        """Open a result as a layer."""
        if (result := self._progress.rows[number].result) is not None:
            self._opener.open([result], "result")

    # ---- What is seen

    def _show_rows(self, changed: set[int] | None) -> None:
        if changed is None:
            self._list.setRows(self._progress.rows)
        elif changed:
            self._list.updateRows(self._progress.rows, sorted(changed))

    def _render(self) -> None:
        state, missing = self._run.state, self._inputs.missing() or self._refusal
        running, progress = state.phase is Phase.RUNNING, self._progress
        self._inputs.setEnabled(not state.busy)
        self._start.setVisible(not state.busy)
        self._start.setEnabled(not state.busy and not missing)
        self._start.setText(progress.action)
        self._start.setToolTip(missing or "Denoise the images of the list.")
        self._cancel.setVisible(state.busy)
        self._cancel.setEnabled(running)
        self._open.setVisible(not state.busy and progress.count(Step.DONE, Step.KEPT) > 0)
        is_next = self._start.isEnabled() and (progress.left > 0 or not progress.rows)
        mark(self._start, "lit", is_next)
        mark(self._open, "lit", not is_next)
        mark(self._cancel, "lit", running)
        done = round(STEPS * progress.share) if state.busy else 0
        show_progress(self._bar, done, STEPS)
        self._warnings.setText(progress.warnings())
        self._warnings.setVisible(bool(progress.warnings()))
        self._status.setText(*self._words(missing))
        self._activity.show(replace(state, done=done, total=STEPS))

    def _words(self, missing: str) -> tuple[str, str]:
        """The status and its kind."""
        state, progress = self._run.state, self._progress
        if state.phase is Phase.STOPPING:
            return "Stopping; finished files are kept …", "plain"
        if state.busy and progress.running is None:
            return "Loading the model …", "plain"
        if state.busy:
            return progress.status(time.monotonic()), "plain"
        if state.phase is Phase.FAILED:
            return state.message, "failed"
        if state.message:
            return state.message, "problem" if progress.count(Step.FAILED) else "plain"
        if self._refusal:
            return missing, "failed"
        if self._check.state.busy and not progress.rows:
            return "Looking for images …", "plain"
        return missing or progress.found(), "plain"

    def _on_theme(self, event: Any = None) -> None:
        colours = Colours.of(self._viewer.theme)
        self.setStyleSheet(stylesheet(colours))
        self._list.setColours(colours)


class _Silent(WarningCollector):
    """Shows no notifications: the dock shows warnings itself, each kind once."""

    def take(self, event: WarningIssued) -> None:
        """Leave it to the list of files."""


def open_files_dock(
    viewer: napari.viewer.Viewer,
    name: str,
    model: Model,
    *source: Path,
    network_alone: bool = False,
) -> FilesDock:
    """Show the dock "Denoise files" with images, if given, and a model, as `setModel`."""
    dock: FilesDock = open_dock(viewer, FilesDock, "files_dock")
    dock.setModel(name, model, network_alone=network_alone)
    if source:
        dock.setSource(*source)
    return dock
