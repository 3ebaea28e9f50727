"""The column of controls: their order, and the one function that dresses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_hush.widgets.inputs import Inputs
from napari_hush.widgets.loss_plot import LossPlot
from napari_hush.widgets.rule import Rule
from napari_hush.widgets.status_line import StatusLine

if TYPE_CHECKING:
    import napari.viewer
    from qtpy.QtGui import QShowEvent

    from napari_hush.widgets.colours import Colours
    from napari_hush.widgets.face import Face

__all__ = ["Controls"]

_BUTTONS = {
    "train": "Train",
    "stop": "Stop",
    "denoise": "Denoise",
    "cancel": "Cancel",
    "save_model": "Save …",
    "load_model": "Load …",
}


class Controls(QWidget):
    """Everything the dock shows, in the order of the work. Decides nothing.

    Attributes
    ----------
    inputs, plot : Inputs, LossPlot
        Data and settings, and the loss curve.
    buttons : dict of str to QPushButton
        By objectName: train, stop, denoise, cancel, save_model, load_model.
    """

    def __init__(
        self, viewer: napari.viewer.Viewer, colours: Colours, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)

        # ---- widgets
        self.inputs = Inputs(viewer)
        self.plot = LossPlot(colours)
        self._progress = QProgressBar()
        self._progress.setObjectName("progress")
        self._progress.setTextVisible(False)
        self._status = StatusLine()
        self._model = QElidingLabel()
        self._model.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.buttons = {name: _button(name, words) for name, words in _BUTTONS.items()}

        # ---- layout
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 12)
        layout.setSpacing(10)
        layout.addWidget(self.inputs)
        layout.addWidget(Rule())
        layout.addLayout(self._run_rows())
        layout.addWidget(self.plot)
        layout.addWidget(self._progress)
        layout.addWidget(self._status)
        layout.addWidget(Rule())
        layout.addLayout(self._model_row())
        layout.addStretch(1)

    # ---- Public API

    def showFace(self, face: Face) -> None:
        """Show `face`: the only place where a control's state is set."""
        self.inputs.showLocked(not face.settings_enabled)
        for name, button in self.buttons.items():
            button.setEnabled(not face.blocked[name])
            button.setToolTip(face.tooltips[name])
            _mark(button, "lit", name == face.primary)
        self._show_progress(*face.progress)
        self._status.setText(face.status, face.status_kind)
        if self._model.text() != face.model:
            self._model.setText(face.model)
            self._model.setToolTip(face.model)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._align_labels()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._align_labels()

    # ---- Private API

    def _show_progress(self, value: int, maximum: int) -> None:
        bar = self._progress
        bar.setUpdatesEnabled(False)  # it would be drawn at once, and the window with it
        bar.setMaximum(maximum)
        bar.setValue(value)
        bar.setUpdatesEnabled(True)

    def _run_rows(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setSpacing(6)
        for row, (start, end) in enumerate((("train", "stop"), ("denoise", "cancel"))):
            grid.addWidget(self.buttons[start], row, 0)
            grid.addWidget(self.buttons[end], row, 1)
        grid.setColumnStretch(0, 2)
        grid.setColumnStretch(1, 1)
        return grid

    def _model_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self._model, 1)
        row.addWidget(self.buttons["save_model"])
        row.addWidget(self.buttons["load_model"])
        return row

    def _align_labels(self) -> None:
        """Give all forms one left edge."""
        labels = self.inputs.labels()
        for label in labels:
            label.ensurePolished()  # only then it has the font of the theme
        width = max(label.sizeHint().width() for label in labels)
        for label in labels:
            label.setMinimumWidth(width)


def _button(name: str, words: str) -> QPushButton:
    button = QPushButton(words)
    button.setObjectName(name)
    return button


def _mark(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the stylesheet looks at, and have it look again."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
