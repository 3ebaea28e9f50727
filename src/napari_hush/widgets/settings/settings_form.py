"""The settings of a training run: method, preset, and every field of the configuration."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from napari_hush.axes import spatial_axes
from napari_hush.config import Configuration, DataConfig, TrainingConfig
from napari_hush.config.training import DEFAULT
from napari_hush.errors import HushError
from napari_hush.widgets.settings.all_settings import AllSettings, part_of
from napari_hush.widgets.settings.fields import CountField, show_value
from napari_hush.widgets.settings.labels import words_of
from napari_hush.widgets.settings.method_chooser import MethodChooser
from napari_hush.widgets.settings.patch_size_field import PatchSizeField
from napari_hush.widgets.settings.preset_chooser import PresetChooser
from napari_hush.widgets.theme.collapsible import Collapsible
from napari_hush.widgets.theme.widgets import column, form, row, small_button

if TYPE_CHECKING:
    from napari_hush.config.base import Frozen
    from napari_hush.config.methods import Tree

_COUNTS: tuple[tuple[str, type[Frozen], str], ...] = (
    ("training_config", TrainingConfig, "num_epochs"),
    ("training_config", TrainingConfig, "num_steps"),
    ("data_config", DataConfig, "batch_size"),
)
"""Part of the configuration, its type, name of the field."""


def fresh_configuration() -> Configuration:
    """The defaults, with the default preset."""
    training = TrainingConfig().replace(**DEFAULT.changes)
    return Configuration(training_config=training)


class SettingsForm(QWidget):
    """Edits a `Configuration`, held as one tree that every control shows a part of.

    The axes come from outside (`setImage`); dimensions and channels of the network follow.
    Whether to train in a separate process (`apart`) is not part of the configuration.
    """

    valueChanged = Signal()
    """A setting was edited; `value` may raise."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tree: Tree = fresh_configuration().model_dump()
        self._all: AllSettings | None = None

        # ---- widgets
        self.method = MethodChooser()
        self.preset = PresetChooser()
        self._counts = {
            name: CountField(name, owner.model_fields[name]) for _, owner, name in _COUNTS
        }
        self._patch_size = PatchSizeField()
        self.fold = Collapsible("fold_settings", "Settings", self._build_all)
        self.actions = SettingsActions()
        self.apart = QCheckBox("Train in a separate process")
        self.apart.setObjectName("apart")
        self.apart.setToolTip(
            "napari survives if training crashes, and GPU memory is freed as soon as\n"
            "training ends. Training starts a few seconds later."
        )
        self._add_common_rows()

        # ---- layout
        layout = column(self, spacing=10)
        layout.addWidget(self.method)
        layout.addWidget(self.preset)
        layout.addWidget(self.fold)

        # ---- connections
        self.method.valueChanged.connect(self._on_method)
        self.preset.chosen.connect(
            lambda preset: self._on_edited(("training_config",), preset.changes)
        )
        for part, _, name in _COUNTS:
            self._counts[name].valueChanged.connect(
                lambda _, part=part, name=name: self._on_count(part, name)
            )
        self._patch_size.valueChanged.connect(
            lambda size: self._on_edited(("data_config",), {"patch_size": size})
        )

        self._show()

    def value(self) -> Configuration:
        """The edited configuration. Raises `ConfigurationError`."""
        return Configuration.build(deepcopy(self._tree))

    def setValue(self, configuration: Configuration) -> None:
        """Show `configuration`."""
        self._tree = configuration.model_dump()
        self._edited()

    def reset(self) -> None:
        """Restore the defaults, except for the axes and channels of the image."""
        data, network = self._tree["data_config"], self._tree["algorithm_config"]["model"]
        axes, channels = data["axes"], network["in_channels"]
        self._tree = fresh_configuration().model_dump()
        self._follow(axes, channels, channels)
        self._edited()

    def setImage(
        self, axes: str, channels: int | None, target_channels: int | None = None
    ) -> None:
        """Adapt network and patches to an image with `axes` and `channels`.

        None keeps the number of channels if `axes` have a C. Targets have as many channels
        as images by default.
        """
        data, network = self._tree["data_config"], self._tree["algorithm_config"]["model"]
        if channels is None:
            channels = network["in_channels"] if "C" in axes else 1
        targets = channels if target_channels is None else target_channels
        now = data["axes"], network["in_channels"], network["num_classes"]
        if (axes, channels, targets) != now:
            self._follow(axes, channels, targets)
            self._edited()

    def _add_common_rows(self) -> None:
        widget = QWidget()
        rows = form(widget)
        rows.setContentsMargins(0, 0, 0, 4)
        for name, control in {**self._counts, "patch_size": self._patch_size}.items():
            _add_row(rows, words_of(name), control)
        # Made at once, unlike the rest of the section: scripts find them by name.
        for part in (self.actions, widget, self.apart):
            self.fold.content().layout().addWidget(part)

    def _build_all(self) -> QWidget:
        self._all = AllSettings()
        self._all.setTree(self._tree)
        self._all.edited.connect(self._on_edited)
        return self._all

    def _follow(self, axes: str, channels: int, targets: int) -> None:
        """Adapt the tree to an image."""
        data, network = self._tree["data_config"], self._tree["algorithm_config"]["model"]
        dims = len(spatial_axes(axes))
        size = tuple(data["patch_size"])
        if len(size) != dims:
            with QSignalBlocker(self._patch_size):
                self._patch_size.setVolumes(dims == 3)
            data["patch_size"] = self._patch_size.value()
        data["axes"], network["conv_dims"] = axes, dims
        network["in_channels"], network["num_classes"] = channels, targets
        if channels != targets:
            network["independent_channels"] = False

    def _on_method(self) -> None:
        self._tree = self.method.applied(self._tree)
        self._edited()

    def _on_count(self, part: str, name: str) -> None:
        self._on_edited((part,), {name: self._counts[name].value()})

    def _on_edited(self, path: tuple[str, ...], values: dict[str, Any]) -> None:
        part_of(self._tree, path).update(values)
        self._edited()

    def _edited(self) -> None:
        self._show()
        self.valueChanged.emit()

    def _show(self) -> None:
        """Show the tree in all controls."""
        tree = self._tree
        self.method.setTree(tree)
        for part, _, name in _COUNTS:
            show_value(self._counts[name], tree[part][name])
        with QSignalBlocker(self._patch_size):
            self._patch_size.setStep(2 ** tree["algorithm_config"]["model"]["depth"])
            self._patch_size.setValue(tuple(tree["data_config"]["patch_size"]))
        try:
            self.preset.setTraining(TrainingConfig.build(tree["training_config"]))
        except HushError:  # shown as the reason why training cannot start
            self.preset.setTraining(TrainingConfig())
        if self._all is not None:
            self._all.setTree(tree)


def _add_row(layout: QFormLayout, words: str, control: QWidget) -> None:
    label = QLabel(words)
    label.setToolTip(control.toolTip())
    label.setBuddy(control)
    control.setAccessibleName(words)
    control.setSizePolicy(QSizePolicy.Policy.Ignored, control.sizePolicy().verticalPolicy())
    layout.addRow(label, control)


class SettingsActions(QWidget):
    """Buttons to reset, load, save and copy all settings."""

    resetAsked = Signal()
    loadAsked = Signal()
    saveAsked = Signal()
    pythonAsked = Signal()
    commandAsked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = row(self, spacing=3)
        layout.setContentsMargins(0, 0, 0, 2)
        for name, words, tip, signal in (
            ("reset_all", "Reset", "Restore all defaults.", self.resetAsked),
            (
                "load_settings",
                "Load …",
                "Load settings from a YAML file, or drop one on the dock.",
                self.loadAsked,
            ),
            ("save_settings", "Save …", "Save settings to a YAML file.", self.saveAsked),
        ):
            button = _action_button(name, words, tip)
            button.clicked.connect(signal)
            layout.addWidget(button, len(words))
        copy = _action_button(
            "copy_settings", "Copy", "Copy this run as text, to repeat it without napari."
        )
        menu = QMenu(copy)
        menu.addAction("as Python").triggered.connect(self.pythonAsked)
        menu.addAction("as command line").triggered.connect(self.commandAsked)
        copy.setMenu(menu)
        copy.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        layout.addWidget(copy, 4)


def _action_button(name: str, words: str, tip: str) -> QToolButton:
    button = small_button(name, words, tip)
    button.setAccessibleName(f"{words.rstrip(' …')} settings")
    button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return button
