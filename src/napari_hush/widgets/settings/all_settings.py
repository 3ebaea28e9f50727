"""Every setting of the configuration that no other control edits, in folded groups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

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

if TYPE_CHECKING:
    from napari_hush.config.base import Frozen
    from napari_hush.config.methods import Tree

__all__ = ["ELSEWHERE", "GROUPS", "AllSettings", "Group"]

ELSEWHERE = {
    "num_epochs",
    "num_steps",
    "batch_size",
    "patch_size",
    "algorithm",
    "n2v2",
    "axes",
}
"""Fields with a control of their own in the dock."""
FOLLOWING = {
    "version",
    "name",
    "architecture",
    "data_type",
    "conv_dims",
    "in_channels",
    "num_classes",
    "strategy",
}
"""Fields that follow from the data or the method; another value would be refused."""
PARTS = {
    "algorithm_config",
    "data_config",
    "training_config",
    "model",
    "n2v_config",
}
"""Fields that are configurations with a group of their own."""
_INTENSITIES = (
    "normalization",
    "image_means",
    "image_stds",
    "target_means",
    "target_stds",
)


@dataclass(frozen=True)
class Group:
    """Some fields of one part of the configuration under one heading."""

    name: str
    title: str
    path: tuple[str, ...]
    """Where the part is in the configuration."""
    kind: type[Frozen]
    fields: tuple[str, ...]


def _group(
    title: str,
    path: tuple[str, ...],
    kind: type[Frozen],
    only: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
) -> Group:
    left = {*ELSEWHERE, *FOLLOWING, *PARTS, *without}
    fields = only or tuple(name for name in kind.model_fields if name not in left)
    return Group(title.lower().replace(" ", "_"), title, path, kind, fields)


GROUPS = (
    _group("Model name", (), Configuration),
    _group("Patches and order", ("data_config",), DataConfig, without=_INTENSITIES),
    _group("Intensities", ("data_config",), DataConfig, only=_INTENSITIES),
    _group("Blind spot", ("algorithm_config", "n2v_config"), N2VManipulateConfig),
    _group("Network", ("algorithm_config", "model"), UNetConfig),
    _group("Loss and learning rate", ("algorithm_config",), AlgorithmConfig),
    _group("Device and precision", ("training_config",), TrainingConfig),
)
"""What is not named here by field is found in the configuration, new fields included."""


class AllSettings(QWidget):
    """The groups. Each is made when it is first opened."""

    edited = Signal(tuple, dict)
    """Where in the configuration something was edited, and the fields there."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tree: Tree = Configuration().model_dump()
        self._forms: dict[str, ConfigForm] = {}
        self.folds: dict[str, Collapsible] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for group in GROUPS:
            fold = Collapsible(
                f"fold_{group.name}", group.title, partial(self._form, group)
            )
            self.folds[group.name] = fold
            layout.addWidget(fold)

    # ---- Public API

    def setTree(self, tree: Tree) -> None:
        """Show the fields of `tree`."""
        self._tree = tree
        for group in GROUPS:
            if form := self._forms.get(group.name):
                form.setValue(_part(tree, group.path))

    # ---- Private API

    def _form(self, group: Group) -> ConfigForm:
        form = ConfigForm(group.kind, only=group.fields)
        form.layout().setContentsMargins(10, 0, 0, 4)
        form.setValue(_part(self._tree, group.path))
        form.edited.connect(lambda: self.edited.emit(group.path, form.value()))
        self._forms[group.name] = form
        return form


def _part(tree: Tree, path: tuple[str, ...]) -> Tree:
    for step in path:
        tree = tree[step]
    return tree
