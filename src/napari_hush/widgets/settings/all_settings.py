"""All settings without a control elsewhere in the dock, in collapsible groups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_hush.config import (
    AlgorithmConfig,
    Configuration,
    DataConfig,
    N2VManipulateConfig,
    TrainingConfig,
    UNetConfig,
)
from napari_hush.widgets.settings.config_form import ConfigForm
from napari_hush.widgets.theme.collapsible import Collapsible
from napari_hush.widgets.theme.widgets import column

if TYPE_CHECKING:
    from napari_hush.config.base import Frozen
    from napari_hush.config.methods import Tree

ELSEWHERE = {
    "training_config.num_epochs",
    "training_config.num_steps",
    "data_config.batch_size",
    "data_config.patch_size",
    "data_config.axes",
    "algorithm_config.algorithm",
    "algorithm_config.model.n2v2",
    "algorithm_config.model.time_context",
}
"""Paths of fields that have a control elsewhere in the dock."""
FOLLOWING = {
    "version",
    "data_config.data_type",
    "data_config.target_axes",
    "data_config.level",
    "data_config.series",
    "data_config.scene",
    "data_config.field",
    "algorithm_config.model.architecture",
    "algorithm_config.model.conv_dims",
    "algorithm_config.model.in_channels",
    "algorithm_config.model.num_classes",
    "algorithm_config.model.variant",
    "algorithm_config.n2v_config.name",
    "algorithm_config.n2v_config.strategy",
    "training_config.checkpoint_every_n_epochs",
}
"""Paths of fields determined by the data or the method, or without effect in the dock."""
PARTS = {
    "algorithm_config",
    "algorithm_config.model",
    "algorithm_config.n2v_config",
    "data_config",
    "training_config",
}
"""Paths of configurations shown as a group."""
_INTENSITIES = ("normalization", "image_means", "image_stds", "target_means", "target_stds")


@dataclass(frozen=True)
class Group:
    """Fields of one part of the configuration under one heading."""

    name: str
    title: str
    path: tuple[str, ...]
    """Path to the part in the configuration."""
    kind: type[Frozen]
    fields: tuple[str, ...]


def _group(
    title: str,
    path: tuple[str, ...],
    kind: type[Frozen],
    only: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
) -> Group:
    hidden = ELSEWHERE | FOLLOWING | PARTS
    fields = only or tuple(
        name
        for name in kind.model_fields
        if name not in without and ".".join((*path, name)) not in hidden
    )
    return Group(title.lower().replace(" ", "_"), title, path, kind, fields)


GROUPS = (
    _group("Model name", (), Configuration),
    _group("Patches and augmentation", ("data_config",), DataConfig, without=_INTENSITIES),
    _group("Intensities", ("data_config",), DataConfig, only=_INTENSITIES),
    _group("Blind spot", ("algorithm_config", "n2v_config"), N2VManipulateConfig),
    _group("Network", ("algorithm_config", "model"), UNetConfig),
    _group("Loss and learning rate", ("algorithm_config",), AlgorithmConfig),
    _group("Device and precision", ("training_config",), TrainingConfig),
)
"""Groups without `only` have all other fields of their part, new ones included."""


class AllSettings(QWidget):
    """The groups; each form is made when its group is first expanded."""

    edited = Signal(tuple, dict)
    """Path to the part that was edited, and the values of its fields."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tree: Tree = Configuration().model_dump()
        self._forms: dict[str, ConfigForm] = {}
        self.folds: dict[str, Collapsible] = {}
        layout = column(self, spacing=2)
        for group in GROUPS:
            build = partial(self._form, group)
            fold = Collapsible(f"fold_{group.name}", group.title, build)
            self.folds[group.name] = fold
            layout.addWidget(fold)

    def setTree(self, tree: Tree) -> None:
        """Show the fields of `tree`."""
        self._tree = tree
        for group in GROUPS:
            if form := self._forms.get(group.name):
                form.setValue(part_of(tree, group.path))

    def _form(self, group: Group) -> ConfigForm:
        form = ConfigForm(group.kind, only=group.fields)
        form.layout().setContentsMargins(6, 0, 0, 4)
        form.setValue(part_of(self._tree, group.path))
        form.valueChanged.connect(lambda: self.edited.emit(group.path, form.value()))
        self._forms[group.name] = form
        return form


def part_of(tree: Tree, path: tuple[str, ...]) -> Tree:
    """The part of the configuration `tree` at `path`."""
    for step in path:
        tree = tree[step]
    return tree
