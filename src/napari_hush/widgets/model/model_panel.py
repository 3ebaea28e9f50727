"""The card of the model that is there, and the list of recent ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QMenu, QSizePolicy, QToolButton, QWidget

from napari_hush.config.methods import method_of
from napari_hush.errors import HushError
from napari_hush.widgets.data.training_data import whole_of
from napari_hush.widgets.user_settings import load_setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image

    from napari_hush.lightning import Snapshot
    from napari_hush.models import Model
    from napari_hush.widgets.model.current_model import CurrentModel, Earlier

__all__ = ["ModelPanel"]

EMPTY = "Train one, load one, or drop a model file here."


class ModelPanel(QWidget):
    """Shows what a model was trained on and with, and offers recent models.

    Attributes
    ----------
    recent : QToolButton
        Opens the list of recent models; stands where other buttons for models are.
    """

    chosen = Signal(Path)
    """Somebody chose this recent model."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model: Model | None = None

        # ---- widgets
        self._card = QLabel(EMPTY)
        self._card.setObjectName("model_card")
        self._card.setProperty("role", "quiet")
        self._card.setWordWrap(True)
        self._card.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._card.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._card.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.recent = QToolButton()
        self.recent.setObjectName("recent_models")
        self.recent.setText("▾")
        self.recent.setAccessibleName("Recent models")
        self.recent.setToolTip("Models that were saved or loaded before.")
        self.recent.setProperty("role", "small")
        self.recent.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.recent.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._menu = QMenu(self)
        self._menu.setToolTipsVisible(True)
        self.recent.setMenu(self._menu)

        # ---- layout
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self._card, 1)

        # ---- connections
        self._menu.aboutToShow.connect(self._fill_menu)

    # ---- Public API

    def setModel(self, model: Model | None) -> None:
        """Show the card of `model`."""
        if model is not self._model:
            self._model = model
            self._card.setText(EMPTY if model is None else "\n".join(card_of(model)))

    # ---- Private API

    def _fill_menu(self) -> None:
        self._menu.clear()
        for name in load_setting("models", []):
            path = Path(name)
            action = self._menu.addAction(path.stem)
            action.setToolTip(name if path.is_file() else f"{name} is not there any more.")
            action.setEnabled(path.is_file())
            action.triggered.connect(
                lambda checked=False, path=path: self.chosen.emit(path)
            )
        if self._menu.isEmpty():
            self._menu.addAction("No model was saved or loaded yet.").setEnabled(False)


def snapshot_menu(
    parent: QWidget, hand: CurrentModel, take: Callable[[Snapshot | Earlier], None]
) -> QMenu:
    """A menu of what one can go back to, the last uppermost; `take` gets what is chosen."""
    menu = QMenu(parent)
    menu.setObjectName("snapshot_menu")
    moments: list[tuple[str, Snapshot | Earlier]] = [
        (f"After {moment.steps:,} steps · loss {moment.loss:.3g}", moment)
        for moment in reversed(hand.snapshots)
    ]
    moments += [
        (f"Before: “{one.name}” · {one.model.steps:,} steps", one) for one in hand.earlier
    ]
    for words, moment in moments:
        action = menu.addAction(words)
        action.triggered.connect(lambda _=False, chosen=moment: take(chosen))
    return menu


NBSP = "\N{NO-BREAK SPACE}"
TIMES = f"{NBSP}×{NBSP}"
SYMBOLS = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "angstrom": "Å"}
"""Of units that are written out in files."""


def card_of(model: Model) -> list[str]:
    """Describe `model` by what its file says: what, how long, on what; a line for each."""
    config = model.config
    network = config.algorithm_config.model
    channels = f"{network.in_channels} channel{'s' if network.in_channels > 1 else ''}"
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
    method = method_of(config).label
    lines = [
        f"{method} for {kind} of {channels}, axes {config.data_config.axes}",
        f"{model.epochs:,} epochs, {model.steps:,} steps, patches of {size}{NBSP}px",
        f"learned from intensities of {levels}",
    ]
    origin = " · ".join(filter(None, (_origin(model), _pixels(model))))
    return [*lines, *filter(None, [origin])]


def _pixels(model: Model) -> str:
    """``"pixels of 0.25 × 0.25 µm"``; empty where nobody knows."""
    sizes = model.provenance.pixel_size
    letters = [letter for letter in "ZYX" if letter in sizes.scale]
    if not letters:
        return ""
    units = {sizes.units.get(letter, "") for letter in letters}
    steps = TIMES.join(f"{sizes.scale[letter]:.3g}" for letter in letters)
    unit = units.pop() if len(units) == 1 else ""
    return f"pixels of {steps}{NBSP}{SYMBOLS.get(unit, unit)}".rstrip()


def _origin(model: Model) -> str:
    """``"trained 2026-11-27 on 2 images"``; empty where nobody knows."""
    known = model.provenance
    day = known.date[:10]
    count = known.num_sources
    images = f"on {count} image{'s' if count != 1 else ''}" if count else ""
    said = f"{day} {images}".strip()
    return f"trained {said}" if said else ""


def why_not_for(model: Model, layer: Image, axes: str) -> str:
    """Why `model` cannot denoise `layer`, in one sentence; empty if it can.

    Only shapes are looked at, nothing is read.
    """
    from napari_hush.io import Image as Pixels  # the engine, which is there by now
    from napari_hush.prediction import check_suits

    try:
        check_suits(model, Pixels.from_array(whole_of(layer), axes, f"“{layer.name}”"))
    except HushError as error:
        return str(error)
    return ""
