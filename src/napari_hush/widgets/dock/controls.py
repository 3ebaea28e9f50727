"""The controls of the dock, in the order of the work, and their state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QLayout,
    QSizePolicy,
    QWidget,
)
from superqt import QElidingLabel

from napari_hush.widgets.data.scope_chooser import ScopeChooser
from napari_hush.widgets.dock.foot_bar import FootBar
from napari_hush.widgets.dock.inputs import Inputs
from napari_hush.widgets.dock.log_pane import LogPane
from napari_hush.widgets.dock.recovery_panel import RecoveryPanel
from napari_hush.widgets.inspect.compare_panel import ComparePanel
from napari_hush.widgets.model.model_panel import ModelPanel
from napari_hush.widgets.plot.loss_plot import LossPlot
from napari_hush.widgets.settings.prediction_settings import (
    PredictionSettings,
    network_alone_box,
)
from napari_hush.widgets.settings.sticky_checkboxes import persist
from napari_hush.widgets.theme.collapsible import Collapsible, order_tabs
from napari_hush.widgets.theme.help import HelpButton
from napari_hush.widgets.theme.widgets import (
    Rule,
    column,
    mark,
    push_button,
    row,
    show_text,
)

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtGui import QShowEvent

    from napari_hush.widgets.dock.view_state import ViewState
    from napari_hush.widgets.theme.theme import Colours

BUTTONS = {
    "denoise_now": "Denoise now",
    "train": "Train",
    "train_on": "Train more",
    "pause": "Pause",
    "stop": "Stop",
    "denoise": "Denoise",
    "denoise_files": "Denoise files …",
    "cancel": "Cancel",
    "snapshots": "Snapshots …",
    "save_image": "Save image …",
    "save_model": "Save model …",
    "load_model": "Load …",
}
"""Labels by objectName."""


class Controls(QWidget):
    """All controls of the dock, in sections that appear when they have content.

    `foot`, for the place below the scroll area, has the primary button. Decides nothing.
    """

    def __init__(
        self, viewer: Viewer, colours: Colours, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("controls")
        self.recovery = RecoveryPanel()
        self.inputs = Inputs(viewer)
        self.compare = ComparePanel(viewer, self.inputs.chosen)
        self.plot = LossPlot(colours)
        self.preview = QCheckBox("Live preview")
        self.preview.setObjectName("live_preview")
        self.preview.setChecked(True)
        self.preview.setToolTip(
            "While training, denoise the visible region every few seconds and show it.\n"
            "Takes a few percent of the time."
        )
        self.scope = ScopeChooser()
        self.keep_type = QCheckBox("Keep the data type of the layer")
        self.keep_type.setObjectName("keep_type")
        self.keep_type.setToolTip(
            "Round the result to the data type of the layer, e.g. uint16.\n"
            "Otherwise the result is float32."
        )
        self.network_alone = network_alone_box("network_alone")
        self.prediction = PredictionSettings(self.keep_type, self.network_alone)
        self.card = ModelPanel()
        self.log = LogPane()
        self._model = QElidingLabel()
        self._model.setObjectName("model_name")
        self._model.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.buttons = {name: push_button(name, words) for name, words in BUTTONS.items()}
        self.foot = FootBar(self.buttons)
        self._not_trained = QLabel()
        self._not_trained.setObjectName("not_trained")
        self._not_trained.setProperty("role", "quiet")
        self._not_trained.setWordWrap(True)
        self._not_trained.hide()
        self._live = QWidget()
        self._saving = QWidget()
        self._sections: dict[str, QWidget] = {
            "live": self._live,
            "result": self.compare,
            "saving": self._saving,
        }
        self._lay_out()
        order_tabs(self)
        order_tabs(self.foot)

    def _lay_out(self) -> None:
        training = QWidget()
        training_column = column(training, spacing=10)
        training_column.addWidget(self.inputs.settings)
        training_column.addLayout(self._row(None, train=1, train_on=1))
        training_column.addWidget(self._not_trained)
        preview_row = row()
        preview_row.addWidget(self.preview, 1)
        preview_row.addWidget(self.buttons["snapshots"])
        preview_row.addWidget(HelpButton("live"))
        live_column = column(self._live, spacing=8)
        # No higher than the plot; a gap below the sections is better than one within.
        live_column.setSizeConstraint(QLayout.SizeConstraint.SetMinAndMaxSize)
        live_column.addWidget(self.plot, 1)
        live_column.addLayout(preview_row)
        denoising = QWidget()
        denoising_row = row()
        denoising_row.addWidget(self.scope, 3)
        denoising_row.addWidget(self.buttons["denoise"], 2)
        denoising_column = column(denoising, spacing=8)
        denoising_column.addWidget(self.prediction)
        denoising_column.addLayout(denoising_row)
        denoising_column.addWidget(self.buttons["denoise_files"])
        self._row(self._saving, save_image=1, save_model=1)
        model_row = row()
        model_row.addWidget(self.card.details)
        model_row.addWidget(self._model, 1)
        model_row.addWidget(self.buttons["load_model"])
        model_row.addWidget(self.card.recent)
        model_row.addWidget(HelpButton("model"))
        layout = column(self, spacing=5)
        layout.setContentsMargins(11, 10, 11, 12)
        layout.addWidget(self.recovery)
        layout.addWidget(self.inputs)
        fold = _fold("training", "Training", training)
        settings = self.inputs.settings
        settings.summarized.connect(lambda words: fold.setTitle(f"Training: {words}"))
        fold.setTitle(f"Training: {settings.summary()}")
        layout.addWidget(fold)
        layout.addWidget(_fold("denoising", "Denoising", denoising))
        layout.addWidget(Rule())
        layout.addWidget(self.compare)
        layout.addWidget(self._saving)
        layout.addWidget(self._live, 50)
        layout.addLayout(model_row)
        layout.addWidget(self.card)
        layout.addWidget(self.log)
        layout.addStretch(1)

    def followPreferences(self) -> None:
        """Restore the check boxes from the preferences, and save their changes there."""
        boxes = {"preview": self.preview, "keep_type": self.keep_type}
        persist({"apart": self.inputs.settings.apart, **boxes})

    def showView(self, view: ViewState) -> None:
        """Show `view`; the states of controls are set nowhere else."""
        self.inputs.showLocked(not view.settings_enabled)
        self.recovery.setOffered(view.settings_enabled, enabled=view.offers_enabled)
        for name, button in self.buttons.items():
            button.setEnabled(not view.blocked[name])
            button.setToolTip(view.tooltips[name])
            mark(button, "lit", name == view.primary)
            if button.text() != (label := view.labels.get(name, BUTTONS[name])):
                button.setText(label)
        for name, section in self._sections.items():
            shown = name in view.sections
            if section.isHidden() == shown:
                section.setVisible(shown)
        self._not_trained.setVisible(bool(view.not_trained))
        if self._not_trained.text() != view.not_trained:
            self._not_trained.setText(view.not_trained)
        self.foot.showView(view)
        self.card.recent.setEnabled(not view.blocked["load_model"])
        show_text(self._model, view.model)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._align_labels()
        QTimer.singleShot(0, self._settle)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._align_labels()

    def _settle(self) -> None:
        """Lay out again, now that the stylesheet of the theme has set the paddings."""
        self._align_labels()
        for layout in self.findChildren(QLayout):
            layout.invalidate()
        for child in (*self.findChildren(QWidget), self):
            child.updateGeometry()

    def _row(self, parent: QWidget | None, **stretches: int) -> QHBoxLayout:
        """A row of the buttons with these names."""
        layout = row(parent)
        for name, stretch in stretches.items():
            layout.addWidget(self.buttons[name], stretch)
        return layout

    def _align_labels(self) -> None:
        """Give the fields of all forms one left edge."""
        labels = self.inputs.data.labels()
        for label in labels:
            label.ensurePolished()  # sets the font of the theme
        width = max(label.sizeHint().width() for label in labels)
        for label in labels:
            label.setMinimumWidth(width)


def _fold(name: str, title: str, content: QWidget) -> Collapsible:
    """A collapsed section, whose `content` exists already: scripts find it by name."""
    fold = Collapsible(f"fold_{name}", title, QWidget, help=name)
    fold.content().layout().addWidget(content)
    return fold
