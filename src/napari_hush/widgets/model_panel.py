"""The card of the model that is there, and the list of recent ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QMenu, QSizePolicy, QToolButton, QWidget

from napari_hush.widgets.model_card import card_of
from napari_hush.widgets.remembered import recall

if TYPE_CHECKING:
    from napari_hush.models import Model

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
        for name in recall("models", []):
            path = Path(name)
            action = self._menu.addAction(path.stem)
            action.setToolTip(name if path.is_file() else f"{name} is not there any more.")
            action.setEnabled(path.is_file())
            action.triggered.connect(
                lambda checked=False, path=path: self.chosen.emit(path)
            )
        if self._menu.isEmpty():
            self._menu.addAction("No model was saved or loaded yet.").setEnabled(False)
