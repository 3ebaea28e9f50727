"""The upper half of the dock: what to learn from, and how."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, QTimer, Signal
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_hush.axes import validate_axes
from napari_hush.config import Configuration, DataConfig
from napari_hush.config.files import SUFFIXES as YAML_SUFFIXES
from napari_hush.errors import HushError
from napari_hush.widgets.data import layers
from napari_hush.widgets.data.chosen_data import ChosenData
from napari_hush.widgets.data.data_panel import DataPanel
from napari_hush.widgets.data.training_data import whole_of
from napari_hush.widgets.dock.readiness import Readiness, judge
from napari_hush.widgets.dock.settings_files import SettingsFiles
from napari_hush.widgets.inspect.check_panel import CheckPanel
from napari_hush.widgets.inspect.check_task import DataCheck
from napari_hush.widgets.jobs.tasks import Training
from napari_hush.widgets.model.file_dialogs import READABLE as MODEL_SUFFIXES
from napari_hush.widgets.model.model_panel import why_not_for
from napari_hush.widgets.settings.cost_estimate import (
    estimate,
    speed_of_run,
    steps_per_epoch,
)
from napari_hush.widgets.settings.settings_form import SettingsForm
from napari_hush.widgets.theme.collapsible import Collapsible
from napari_hush.widgets.theme.theme import Colours
from napari_hush.widgets.theme.widgets import Rule
from napari_hush.widgets.user_settings import load_setting, save_setting

if TYPE_CHECKING:
    from pathlib import Path

    import napari.viewer
    from napari.layers import Image

    from napari_hush.models import Model
    from napari_hush.widgets.data.drag_and_drop import Dropped

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
    files : SettingsFiles
        Settings in files, on the clipboard, and in the next session.
    """

    valueChanged = Signal()
    """Something was edited; `readiness` is up to date."""
    renamed = Signal()
    """A chosen layer has another name; nothing else changed."""

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._colours = Colours.of(viewer.theme)
        self._readiness = Readiness()
        self._model: Model | None = None

        # ---- widgets
        self.data = DataPanel(viewer)
        self.settings = SettingsForm()
        self.files = SettingsFiles(self, viewer)
        self._check: CheckPanel | None = None
        self._check_fold = Collapsible("fold_check", "Check data", self._build_check)

        # ---- layout
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        layout.addWidget(self.data)
        self.data.layout().addWidget(self._check_fold)
        layout.addWidget(Rule())
        layout.addWidget(self.settings)

        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)

        # ---- connections
        self._timer.timeout.connect(self._look_for_speed)
        self.data.valueChanged.connect(self._on_edited)
        self.data.renamed.connect(self.renamed)
        self.data.layerChanged.connect(self._on_layer_changed)
        self._check_fold.toggled.connect(self._on_check_opened)
        self.settings.valueChanged.connect(self._on_edited)

        self.files.recall()
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

    def named(self) -> Configuration:
        """The configuration, called after the image unless people gave it a name.

        Raises
        ------
        ConfigurationError
            If what was typed cannot be.
        """
        configuration, layer = self.value(), self.chosen()
        unnamed = configuration.experiment_name == Configuration().experiment_name
        name = (
            "" if layer is None else re.sub(r"[^A-Za-z0-9_\- ]+", "_", layer.name).strip()
        )
        return (
            configuration.replace(experiment_name=name)
            if unnamed and name
            else (configuration)
        )

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
        chosen = {
            role: tuple(field.value())
            for role, field in self.data.fields.items()
            if role != "truth"
        }
        if not chosen["noisy"]:
            return None
        return ChosenData(
            axes=self.axes(),
            extent=self.data.part(),
            shapes=self.data.shapes.value(),
            **chosen,
        )

    def truth(self) -> Image | None:
        """What a result should come close to: the truth, or the target of a method."""
        truth = self.data.fields["truth"].chooser.value()
        if truth is None and self.settings.method.method().needs_targets:
            return self.data.fields["target"].chooser.value()
        return truth

    def training(self) -> Training | None:
        """The job that Train starts; None where something stands in the way by now."""
        self._on_edited()  # what is shown may be another part by now
        data = self.chosenData()
        if data is None or self._readiness.training:
            return None
        configuration = self.named()
        self.files.remember()
        needs_targets = configuration.algorithm_config.needs_targets
        pixels = data.pixels(self._viewer, needs_targets=needs_targets)
        first = data.noisy[0]
        size = layers.pixel_size_of(first)
        return Training(configuration, pixels, first.name, pixel_size=size)

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
        speeds = dict(load_setting("speeds", {}))
        device = configuration.training_config.device
        # A small network or a busy moment only ever make a device look slower.
        speed = speed_of_run(configuration, patches_per_second)
        speeds[device] = max(speed, speeds.get(device, 0.0))
        save_setting("speeds", speeds)
        self._show_cost()

    def setModel(self, model: Model | None) -> None:
        """Judge from now on whether `model` can denoise the chosen layer, too."""
        if model is not self._model:
            self._model = model
            self._judge()

    def take(self, dropped: Dropped) -> Path | None:
        """Use what was dropped beside the fields; a model file is handed back.

        Layers and images are what is learned from; YAML files are settings.
        """
        if dropped.layers:
            self.data.fields["noisy"].setLayers(dropped.layers)
            return None
        models = [path for path in dropped.paths if path.suffix in MODEL_SUFFIXES]
        settings = [path for path in dropped.paths if path.suffix in YAML_SUFFIXES]
        images = [path for path in dropped.paths if path not in (*models, *settings)]
        for path in settings:
            self.files.load(path)
        if images:
            self.data.openFiles(images)
        return models[-1] if models else None

    def awaitSpeed(self) -> None:
        """Show what a run costs as soon as somebody has measured the device."""
        self._timer.start()

    def setColours(self, colours: Colours) -> None:
        """Draw in these colours."""
        self._colours = colours
        self.settings.method.setLinkColour(colours.curve)
        if self._check is not None:
            self._check.setColours(colours)

    # ---- Private API

    def _build_check(self) -> QWidget:
        self._check = CheckPanel(self._colours)
        self._check.asked.connect(self._on_check)
        self._check.accepted.connect(self.settings.method.setValue)
        self._check.summed.connect(
            lambda words: self._check_fold.setTitle(
                f"Check data: {words}" if words else "Check data"
            )
        )
        return self._check

    def _on_check_opened(self, opened: bool) -> None:
        if opened and self._check is not None and not self._check.was_asked:
            self._on_check()

    def _on_check(self) -> None:
        if self._check is None:
            return
        data = self.chosenData()
        if data is None or self._readiness.axes_wrong:
            self._check.showProblem(self._readiness.training)
            return
        try:
            configuration = self.value()
        except HushError:
            self._check.showProblem(self._readiness.training)
            return
        layer = data.noisy[0]
        self._check.start(DataCheck(whole_of(layer), configuration, layer.name))

    def _on_layer_changed(self) -> None:
        if self._check is not None:
            self._check.forget()

    def _look_for_speed(self) -> None:
        if load_setting("speeds", {}):
            self._timer.stop()
            self._show_cost()

    def _on_edited(self) -> None:
        self._judge()
        self.valueChanged.emit()

    def _judge(self) -> None:
        method = self.settings.method.method()
        self.data.showTargets(method.needs_targets)
        layer = self.chosen()
        with QSignalBlocker(self.settings):  # it may change in being judged
            self._readiness = judge(layer, self.axes(), self.settings)
            if layer is not None and not self._readiness.axes_wrong:
                self._judge_data()
                if self._model is not None:
                    unfit = why_not_for(self._model, layer, self.axes())
                    self._readiness = replace(self._readiness, denoising=unfit)
        self.data.showFacts(self._readiness.facts, axes_wrong=self._readiness.axes_wrong)
        self._show_cost()

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
            self.settings.preset.showCost(None, 0)
            return
        speed = load_setting("speeds", {}).get(configuration.training_config.device)
        cost = estimate(configuration, shapes, speed)
        total = steps * configuration.training_config.num_epochs
        self.settings.preset.showCost(cost, total)
