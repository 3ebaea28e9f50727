"""The settings of a training run: method, preset, and every field of the configuration."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_hush.axes import spatial_axes
from napari_hush.config import Configuration, DataConfig, TrainingConfig
from napari_hush.config.training import DEFAULT
from napari_hush.errors import HushError
from napari_hush.widgets.settings.all_settings import AllSettings
from napari_hush.widgets.settings.fields import CountField, PatchSizeField
from napari_hush.widgets.settings.labels import words_of
from napari_hush.widgets.settings.method_chooser import MethodChooser
from napari_hush.widgets.settings.preset_chooser import PresetChooser
from napari_hush.widgets.theme.collapsible import Collapsible

if TYPE_CHECKING:
    from napari_hush.config.base import Frozen
    from napari_hush.config.methods import Method, Tree
    from napari_hush.config.training import Preset

__all__ = ["SettingsForm", "fresh_configuration"]

_COUNTS: tuple[tuple[str, type[Frozen], str], ...] = (
    ("training_config", TrainingConfig, "num_epochs"),
    ("training_config", TrainingConfig, "num_steps"),
    ("data_config", DataConfig, "batch_size"),
)
"""Part of the configuration, its type, the field."""


def fresh_configuration() -> Configuration:
    """What the dock starts with: the defaults, with the usual preset."""
    training = TrainingConfig().replace(**DEFAULT.changes)
    return Configuration(training_config=training)


class SettingsForm(QWidget):
    """Edits a `Configuration`: one tree of values, which every control shows a part of.

    The axes come from elsewhere (`setImage`); the network's dimensions and channels
    follow them.

    Attributes
    ----------
    method, preset : MethodChooser, PresetChooser
        The choices that come first.
    fold, actions : Fold, SettingsActions
        What holds all the others, and what one does with all of them.
    apart : QCheckBox
        Whether to train in a process of its own; no part of the configuration.
    """

    valueChanged = Signal()
    """Something was edited. Ask `value` for the result, which may not be allowed."""

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
        self.apart = QCheckBox("Train in a process of its own")
        self.apart.setObjectName("apart")
        self.apart.setToolTip(
            "The training then takes place outside napari, which goes on if it dies, and\n"
            "the memory of a GPU is free as soon as it ends. It starts some seconds later."
        )
        self._add_common_rows()

        # ---- layout
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        layout.addWidget(self.method)
        layout.addWidget(self.preset)
        layout.addWidget(self.fold)

        # ---- connections
        self.method.valueChanged.connect(self._on_method)
        self.preset.chosen.connect(self._on_preset)
        for part, _, name in _COUNTS:
            self._counts[name].valueChanged.connect(
                lambda _, part=part, name=name: self._on_count(part, name)
            )
        self._patch_size.valueChanged.connect(self._on_patch_size)

        self._show()

    # ---- Public API

    def value(self) -> Configuration:
        """The configuration as edited.

        Raises
        ------
        ConfigurationError
            If what was typed cannot be, such as a patch the network cannot halve.
        """
        return Configuration.build(deepcopy(self._tree))

    def setValue(self, configuration: Configuration) -> None:
        """Show `configuration`."""
        self._tree = configuration.model_dump()
        self._show()
        self.valueChanged.emit()

    def reset(self) -> None:
        """Back to the defaults, but for the axes and channels of the image."""
        data, network = self._tree["data_config"], self._tree["algorithm_config"]["model"]
        axes, channels = data["axes"], network["in_channels"]
        self._tree = fresh_configuration().model_dump()
        self._follow(axes, channels, channels)
        self._show()
        self.valueChanged.emit()

    def setImage(
        self, axes: str, channels: int | None, target_channels: int | None = None
    ) -> None:
        """Let the network and the patches follow an image with `axes` and `channels`.

        None keeps the number of channels there was, if `axes` have any; targets have as
        many as images unless they say otherwise.
        """
        data, network = self._tree["data_config"], self._tree["algorithm_config"]["model"]
        if channels is None:
            channels = network["in_channels"] if "C" in axes else 1
        targets = channels if target_channels is None else target_channels
        now = data["axes"], network["in_channels"], network["num_classes"]
        if (axes, channels, targets) != now:
            self._follow(axes, channels, targets)
            self._show()
            self.valueChanged.emit()

    def setMethod(self, method: Method, direction: str | None, span: int | None) -> None:
        """Choose a method as a person would, e.g. because the data suggest it."""
        self.method.setValue(method, direction, span)

    # ---- Private API

    def _add_common_rows(self) -> None:
        widget = QWidget()
        form = QFormLayout(widget)
        form.setContentsMargins(0, 0, 0, 4)
        form.setHorizontalSpacing(10)
        form.setVerticalSpacing(6)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for _, _, name in _COUNTS:
            self._add_row(form, words_of(name), self._counts[name])
        self._add_row(form, words_of("patch_size"), self._patch_size)
        # Cheap, and known by name to whoever drives the dock: made with it.
        self.fold.content().layout().addWidget(self.actions)
        self.fold.content().layout().addWidget(widget)
        self.fold.content().layout().addWidget(self.apart)

    def _build_all(self) -> QWidget:
        self._all = AllSettings()
        self._all.setTree(self._tree)
        self._all.edited.connect(self._on_edited)
        return self._all

    def _add_row(self, layout: QFormLayout, words: str, control: QWidget) -> None:
        label = QLabel(words)
        label.setToolTip(control.toolTip())
        label.setBuddy(control)
        control.setAccessibleName(words)
        control.setSizePolicy(
            QSizePolicy.Policy.Ignored, control.sizePolicy().verticalPolicy()
        )
        layout.addRow(label, control)

    def _follow(self, axes: str, channels: int, targets: int) -> None:
        """Let the tree follow an image."""
        data, network = self._tree["data_config"], self._tree["algorithm_config"]["model"]
        dims = len(spatial_axes(axes))
        size = tuple(data["patch_size"])
        if len(size) != dims:
            self._patch_size.blockSignals(True)
            self._patch_size.setVolumes(dims == 3)
            self._patch_size.blockSignals(False)
            data["patch_size"] = self._patch_size.value()
        data["axes"], network["conv_dims"] = axes, dims
        network["in_channels"], network["num_classes"] = channels, targets
        if channels != targets:
            network["independent_channels"] = False

    def _on_method(self) -> None:
        self._tree = self.method.applied(self._tree)
        self._edited()

    def _on_preset(self, preset: Preset) -> None:
        self._tree["training_config"].update(preset.changes)
        self._edited()

    def _on_count(self, part: str, name: str) -> None:
        self._tree[part][name] = self._counts[name].count()
        self._edited()

    def _on_patch_size(self, size: tuple[int, ...]) -> None:
        self._tree["data_config"]["patch_size"] = size
        self._edited()

    def _on_edited(self, path: tuple[str, ...], values: dict[str, Any]) -> None:
        part = self._tree
        for step in path:
            part = part[step]
        part.update(values)
        self._edited()

    def _edited(self) -> None:
        self._show()
        self.valueChanged.emit()

    def _show(self) -> None:
        """Show the tree, in all controls."""
        tree = self._tree
        self.method.setTree(tree)
        for part, _, name in _COUNTS:
            box = self._counts[name]
            box.blockSignals(True)
            box.setCount(tree[part][name])
            box.blockSignals(False)
        self._patch_size.blockSignals(True)
        self._patch_size.setStep(2 ** tree["algorithm_config"]["model"]["depth"])
        self._patch_size.setValue(tuple(tree["data_config"]["patch_size"]))
        self._patch_size.blockSignals(False)
        try:
            self.preset.setTraining(TrainingConfig.build(tree["training_config"]))
        except HushError:  # said where training is judged
            self.preset.setTraining(TrainingConfig())
        if self._all is not None:
            self._all.setTree(tree)


_BUTTONS = {
    "reset_all": ("Reset", "Bring all settings back to their defaults."),
    "load_settings": ("Load …", "Take settings from a YAML file, or drop one on the dock."),
    "save_settings": ("Save …", "Write settings to a YAML file."),
}


class SettingsActions(QWidget):
    """A row of small buttons."""

    resetAsked = Signal()
    loadAsked = Signal()
    saveAsked = Signal()
    pythonAsked = Signal()
    commandAsked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 2)
        layout.setSpacing(3)
        signals = (self.resetAsked, self.loadAsked, self.saveAsked)
        for (name, (words, tip)), signal in zip(_BUTTONS.items(), signals, strict=True):
            button = self._button(name, words, tip)
            button.clicked.connect(signal)
            layout.addWidget(button, len(words))
        copy = self._button(
            "copy_settings", "Copy", "Copy this run as text, to repeat it without napari."
        )
        menu = QMenu(copy)
        menu.setToolTipsVisible(True)
        menu.addAction("as Python").triggered.connect(self.pythonAsked)
        menu.addAction("as command line").triggered.connect(self.commandAsked)
        copy.setMenu(menu)
        copy.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        layout.addWidget(copy, 4)

    def _button(self, name: str, words: str, tip: str) -> QToolButton:
        button = QToolButton()
        button.setObjectName(name)
        button.setText(words)
        button.setAccessibleName(f"{words.rstrip(' …')} settings")
        button.setToolTip(tip)
        button.setProperty("role", "small")
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        return button
