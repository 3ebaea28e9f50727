"""The settings of a training run: method, preset, and every field of the configuration."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QLabel,
    QSizePolicy,
    QWidget,
)

from napari_hush.axes import spatial_axes
from napari_hush.config import (
    Configuration,
    DataConfig,
    TrainingConfig,
    UNetConfig,
    fitting_pool_z,
)
from napari_hush.config.data import DEFAULT_PATCH, fitting_patch
from napari_hush.config.methods import METHODS, method_of
from napari_hush.config.training import DEFAULT, PRESETS
from napari_hush.errors import DataError, counted
from napari_hush.widgets.settings.all_settings import AllSettings, part_of
from napari_hush.widgets.settings.fields import CountField, show_value
from napari_hush.widgets.settings.labels import NBSP, roughly, words_of
from napari_hush.widgets.settings.method_chooser import MethodChooser
from napari_hush.widgets.settings.patch_size_field import PatchSizeField
from napari_hush.widgets.settings.preset_chooser import PresetChooser, cost_in_words
from napari_hush.widgets.settings.settings_actions import SettingsActions
from napari_hush.widgets.theme.collapsible import Collapsible
from napari_hush.widgets.theme.widgets import column, form

if TYPE_CHECKING:
    from napari_hush.config.base import Frozen
    from napari_hush.config.methods import Tree
    from napari_hush.config.training import Preset
    from napari_hush.quality import Advice, FrameAdvice
    from napari_hush.widgets.settings.cost_estimate import Estimate

_FRAMES = "time_context"
_COUNTS: tuple[tuple[tuple[str, ...], type[Frozen], str], ...] = (
    (("training_config",), TrainingConfig, "num_epochs"),
    (("training_config",), TrainingConfig, "num_steps"),
    (("data_config",), DataConfig, "batch_size"),
    (("algorithm_config", "model"), UNetConfig, _FRAMES),
)
"""Path to a part of the configuration, its type, name of the field."""


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
    summarized = Signal(str)
    """`summary` has changed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cost: tuple[Estimate | None, int] = None, 0
        self._summary = ""
        self._tree: Tree = fresh_configuration().model_dump()
        self._wish: tuple[int, ...] = DEFAULT_PATCH
        self._available: tuple[int, ...] | None = None
        self._all: AllSettings | None = None

        # ---- widgets
        self.method = MethodChooser()
        self.preset = PresetChooser()
        self._counts = {
            name: CountField(name, owner.model_fields[name]) for _, owner, name in _COUNTS
        }
        self._patch_size = PatchSizeField()
        self._frames_chosen = False  # by a person
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
        self.preset.chosen.connect(self._on_preset)
        for path, _, name in _COUNTS:
            self._counts[name].valueChanged.connect(
                lambda _, path=path, name=name: self._on_count(path, name)
            )
        self._patch_size.valueChanged.connect(
            lambda size: self._on_edited(("data_config",), {"patch_size": size})
        )

        self._show()

    def value(self) -> Configuration:
        """The edited configuration. Raises `ConfigurationError`."""
        return Configuration.build(deepcopy(self._tree))

    @property
    def chosen_by_user(self) -> bool:
        """Whether a person chose the method, by hand or with settings from a file."""
        return self.method.chosen_by_user

    def followAdvice(self, advice: Advice) -> None:
        """Show the method of `advice`, unless a person chose one or none fits."""
        method = METHODS.get(advice.method)
        current = method_of(self._tree)
        if self.chosen_by_user or method is None or current.needs_targets:
            return
        struct = method is METHODS["structn2v"]
        masking = self._tree["algorithm_config"]["n2v_config"]
        shown = masking["struct_mask_axis"], masking["struct_mask_span"]
        if method is not current or (struct and shown != (advice.axis, advice.span)):
            axis, span = (advice.axis, advice.span) if struct else (None, None)
            self.method.setValue(method, axis, span)

    def followFrames(self, advice: FrameAdvice | None) -> None:
        """Show the `time_context` of `advice`, unless a person chose one."""
        network = self._tree["algorithm_config"]["model"]
        if advice is None or self._frames_chosen or not self._has_frames():
            return
        if network[_FRAMES] != advice.time_context:
            network[_FRAMES] = advice.time_context
            self._edited()

    def setValue(self, configuration: Configuration) -> None:
        """Show `configuration`, whose method and frames count as chosen by a person."""
        self.method.chosen_by_user = self._frames_chosen = True
        self.preset.setValue(None)
        self._tree = configuration.model_dump()
        self._tree["data_config"]["target_axes"] = None  # layers have those of the images
        size = configuration.data_config.patch_size
        self._wish = (self._wish[0], *size)[-3:]
        self._edited()

    def setPreset(self, name: str) -> None:
        """Check the preset of that name; does nothing if there is none."""
        for preset in PRESETS:
            if preset.name == name:
                self.preset.setValue(preset)
                self._on_preset(preset)

    def showCost(self, estimate: Estimate | None, steps: int) -> None:
        """Show what a run of `steps` is expected to cost; None for invalid settings.

        While the settings are disabled a run shows the time that is left, so no time is.
        """
        self._cost = estimate, steps
        time = ""
        if estimate is not None and self.isEnabled():
            time = f"≈{NBSP}{roughly(estimate.seconds)}"
        cost = "" if estimate is None else cost_in_words(steps, time, estimate.gigabytes)
        self.preset.showCost(cost)
        preset = self.preset.value()
        length = counted(steps, "step") if preset is None else preset.name
        parts = self.method.method().label, time, length if steps else ""
        summary = " · ".join(filter(None, parts))
        if summary != self._summary:
            self._summary = summary
            self.summarized.emit(summary)

    def setLength(self, length: dict[str, int]) -> None:
        """Set the epochs and steps of the checked preset; emits nothing."""
        training = self._tree["training_config"]
        if training != {**training, **length}:
            training.update(length)
            self._show()

    def summary(self) -> str:
        """Method, expected time and preset: ``"N2V · ≈ 60 s · Balanced"``."""
        return self._summary

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.EnabledChange:
            self.showCost(*self._cost)

    def wished(self) -> Configuration:
        """`value` with the patch size that was set, whether it fits or not."""
        shown = deepcopy(self._tree), self._available
        self._available = None
        try:
            self._fit(self._pool_z_follows())
            return self.value()
        finally:
            self._tree, self._available = shown

    def reset(self) -> None:
        """Restore the defaults, except for the axes and channels of the image."""
        self.method.chosen_by_user = self._frames_chosen = False
        self.preset.setValue(DEFAULT)
        data, network = self._tree["data_config"], self._tree["algorithm_config"]["model"]
        axes, channels = data["axes"], network["in_channels"]
        self._tree, self._wish = fresh_configuration().model_dump(), DEFAULT_PATCH
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

    def fitPatches(self, available: tuple[int, ...] | None, name: str = "the image") -> str:
        """Reduce the patch size to `available`, the least size ((Z), Y, X) to train on.

        None if it is unknown. A larger size that was set returns once it fits.
        Returns a reduced size in words, else an empty text. Raises a DataError if
        `available`, the size of `name`, is too small for any patch.
        """
        before, follows = (self._size(), self._available), self._pool_z_follows()
        self._available = available
        self._fit(follows)
        if before != (self._size(), available):
            self._edited()
        wish = self._wish[-len(self._size()) :]
        if available is not None:
            fitting_patch(available, wish, self._multiple(follows), name)
        words = " × ".join(map(str, self._size()))
        return "" if self._size() == wish else f"Patch size {words}, to fit {name}"

    def _add_common_rows(self) -> None:
        widget = QWidget()
        rows = form(widget)
        rows.setContentsMargins(0, 0, 0, 4)
        for name, control in {**self._counts, "patch_size": self._patch_size}.items():
            _add_row(rows, words_of(name), control)
        self._frames_label = rows.labelForField(self._counts[_FRAMES])
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
        dims, follows = len(spatial_axes(axes)), self._pool_z_follows()
        if len(data["patch_size"]) != dims:
            data["patch_size"] = self._wish[-dims:]
            network["pool_z"] = None
        data["axes"], network["conv_dims"] = axes, dims
        network["in_channels"], network["num_classes"] = channels, targets
        network[_FRAMES] *= self._has_frames()
        if channels != targets:
            network["independent_channels"] = False
        self._fit(follows)

    def _size(self) -> tuple[int, ...]:
        return tuple(self._tree["data_config"]["patch_size"])

    def _multiple(self, follows: bool) -> tuple[int, ...]:
        """Steps of patch sizes; any number of planes if `pool_z` `follows`."""
        network = self._tree["algorithm_config"]["model"]
        depth, pooled = network["depth"], sum(map(bool, _levels(network)))
        multiple = (1 if follows else 2 ** min(pooled, depth), 2**depth, 2**depth)
        return multiple[-len(self._size()) :]

    def _pool_z_follows(self) -> bool:
        """Whether `pool_z` is what fits the planes of the patches."""
        network, size = self._tree["algorithm_config"]["model"], self._size()
        if len(size) < 3:
            return True
        return _levels(network) == fitting_pool_z(size[0], network["depth"])

    def _fit(self, follows: bool) -> None:
        """Fit patches into the image, and `pool_z` to their planes where it `follows`."""
        data, network = self._tree["data_config"], self._tree["algorithm_config"]["model"]
        wish, available = self._wish[-len(self._size()) :], self._available
        data["patch_size"] = wish
        if available is not None and len(available) == len(wish):
            with suppress(DataError):  # `fitPatches` says so
                data["patch_size"] = fitting_patch(available, wish, self._multiple(follows))
        if follows and len(wish) == 3:
            levels = fitting_pool_z(data["patch_size"][0], network["depth"])
            if levels != _levels(network):
                network["pool_z"] = levels

    def _on_method(self) -> None:
        self._tree = self.method.applied(self._tree)
        self._edited()

    def _on_preset(self, preset: Preset) -> None:
        self._tree["training_config"].update(preset.changes)
        self._edited()

    def _has_frames(self) -> bool:
        return "T" in self._tree["data_config"]["axes"]

    def _on_count(self, path: tuple[str, ...], name: str) -> None:
        self._frames_chosen |= name == _FRAMES
        self._on_edited(path, {name: self._counts[name].value()})

    def _on_edited(self, path: tuple[str, ...], values: dict[str, Any]) -> None:
        before = self._size()
        if {"num_epochs", "num_steps"} & values.keys():
            self.preset.setValue(None)
        for axis, new in enumerate(values.get("patch_size", ()), 3 - len(before)):
            if new != before[axis - 3]:
                self._wish = (*self._wish[:axis], new, *self._wish[axis + 1 :])
        part, follows = part_of(self._tree, path), self._pool_z_follows()
        if "pool_z" in values:
            follows &= list(values["pool_z"] or ()) == list(part["pool_z"] or ())
        part.update(values)
        self._fit(follows)
        self._edited()

    def _edited(self) -> None:
        self._show()
        self.valueChanged.emit()

    def _show(self) -> None:
        """Show the tree in all controls."""
        tree = self._tree
        self.method.setTree(tree)
        for path, _, name in _COUNTS:
            show_value(self._counts[name], part_of(tree, path)[name])
        for widget in (self._counts[_FRAMES], self._frames_label):
            widget.setVisible(self._has_frames())
        with QSignalBlocker(self._patch_size):
            available = self._available
            if available is not None and len(available) != len(self._size()):
                available = None
            self._patch_size.setLimits(self._multiple(self._pool_z_follows()), available)
            self._patch_size.setValue(self._size())
        if self._all is not None:
            self._all.setTree(tree)


def _levels(network: Tree) -> tuple[Any, ...]:
    """The levels of a network that downsample Z."""
    return tuple(network["pool_z"] or (True,) * network["depth"])


def _add_row(layout: QFormLayout, words: str, control: QWidget) -> None:
    label = QLabel(words)
    label.setToolTip(control.toolTip())
    label.setBuddy(control)
    control.setAccessibleName(words)
    control.setSizePolicy(QSizePolicy.Policy.Ignored, control.sizePolicy().verticalPolicy())
    layout.addRow(label, control)
