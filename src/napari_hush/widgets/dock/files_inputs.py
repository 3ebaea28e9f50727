"""Inputs of the dock "Denoise files": images, a model, a folder, and options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QWidget

from napari_hush.widgets.dock.files_options import FilesOptions
from napari_hush.widgets.dock.path_fields import ModelField, PathField, SourceField
from napari_hush.widgets.jobs.files_task import FilesRequest, default_folder
from napari_hush.widgets.model.file_dialogs import READABLE
from napari_hush.widgets.theme.collapsible import Collapsible
from napari_hush.widgets.theme.help import HelpButton
from napari_hush.widgets.theme.segmented_buttons import SegmentedButtons
from napari_hush.widgets.theme.widgets import column, form, row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_hush.models import Model

_SKIP, _REPLACE = range(2)


class FilesInputs(QWidget):
    """Chooses everything of a `FilesRequest`.

    `current` returns name and model of the dock "Denoise"; None if it has none.
    """

    valueChanged = Signal()

    def __init__(
        self,
        current: Callable[[], tuple[str, Model] | None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._proposed: Path | None = None  # the folder for results beside the images

        # ---- widgets
        self.source = SourceField(
            "files_source",
            "Files, a folder or a plate with the images to denoise, a pattern such as "
            "cells_*.tif, or the address of a Zarr store.",
            "a folder or files",
        )
        self.model = ModelField("files_model", "The model to denoise with.", current)
        self.output = PathField(
            "files_output", "The folder for the results.", "a folder for the results"
        )
        self._existing = SegmentedButtons(
            "files_existing",
            {
                "Skip": "Keep results that exist, and complete one that was interrupted.",
                "Replace": "Denoise all images, and replace results that exist.",
            },
        )
        for number, name in ((_SKIP, "files_resume"), (_REPLACE, "files_replace")):
            self._existing.button(number).setObjectName(name)
        self._existing.setValue(_SKIP)
        self.options = FilesOptions()

        # ---- layout
        fields = form()
        fields.setRowWrapPolicy(fields.RowWrapPolicy.WrapLongRows)
        fields.addRow("Images", self.source)
        fields.addRow("Model", self.model)
        fields.addRow("Results", self.output)
        fields.addRow("Done files", self._existing)
        more = Collapsible("files_options", "Options", lambda: self.options)
        more.built()
        options = row()
        options.addWidget(more, 1)
        options.addWidget(HelpButton("files"), 0, Qt.AlignmentFlag.AlignTop)
        layout = column(self, spacing=8)
        layout.addLayout(fields)
        layout.addLayout(options)

        # ---- connections
        self.source.valueChanged.connect(self._propose_folder)
        for field in (self.source, self.model, self.output, self.options):
            field.valueChanged.connect(self.valueChanged)
        self._existing.chosen.connect(lambda _: self.valueChanged.emit())

    def value(self) -> FilesRequest | None:
        """The request; None without images or a folder."""
        source, output = self.source.paths(), self.output.value()
        if not source or output is None:
            return None
        return FilesRequest(
            source,
            self.model.model(),
            output,
            replace=self._existing.value() == _REPLACE,
            **self.options.value(),
        )

    def missing(self) -> str:
        """A request for the first missing input; empty if there is none."""
        for value, what in (
            (self.source.paths(), "the folder with the images"),
            (self.model.model(), "a model"),
            (self.output.value(), "a folder for the results"),
        ):
            if not value:
                return f"Choose {what}."
        return ""

    def take(self, paths: Sequence[str]) -> None:
        """Use dropped images and folders, or a model."""
        models = [path for path in paths if path.endswith(READABLE)]
        if models:
            self.model.setValue(Path(models[0]))
        if images := [path for path in paths if path not in models]:
            self.source.setPaths(images)

    def _propose_folder(self) -> None:
        source = self.source.paths()
        if source and self.output.value() in (None, self._proposed):
            self._proposed = default_folder(source)
            if self._proposed is not None:
                self.output.setValue(self._proposed)
