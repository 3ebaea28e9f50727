"""Description of the current model, and menus of recent and earlier ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QMenu, QSizePolicy, QToolButton, QWidget

from napari_hush.config.methods import method_of
from napari_hush.widgets.settings.labels import NBSP, counted
from napari_hush.widgets.theme.collapsible import CLOSED, OPEN
from napari_hush.widgets.theme.widgets import push_button, row, small_button
from napari_hush.widgets.user_settings import load_setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_hush.lightning import Snapshot
    from napari_hush.models import Model
    from napari_hush.widgets.model.current_model import CurrentModel, Earlier


class ModelPanel(QWidget):
    """Describes a model; hidden without one.

    Buttons for other rows: `details` shows the description, `recent` opens recent models.
    """

    chosen = Signal(Path)
    """This recent model was chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model: Model | None = None

        # ---- widgets
        self._card = QLabel()
        self._card.setObjectName("model_card")
        self._card.setProperty("role", "quiet")
        self._card.setWordWrap(True)
        self._card.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._card.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._card.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.details = push_button("fold_model", "", "Details of the model.")
        self.details.setProperty("role", "heading")
        self.details.setAccessibleName("Details of the model")
        self.details.setCheckable(True)
        tip = "Models that were saved or loaded before."
        self.recent = small_button("recent_models", "▾", tip)
        self.recent.setAccessibleName("Recent models")
        self.recent.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._menu = QMenu(self)
        self._menu.setToolTipsVisible(True)
        self.recent.setMenu(self._menu)

        # ---- layout
        row(self).addWidget(self._card, 1)
        self._show()

        # ---- connections
        self.details.toggled.connect(self._show)
        self._menu.aboutToShow.connect(self._fill_menu)

    # ---- Public API

    def setModel(self, model: Model | None) -> None:
        """Describe `model`."""
        if model is not self._model:
            self._model = model
            self._card.setText("" if model is None else "\n".join(card_of(model)))
            self._show()

    # ---- Private API

    def _show(self) -> None:
        opened, known = self.details.isChecked(), self._model is not None
        self.details.setText(f"{OPEN if opened else CLOSED} Model" if known else "Model")
        self.details.setEnabled(known)
        self.setVisible(opened and known)

    def _fill_menu(self) -> None:
        self._menu.clear()
        for name in load_setting("models", []):
            path = Path(name)
            action = self._menu.addAction(path.stem)
            action.setToolTip(name if path.is_file() else f"{name} no longer exists.")
            action.setEnabled(path.is_file())
            action.triggered.connect(
                lambda checked=False, path=path: self.chosen.emit(path)
            )
        if self._menu.isEmpty():
            self._menu.addAction("No model has been saved or loaded yet.").setEnabled(False)


def snapshot_menu(
    parent: QWidget, current: CurrentModel, choose: Callable[[Snapshot | Earlier], None]
) -> QMenu:
    """Menu of snapshots and earlier models, the last first; calls `choose`."""
    menu = QMenu(parent)
    menu.setObjectName("snapshot_menu")
    entries: list[tuple[str, Snapshot | Earlier]] = [
        (f"After {counted(snapshot.steps, 'step')} · loss {snapshot.loss:.3g}", snapshot)
        for snapshot in reversed(current.snapshots)
    ]
    entries += [
        (f"Before: “{one.name}” · {counted(one.model.steps, 'step')}", one)
        for one in current.earlier
    ]
    for text, target in entries:
        action = menu.addAction(text)
        action.triggered.connect(lambda _=False, target=target: choose(target))
    return menu


TIMES = f"{NBSP}×{NBSP}"
SYMBOLS = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "angstrom": "Å"}
"""Of units that files spell out."""
_ARRAYS = ("the array", "array ")
"""How names of training images begin that were no files."""


def card_of(model: Model) -> list[str]:
    """Lines that describe `model`: method, training, intensities, origin."""
    config = model.config
    network = config.algorithm_config.model
    channels, share = counted(network.in_channels, "channel"), model.built_in_share
    if network.num_classes != network.in_channels:
        channels += f" to {network.num_classes}"
    kind = "volumes" if network.conv_dims == 3 else "images"
    size = TIMES.join(map(str, config.data_config.patch_size))
    levels = ", ".join(
        f"{mean:.4g}{NBSP}±{NBSP}{std:.3g}"
        for mean, std in zip(
            model.normalization.means, model.normalization.stds, strict=True
        )
    )
    done = [(model.epochs, "epoch"), (model.steps, "step")]
    training = [counted(number, noun) for number, noun in done if number]
    if training and model.provenance.built_in:
        training[-1] += " from built-in weights"
    method, axes = method_of(config).label, config.data_config.axes
    return [
        f"{method} for {kind} of {channels}, axes {axes}",
        ", ".join([*training, f"patches of {size}{NBSP}px"]),
        f"trained on intensities of {levels}",
        *([] if share is None else [f"{share.percent} of results: built-in denoiser"]),
        *filter(None, [" · ".join(filter(None, (_origin(model), _pixels(model))))]),
    ]


def _pixels(model: Model) -> str:
    """``"pixels of 0.25 × 0.25 µm"``; empty if unknown."""
    sizes = model.provenance.pixel_size
    letters = [letter for letter in "ZYX" if letter in sizes.scale]
    if not letters:
        return ""
    units = {sizes.units.get(letter, "") for letter in letters}
    steps = TIMES.join(f"{sizes.scale[letter]:.3g}" for letter in letters)
    unit = units.pop() if len(units) == 1 else ""
    return f"pixels of {steps}{NBSP}{SYMBOLS.get(unit, unit)}".rstrip()


def _origin(model: Model) -> str:
    """``"trained 2026-11-27 on “cells.tif” and 1 more image"``; empty if unknown."""
    known, name = model.provenance, model.config.experiment_name
    said = f"trained {known.date[:10]}" if known.date else ""
    if not known.num_sources:
        return said
    first = known.sources[0].name if known.sources else ""
    if first.startswith(_ARRAYS):  # layers, whose name the dock gives to the model
        first = "" if name == type(model.config)().experiment_name else name
    images = counted(known.num_sources - bool(first), "more image" if first else "image")
    named = f"“{first}”" if first else images
    more = f" and {images}" if first and known.num_sources > 1 else ""
    return f"{said or 'trained'} on {named}{more}"
