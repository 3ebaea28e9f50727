"""The upper half of the dock: what to learn from, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, QTimer, Signal
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_hush.axes import validate_axes
from napari_hush.config import DataConfig
from napari_hush.errors import HushError
from napari_hush.widgets import layers
from napari_hush.widgets.chosen_data import ChosenData
from napari_hush.widgets.data_panel import DataPanel
from napari_hush.widgets.estimate import estimate, speed_of_run, steps_per_epoch
from napari_hush.widgets.readiness import Readiness, judge
from napari_hush.widgets.remembered import recall, remember
from napari_hush.widgets.rule import Rule
from napari_hush.widgets.settings_form import SettingsForm
from napari_hush.widgets.tasks import Training

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image

    from napari_hush.config import Configuration

__all__ = ["Inputs"]

MEASURED = ("_means", "_stds")
"""How fields end that are measured on the training data and saved with the model."""
LOOK_MS = 1000
"""Milliseconds between two looks for the speed of a device that is being measured."""


class Inputs(QWidget):
    """Chooses data and settings, and judges whether they go together.

    Attributes
    ----------
    data, settings : DataPanel, SettingsForm
        The two groups.
    """

    valueChanged = Signal()
    """Something was edited; `readiness` is up to date."""
    renamed = Signal()
    """A chosen layer has another name; nothing else changed."""

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._readiness = Readiness()

        # ---- widgets
        self.data = DataPanel(viewer)
        self.settings = SettingsForm()

        # ---- layout
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        layout.addWidget(self.data)
        layout.addWidget(Rule())
        layout.addWidget(self.settings)

        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)

        # ---- connections
        self._timer.timeout.connect(self._look_for_speed)
        self.data.valueChanged.connect(self._on_edited)
        self.data.renamed.connect(self.renamed)
        self.settings.valueChanged.connect(self._on_edited)

        self._on_edited()

    # ---- Public API

    @property
    def readiness(self) -> Readiness:
        """What stands in the way of training and denoising."""
        return self._readiness

    def axes(self) -> str:
        """Axes of the noisy layer, right or wrong."""
        return self.data.axes.value()

    def value(self) -> Configuration:
        """The configuration that training would use.

        Raises
        ------
        ConfigurationError
            If what was typed cannot be.
        """
        validate_axes(self.axes())
        return self.settings.value()

    def setValue(self, configuration: Configuration) -> None:
        """Show `configuration`, its axes included."""
        with QSignalBlocker(self.data), QSignalBlocker(self.settings):
            self.settings.setValue(configuration)
            self.data.axes.setValue(configuration.data_config.axes)
        self._on_edited()

    def showSettingsOf(self, configuration: Configuration) -> None:
        """Show a model's settings, for training another one on the chosen layer."""
        # Intensities are measured anew, and the axes are those of the layer.
        measured = [name for name in DataConfig.model_fields if name.endswith(MEASURED)]
        data = configuration.data_config.model_dump() | dict.fromkeys(measured)
        data |= {"data_type": "array", "level": 0}
        with QSignalBlocker(self.settings):
            self.settings.setValue(configuration.replace(data_config=data))
        if self.chosen() is None:
            self.data.axes.setValue(configuration.data_config.axes)
        self._on_edited()

    def chosen(self) -> Image | None:
        """The first noisy layer, which is also the one to denoise."""
        return self.data.layer()

    def chosenData(self) -> ChosenData | None:
        """All chosen layers; None without a noisy one."""
        chosen = {role: tuple(field.value()) for role, field in self.data.fields.items()}
        if not chosen["noisy"]:
            return None
        return ChosenData(
            axes=self.axes(),
            extent=self.data.part(),
            shapes=self.data.shapes.value(),
            **chosen,
        )

    def training(self) -> Training | None:
        """The job that Train starts; None where something stands in the way by now."""
        self._on_edited()  # what is shown may be another part by now
        data = self.chosenData()
        if data is None or self._readiness.training:
            return None
        configuration = self.value()
        needs_targets = configuration.algorithm_config.needs_targets
        pixels = data.pixels(self._viewer, needs_targets=needs_targets)
        return Training(configuration, pixels, data.noisy[0].name)

    def labels(self) -> list[QLabel]:
        """Labels of all rows, which share one left edge."""
        return self.data.labels()

    def showLocked(self, locked: bool) -> None:
        """Show whether settings can be edited now."""
        self.settings.setEnabled(not locked)
        self.data.axes.setEnabled(not locked)

    def noteSpeed(self, patches_per_second: float) -> None:
        """Take notice of how fast a run with these settings was."""
        try:
            configuration = self.value()
        except HushError:  # edited into something else since
            return
        speeds = dict(recall("speeds", {}))
        device = configuration.training_config.device
        speeds[device] = speed_of_run(configuration, patches_per_second)
        remember("speeds", speeds)
        self._show_cost()

    def awaitSpeed(self) -> None:
        """Show what a run costs as soon as somebody has measured the device."""
        self._timer.start()

    # ---- Private API

    def _look_for_speed(self) -> None:
        if recall("speeds", {}):
            self._timer.stop()
            self._show_cost()

    def _on_edited(self) -> None:
        method = self.settings.method.method()
        self.data.showTargets(method.needs_targets)
        layer = self.chosen()
        with QSignalBlocker(self.settings):  # it may change in being judged
            self._readiness = judge(layer, self.axes(), self.settings)
            if layer is not None and not self._readiness.axes_wrong:
                self._judge_data()
        self.data.showFacts(self._readiness.facts, axes_wrong=self._readiness.axes_wrong)
        self._show_cost()
        self.valueChanged.emit()

    def _judge_data(self) -> None:
        """Judge the other layers, too, and the part of them that is learned from."""
        data = self.chosenData()
        if data is None:
            return
        needs_targets = self.settings.method.method().needs_targets
        problem = data.problem(needs_targets=needs_targets)
        if not problem and needs_targets:
            shapes = layers.pixel_shape(data.noisy[0]), layers.pixel_shape(data.target[0])
            count = [layers.channel_count(data.axes, shape) for shape in shapes]
            self.settings.setImage(data.axes, *count)
        if not problem:
            try:
                problem = data.fit_problem(self.value(), data.windows(self._viewer))
            except HushError:
                problem = self._readiness.training
        if problem:
            self._readiness = self._readiness.but(problem)

    def _show_cost(self) -> None:
        data = self.chosenData()
        try:
            configuration = self.value()
            shapes = [] if data is None else [layers.pixel_shape(one) for one in data.noisy]
            steps = steps_per_epoch(configuration, shapes)
        except (HushError, ValueError):  # said where training is judged
            self.settings.effort.showCost(None, 0)
            return
        speed = recall("speeds", {}).get(configuration.training_config.device)
        cost = estimate(configuration, shapes, speed)
        total = steps * configuration.training_config.num_epochs
        self.settings.effort.showCost(cost, total)
