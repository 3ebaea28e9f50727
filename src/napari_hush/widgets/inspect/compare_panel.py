"""Buttons for four views that compare a layer with its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QLabel, QPushButton, QSizePolicy, QWidget

from napari_hush.widgets.inspect.compare_views import Blink, ResidualLayer, SideBySide
from napari_hush.widgets.inspect.swipe import Swipe
from napari_hush.widgets.results.pairing import pair_of, why_not_comparable
from napari_hush.widgets.theme.help import HelpButton
from napari_hush.widgets.theme.widgets import column, push_button, row

if TYPE_CHECKING:
    from napari.layers import Image, Layer


class View(Protocol):
    """A comparison that is shown."""

    layers: tuple[Layer, ...]
    """Layers that it has added."""

    def close(self) -> None: ...


VIEWS: dict[str, tuple[str, str, Callable[[Any, Image, Image], View]]] = {
    "swipe": (
        "Swipe",
        "Noisy on the left of a line, denoised on the right; drag the line.",
        Swipe,
    ),
    "side_by_side": ("Grid", "Noisy and denoised in two linked panels.", SideBySide),
    "residual": (
        "Residual",
        "Noisy minus denoised. It should contain only noise; outlines of structures\n"
        "mean that detail was lost.",
        ResidualLayer,
    ),
    "blink": ("Blink", "Noisy and denoised alternately, in the same place.", Blink),
}
"""Label, help and class of each view."""


class ComparePanel(QWidget):
    """Compares the layer that `chosen` returns with its result.

    A view closes when its button is clicked again, when another one opens, when one of its
    layers is removed, and with the dock; everything is then as before.
    """

    def __init__(
        self, viewer: Any, chosen: Callable[[], Image | None], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self._chosen = chosen
        self.pair: tuple[Image, Image] | None = None
        """Noisy and denoised layer; None if there is no result."""
        self.view: View | None = None
        """The open view."""
        self._watched: tuple[Layer, ...] = ()
        self._changing = False

        # ---- widgets
        self.setObjectName("compare")
        self._buttons = {name: self._button(name) for name in VIEWS}
        self._numbers = QLabel()
        self._numbers.setWordWrap(True)
        self._numbers.setObjectName("compare_numbers")
        self._numbers.setProperty("role", "quiet")
        self._numbers.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)

        # ---- layout
        buttons = row()
        for button in self._buttons.values():
            buttons.addWidget(button, len(button.text()) + 4)
        buttons.addWidget(HelpButton("result"))
        layout = column(self, spacing=6)
        layout.addLayout(buttons)
        layout.addWidget(self._numbers)

        # ---- connections
        events = viewer.layers.events
        for event in (events.inserted, events.removed):
            event.connect(self._on_layers_changed)
        self.refresh()

    def refresh(self) -> None:
        """Find the layers to compare again, after another layer was chosen."""
        pair = pair_of(self._chosen(), self.viewer.layers)
        if self.view is not None and pair != self.pair:
            self.closeView()
        self.pair = pair
        why_not = why_not_comparable(pair)
        for name, button in self._buttons.items():
            button.setEnabled(not why_not)
            button.setToolTip(why_not or VIEWS[name][1])

    def setNumbers(self, words: str, explanation: str = "") -> None:
        """Show the metrics of the result."""
        self._numbers.setText(words)
        self._numbers.setToolTip(explanation)

    def closeView(self) -> None:
        """Close the open view."""
        view, self.view = self.view, None
        self._watched = ()
        for button in self._buttons.values():
            with QSignalBlocker(button):
                button.setChecked(False)
        if view is not None:
            self._changing = True
            try:
                view.close()
            finally:
                self._changing = False

    def _button(self, name: str) -> QPushButton:
        button = push_button(f"compare_{name}", VIEWS[name][0])
        button.setCheckable(True)
        button.toggled.connect(lambda on: self._on_toggled(name, on))
        return button

    def _on_toggled(self, name: str, on: bool) -> None:
        self.closeView()
        if not on or self.pair is None:
            return
        with QSignalBlocker(self._buttons[name]):
            self._buttons[name].setChecked(True)
        self._changing = True
        try:
            self.view = VIEWS[name][2](self.viewer, *self.pair)
        finally:
            self._changing = False
        self._watched = (*self.pair, *self.view.layers)

    def _on_layers_changed(self, event: Any = None) -> None:
        if self._changing:
            return
        there = list(self.viewer.layers)
        if any(layer not in there for layer in self._watched):
            self.closeView()
        self.refresh()
