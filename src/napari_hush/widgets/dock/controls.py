"""The column of controls: their order, and the one function that dresses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLayout,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_hush.widgets.data.scope_chooser import ScopeChooser
from napari_hush.widgets.dock.inputs import Inputs
from napari_hush.widgets.dock.log_pane import LogPane
from napari_hush.widgets.dock.recovery_panel import RecoveryPanel
from napari_hush.widgets.dock.status import Footer, StatusLine
from napari_hush.widgets.inspect.compare_panel import ComparePanel
from napari_hush.widgets.model.model_panel import ModelPanel
from napari_hush.widgets.plot.loss_plot import LossPlot
from napari_hush.widgets.settings.sticky_checkboxes import persist
from napari_hush.widgets.theme.collapsible import order_tabs
from napari_hush.widgets.theme.widgets import Rule

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtGui import QShowEvent

    from napari_hush.widgets.dock.view_state import ViewState
    from napari_hush.widgets.theme.theme import Colours

__all__ = ["Controls"]

_BUTTONS = {
    "train": "Train",
    "train_on": "Train on",
    "pause": "Pause",
    "stop": "Stop",
    "denoise": "Denoise",
    "cancel": "Cancel",
    "snapshots": "Go back …",
    "save_model": "Save …",
    "load_model": "Load …",
}


class Controls(QWidget):
    """Everything the dock shows, in the order of the work. Decides nothing.

    Attributes
    ----------
    interrupted : InterruptedPanel
        What was cut off, and can go on.
    inputs, plot, look, card : Inputs, LossPlot, LookPanel, ModelPanel
        Data and settings, the loss curve, the ways of comparing, what the model is.
    buttons : dict of str to QPushButton
        By objectName: train, train_on, pause, stop, denoise, cancel, save_model,
        load_model.
    scope, keep_type, preview, footer, log
        What to denoise and into what, whether to show previews, the machine, what was
        done.
    """

    def __init__(
        self, viewer: Viewer, colours: Colours, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)

        # ---- widgets
        self.interrupted = RecoveryPanel()
        self.inputs = Inputs(viewer)
        self.look = ComparePanel(viewer, self.inputs.chosen)
        self.plot = LossPlot(colours)
        self.preview = QCheckBox("Live preview")
        self.preview.setObjectName("live_preview")
        self.preview.setChecked(True)
        self.preview.setToolTip(
            "While training, show what the model makes of what you look at, every few\n"
            "seconds. It may take one twentieth of the time."
        )
        self.scope = ScopeChooser()
        self.keep_type = QCheckBox("Result in the type of the source")
        self.keep_type.setObjectName("keep_type")
        self.keep_type.setToolTip(
            "Round the result into the type that the layer has, for example uint16.\n"
            "Otherwise it is float32, with all decimals."
        )
        self.card = ModelPanel()
        self.footer = Footer()
        self.log = LogPane()
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
        layout.setSpacing(8)
        layout.addWidget(self.interrupted)
        layout.addWidget(self.inputs)
        layout.addWidget(Rule())
        layout.addLayout(self._training_row())
        layout.addWidget(self.plot, 50)  # takes what room there is, up to its height
        layout.addWidget(self._progress)
        layout.addWidget(self._status)
        layout.addLayout(self._preview_row())
        layout.addWidget(Rule())
        layout.addLayout(self._denoising_row())
        layout.addWidget(self.keep_type)
        layout.addWidget(self.look)
        layout.addWidget(Rule())
        layout.addLayout(self._model_row())
        layout.addWidget(self.card)
        layout.addWidget(self.footer)
        layout.addWidget(self.log)
        layout.addStretch(1)
        order_tabs(self)

    # ---- Public API

    def followPreferences(self) -> None:
        """Check boxes as people left them last, and remember how they leave them."""
        boxes = {"preview": self.preview, "keep_type": self.keep_type}
        persist({"apart": self.inputs.settings.apart, **boxes})

    def showFace(self, face: ViewState) -> None:
        """Show `face`: the only place where a control's state is set."""
        self.inputs.showLocked(not face.settings_enabled)
        self.interrupted.setOffered(face.settings_enabled, enabled=face.offers_enabled)
        for name, button in self.buttons.items():
            button.setEnabled(not face.blocked[name])
            button.setToolTip(face.tooltips[name])
            _mark(button, "lit", name == face.primary)
        pause = "Resume" if face.paused else "Pause"
        if self.buttons["pause"].text() != pause:
            self.buttons["pause"].setText(pause)
        self._show_progress(*face.progress)
        self._status.setText(face.status, face.status_kind)
        if self._model.text() != face.model:
            self._model.setText(face.model)
            self._model.setToolTip(face.model)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._align_labels()
        QTimer.singleShot(0, self._settle)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._align_labels()

    # ---- Private API

    def _settle(self) -> None:
        """Ask all for their sizes again: only now they know the theme's paddings."""
        self._align_labels()
        for layout in self.findChildren(QLayout):
            layout.invalidate()
        for child in (*self.findChildren(QWidget), self):
            child.updateGeometry()

    def _show_progress(self, value: int, maximum: int) -> None:
        bar = self._progress
        bar.setUpdatesEnabled(False)  # it would be drawn at once, and the window with it
        bar.setMaximum(maximum)
        bar.setValue(value)
        bar.setUpdatesEnabled(True)

    def _training_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        for name, stretch in (("train", 3), ("train_on", 2), ("pause", 2), ("stop", 2)):
            row.addWidget(self.buttons[name], stretch)
        return row

    def _preview_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(self.preview, 1)
        row.addWidget(self.buttons["snapshots"])
        return row

    def _denoising_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.buttons["denoise"], 3)
        row.addWidget(self.scope, 6)
        row.addWidget(self.buttons["cancel"], 2)
        return row

    def _model_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self._model, 1)
        row.addWidget(self.buttons["save_model"])
        row.addWidget(self.buttons["load_model"])
        row.addWidget(self.card.recent)
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
