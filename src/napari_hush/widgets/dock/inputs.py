"""Inputs of a training run: the panel of the data, and the form of the settings."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, QTimer, Signal
from qtpy.QtWidgets import QWidget

from napari_hush.axes import validate_axes
from napari_hush.config import Configuration, DataConfig
from napari_hush.config.configuration import SUFFIXES as YAML_SUFFIXES
from napari_hush.config.training import may_end_early, until_good
from napari_hush.errors import ConfigurationError, HushError
from napari_hush.widgets.data import layers
from napari_hush.widgets.data.data_panel import DataPanel
from napari_hush.widgets.data.regions import Extent
from napari_hush.widgets.dock.as_script import as_command, as_python, source_of
from napari_hush.widgets.dock.readiness import Readiness, check_inputs, without_path
from napari_hush.widgets.dock.settings_files import SettingsFiles
from napari_hush.widgets.inspect.check_panel import CheckPanel
from napari_hush.widgets.jobs.tasks import LOADER, Training, load_engine
from napari_hush.widgets.model import fitting
from napari_hush.widgets.model.file_dialogs import READABLE as MODEL_SUFFIXES
from napari_hush.widgets.settings.cost_estimate import (
    LEAST_STEPS,
    Speed,
    absurdity,
    denoising_seconds,
    estimate,
    fitted_length,
    is_measured,
    note_run,
    steps_per_epoch,
)
from napari_hush.widgets.settings.settings_form import SettingsForm, fresh_configuration
from napari_hush.widgets.theme.theme import Colours
from napari_hush.widgets.theme.widgets import column

if TYPE_CHECKING:
    from pathlib import Path

    import napari.viewer
    from napari.layers import Image

    from napari_hush.config.training import Preset
    from napari_hush.models import Model
    from napari_hush.quality import DataReport
    from napari_hush.widgets.data.chosen_data import ChosenData
    from napari_hush.widgets.data.chosen_files import ImageOnDisk
    from napari_hush.widgets.data.drag_and_drop import Dropped
    from napari_hush.widgets.settings.cost_estimate import Estimate

MEASURED = ("_means", "_stds")
"""Suffixes of the fields that are measured on the training data."""
_Shapes = list[tuple[int, ...]]
POLL_MS = 1000
"""Milliseconds between two checks whether the benchmark of the device has finished."""


class Inputs(QWidget):
    """Chooses data and settings, and checks whether they fit together.

    Shows the data; `settings` is for another place in the dock.
    """

    valueChanged = Signal()
    """Something was edited; `readiness` is updated already."""
    renamed = Signal()
    """A chosen layer was renamed."""
    costChanged = Signal()
    """`cost` has changed, though nothing was edited."""
    modelDropped = Signal(object)
    """The file of a model was dropped at this path."""

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._colours = Colours.of(viewer.theme)
        self.readiness = Readiness()
        self.cost: Estimate | None = None
        """Expected cost of the next training run; None while the inputs are not valid."""
        self.may_end_early = False
        """Whether Denoise now may take much less time than that."""
        self.seconds_after = 0.0
        """Expected time to denoise the chosen image with a new model."""
        self._begun: tuple[Configuration, _Shapes, _Shapes] | None = None
        """The last run of `training`, and the expected seconds of a step."""
        self._model: Model | None = None
        self._when_known: list[Callable[[], None]] = []

        # ---- widgets
        self.data = DataPanel(viewer)
        self.settings = SettingsForm()
        self._files = SettingsFiles(self)
        self.check = CheckPanel(self._colours, self.value)

        # ---- layout
        layout = column(self, spacing=10)
        layout.addWidget(self.data)
        layout.addWidget(self.check)

        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)

        # ---- connections
        self._timer.timeout.connect(self._poll_speed)
        self.data.valueChanged.connect(self._on_edited)
        self.data.dropped.connect(self.take)
        self.data.renamed.connect(self.renamed)
        self.data.fields["noisy"].edited.connect(self._on_layer_edited)
        self.check.accepted.connect(self.settings.method.choose)
        self.check.checked.connect(self._on_checked)
        self.settings.valueChanged.connect(self._on_edited)
        self.settings.actions.resetAsked.connect(self.settings.reset)
        self._files.connectTo(self.settings.actions)

        self._files.restore()
        self._on_edited()

    def axes(self) -> str:
        """Axes of the noisy layer, with `layers.LEFT_OUT`, valid or not."""
        return self.data.axes.value()

    def value(self) -> Configuration:
        """Configuration for the next training run; raises if the inputs are not valid."""
        validate_axes(layers.engine_axes(self.axes()))
        return self.settings.value()

    def namedValue(self) -> Configuration:
        """`value`, with the name of the layer unless the user has set one."""
        configuration = self.value()
        unnamed = configuration.experiment_name == Configuration().experiment_name
        name = re.sub(r"[^A-Za-z0-9_\- ]+", "_", self.data.subject()).strip()
        if not unnamed:
            return configuration
        return configuration.replace(experiment_name=name) if name else configuration

    def setValue(self, configuration: Configuration) -> None:
        """Show `configuration`, its axes included."""
        with QSignalBlocker(self.data), QSignalBlocker(self.settings):
            self.settings.setValue(configuration)
            self.data.setAxes(configuration.data_config.axes)
        self._on_edited()

    def showSettingsOf(self, configuration: Configuration) -> None:
        """Show the settings of a model, for training another one on the chosen layer."""
        # Intensities are measured again, and the axes are those of the layer.
        measured = [name for name in DataConfig.model_fields if name.endswith(MEASURED)]
        data = configuration.data_config.model_dump() | dict.fromkeys(measured)
        chosen = {"series": None, "scene": None, "field": None}  # layers are one image
        data |= {"data_type": "array", "level": 0, **chosen}
        with QSignalBlocker(self.settings):
            self.settings.setValue(configuration.replace(data_config=data))
        if self.data.first() is None:
            self.data.axes.setValue(configuration.data_config.axes)
        self._on_edited()

    def chosen(self) -> Image | None:
        """The first noisy layer, which is also the one to denoise; None for files."""
        return self.data.layer()

    def folder(self) -> list[Path]:
        """The folder or the files that are trained on from disk; empty for layers."""
        files = self.data.files()
        return [] if files is None else files.paths

    def subject(self) -> Image | list[Path]:
        """The chosen layer, or files, which "Denoise now" denoises."""
        return self.chosen() or self.folder()

    def imagePath(self) -> str:
        """Path of the file of the chosen image; empty without one."""
        layer = self.data.first()
        return "" if layer is None else str(source_of(layer) or "")

    def chosenData(self) -> ChosenData | None:
        """All chosen images; None without a noisy one."""
        return self.data.value()

    def truth(self) -> Image | None:
        """Ground truth for the result: that layer, or the target of the method."""
        truth = self.data.fields["truth"].chooser.value()
        if truth is None and self.settings.method.method().needs_targets:
            return self.data.fields["target"].chooser.value()
        return truth

    def training(self, *, stop_early: bool = False) -> Training | None:
        """The next training run; None if it cannot start.

        With `stop_early`, that of a preset ends as soon as the loss has levelled off.
        """
        self._on_edited()  # the visible part may have changed
        data = self.chosenData()
        if data is None or self.readiness.training:
            return None
        configuration, fit = self.namedValue(), None
        if (preset := self.settings.preset.value()) is not None:
            if not is_measured(configuration.training_config.device):
                train, val = self._shapes(data)
                fit = partial(_fitted, preset, train, val, stop_early)
            if stop_early:
                configuration = _until_good(configuration)
        self._files.keep(self.settings.wished())
        needs_targets = configuration.algorithm_config.needs_targets
        pixels = data.pixels(self._viewer, needs_targets=needs_targets)
        if self.cost is not None:
            self._begun = configuration, *self._shapes(data)
        size = layers.pixel_size_of(data.noisy[0])
        subject = self.data.subject()
        return Training(configuration, pixels, subject, pixel_size=size, fit=fit)

    def showLocked(self, locked: bool) -> None:
        """Disable settings and data during training, which would ignore changes."""
        self.settings.setEnabled(not locked)
        self.data.setLocked(locked)
        if not locked:
            self._on_checked(self.check.report)

    def noteRun(self, steps: int, seconds_per_step: float) -> None:
        """Correct later estimates by the last run of `training`, if it was long enough."""
        begun, self._begun = self._begun, None
        if begun is not None and steps >= LEAST_STEPS and seconds_per_step:
            configuration, train, val = begun
            training = configuration.training_config
            speed = Speed.load(training.device)  # measured meanwhile, if not before
            expected = estimate(configuration, train, speed, val).seconds
            expected /= training.num_epochs * steps_per_epoch(configuration, train)
            note_run(configuration, speed, expected, seconds_per_step)
            self._show_cost()
            self.costChanged.emit()

    def denoisingSeconds(self) -> float | None:
        """Expected time to denoise the chosen layer; None where nothing can be denoised."""
        layer, model = self.chosen(), self._model
        if layer is None or model is None or self.readiness.denoising:
            return None
        axes, config = self.axes(), model.config
        shape = layers.engine_shape(axes, layers.pixel_shape(layer))
        speed = Speed.load(config.training_config.device)
        return denoising_seconds(config, layers.engine_axes(axes), shape, speed)

    def setModel(self, model: Model | None) -> None:
        """Check from now on whether `model` can denoise the chosen layer."""
        if model is not self._model:
            self._model = model
            self._check_all()

    def take(self, dropped: Dropped, role: str = "noisy") -> None:
        """Use dropped layers and images for `role`, and YAML files as settings.

        Emits `modelDropped` for a model file.
        """
        if dropped.layers:
            self.data.fields[role].takeLayers(dropped.layers)
            return
        models = [path for path in dropped.paths if path.suffix in MODEL_SUFFIXES]
        settings = [path for path in dropped.paths if path.suffix in YAML_SUFFIXES]
        images = [path for path in dropped.paths if path not in (*models, *settings)]
        for path in settings:
            self._files.load(path)
        if images:
            self.data.openFiles(images, role)
        if models:
            self.modelDropped.emit(models[-1])

    def whenKnown(self, then: Callable[[], None]) -> None:
        """Call `then` once no file is being opened or read, maybe at once."""
        self._when_known.append(then)
        self._call_when_known()

    def loadEngine(self) -> None:
        """Load the engine in a thread, unless it is loaded; it measures the device, too."""
        if "napari_hush.careamist" not in sys.modules:
            threading.Thread(
                target=load_engine, args=[fresh_configuration()], name=LOADER
            ).start()
            self._timer.start()

    def asText(self, python: bool) -> str:
        """The training run as a Python script or a command line; `HushError` if invalid."""
        data = self.chosenData()
        if data is None or self.readiness.training:
            raise ConfigurationError(self.readiness.training)
        configuration = self.namedValue()
        if python:
            return as_python(configuration, data, self._viewer)
        return as_command(configuration, data)

    def setColours(self, colours: Colours) -> None:
        """Draw in these colors."""
        self._colours = colours
        self.settings.method.setColours(colours)
        self.check.setColours(colours)

    def _on_layer_edited(self, what: str) -> None:
        if what == "data":
            self.check.forget()

    def _on_checked(self, report: DataReport | None) -> None:
        self._check_all()  # it may have found out that no training can work
        if report is not None and self.settings.isEnabled():
            self.settings.followAdvice(report.advice)
            self.settings.followFrames(report.frames)

    def _poll_speed(self) -> None:
        if is_measured(fresh_configuration().training_config.device):
            self._timer.stop()
            self._show_cost()
            self.costChanged.emit()

    def _on_edited(self) -> None:
        self._check_all()
        self.valueChanged.emit()
        self._call_when_known()

    def _call_when_known(self) -> None:
        while self._when_known and not self.readiness.waiting:
            self._when_known.pop(0)()

    def _check_all(self) -> None:
        method = self.settings.method.method()
        self.data.showTargets(method.needs_targets)
        layer = self.data.first()
        with QSignalBlocker(self.settings):  # check_inputs may change it
            facts = self.data.describe()
            self.readiness = check_inputs(layer, self.axes(), self.settings, facts)
            if layer is None or self.readiness.axes_wrong:
                self.settings.fitPatches(None)
            else:
                self._check_data()
                self._check_model(layer)
        if words := self.data.waiting():
            self.readiness = replace(
                self.readiness, training=words, denoising=words, waiting=words
            )
        usable = layer is not None and not (words or self.readiness.axes_wrong)
        self.check.watch(layer if usable else None, self.axes())
        self._show_cost()

    def _check_model(self, layer: Image | ImageOnDisk) -> None:
        """Check whether the current model fits the layer and the settings."""
        if self._model is None:
            return
        model, axes, more, other = self._model, self.axes(), "", ""
        if not self.readiness.training:
            more = fitting.why_not_train_more(model, self.value())
            other = fitting.why_other_settings(model, self.value())
        self.readiness = replace(
            self.readiness,
            denoising=fitting.why_not_for(model, layer, axes),
            training_more=more,
            other_settings=other,
            note=fitting.note_for(model, layer, axes),
        )

    def _check_data(self) -> None:
        """Check the other layers, and whether patches fit into the part to train on."""
        data = self.chosenData()
        if data is None:
            return
        needs_targets = self.settings.method.method().needs_targets
        problem = data.problem(needs_targets=needs_targets)
        if len(data.noisy) == 1 and data.extent is Extent.EVERYTHING:
            problem = problem or self.check.why_unusable(data.noisy[0], self.axes())
        if not problem and needs_targets:
            shapes = layers.pixel_shape(data.noisy[0]), layers.pixel_shape(data.target[0])
            count = [layers.channel_count(data.axes, shape) for shape in shapes]
            self.settings.setImage(layers.engine_axes(data.axes), *count)
        facts = self.readiness.facts
        if not problem:
            windows = data.windows(self._viewer)
            problem = data.nothing_problem(windows)
        if not problem:
            what = "the image" if data.extent is Extent.EVERYTHING else "the part"
            try:
                reduced = self.settings.fitPatches(data.smallest_size(windows), what)
                facts = "\n".join(filter(None, (facts, reduced)))
                self.value()
            except HushError as error:
                problem = without_path(str(error))
        self.readiness = replace(self.readiness, training=problem, facts=facts)

    def _shapes(self, data: ChosenData) -> tuple[_Shapes, _Shapes]:
        """Shapes of the images to train on, and to validate with."""

        def of(images: Sequence[Any]) -> _Shapes:
            axes = self.axes()
            return [layers.engine_shape(axes, layers.pixel_shape(one)) for one in images]

        return of(data.noisy), of(data.validation)

    def _show_cost(self) -> None:
        data = self.chosenData()
        self.cost, self._steps = None, 0
        try:
            train, val = ([], []) if data is None else self._shapes(data)
            configuration = self.value()
            training = configuration.training_config
            speed, preset = Speed.load(training.device), self.settings.preset.value()
            if preset is not None and self.settings.isEnabled():
                length = fitted_length(preset, configuration, train, speed, val)
                self.settings.setLength(length)
                configuration = self.value()
                training = configuration.training_config
            self._steps = training.num_epochs * steps_per_epoch(configuration, train)
            self.cost = estimate(configuration, train, speed, val)
            self.may_end_early = preset is not None and may_end_early(training)
            if train:
                axes = configuration.data_config.axes
                seconds = denoising_seconds(configuration, axes, train[0], speed)
                self.seconds_after = seconds
        except (HushError, ValueError):  # `readiness` has the reason
            pass
        absurd = "" if self.cost is None else absurdity(self.cost)
        if absurd:
            self.cost = None
        facts = "\n".join(filter(None, (self.readiness.facts, absurd)))
        self.data.showFacts(facts, axes_wrong=self.readiness.axes_wrong)
        self.settings.showCost(self.cost, self._steps)


def _until_good(configuration: Configuration) -> Configuration:
    return configuration.replace(training_config=until_good(configuration.training_config))


def _fitted(
    preset: Preset,
    shapes: _Shapes,
    val_shapes: _Shapes,
    stop_early: bool,
    configuration: Configuration,
) -> Configuration:
    """`configuration` of the length that `preset` has on its device."""
    training = configuration.training_config
    speed = Speed.load(training.device)
    length = fitted_length(preset, configuration, shapes, speed, val_shapes)
    found = configuration.replace(training_config=training.replace(**length))
    return _until_good(found) if stop_early else found
