"""The row "Look": four ways to compare a picture with its denoised twin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QSizePolicy, QWidget

from napari_hush.widgets.inspect.compare_views import Blink, ResidualLayer, SideBySide
from napari_hush.widgets.inspect.swipe import Swipe
from napari_hush.widgets.results.pairing import pair_of, why_not_comparable

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image, Layer

__all__ = ["ComparePanel"]


class _View(Protocol):
    """A way of looking that is going on."""

    @property
    def layers(self) -> tuple[Layer, ...]: ...

    def close(self) -> None: ...


WAYS: dict[str, tuple[str, str, Callable[[Any, Image, Image], _View]]] = {
    "swipe": (
        "Swipe",
        "Before on the left of a line and after on the right; drag the line.",
        Swipe,
    ),
    "side_by_side": (
        "Panels",
        "Side by side: before and after in two panels that move together.",
        SideBySide,
    ),
    "residual": (
        "Removed",
        "What was taken away (the residual): before minus after. There should be\n"
        "nothing in it but noise; outlines of structures mean that detail was lost.",
        ResidualLayer,
    ),
    "blink": (
        "Blink",
        "Before and after in turns, in the same place.",
        Blink,
    ),
}
"""Words, help and what does it, of each way of looking."""


class ComparePanel(QWidget):
    """Compares the chosen layer with its result; one click on, the same click off.

    Nothing stays behind: each way of looking ends when it is clicked again, when another
    one begins, when one of the layers goes, or with the dock.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Whose layers are compared.
    chosen : callable
        Returns the layer that the dock is about, or None.
    """

    def __init__(
        self, viewer: Any, chosen: Callable[[], Image | None], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._chosen = chosen
        self._pair: tuple[Image, Image] | None = None
        self._view: _View | None = None
        self._looking_at: tuple[Layer, ...] = ()
        self._changing = False

        # ---- widgets
        self.buttons = {name: self._button(name) for name in WAYS}
        self._numbers = QLabel()
        self._numbers.setWordWrap(True)
        self._numbers.setObjectName("look_numbers")
        self._numbers.setProperty("role", "quiet")
        self._numbers.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        label = QLabel("Look")
        label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)

        # ---- layout
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for column, button in enumerate(self.buttons.values()):
            layout.addWidget(button, 0, column)
            layout.setColumnStretch(column, len(button.text()) + 4)
        layout.addWidget(self._numbers, 1, 0, 1, len(WAYS))

        # ---- connections
        events = viewer.layers.events
        for event in (events.inserted, events.removed):
            event.connect(self._on_layers_changed)
        self.refresh()

    # ---- Public API

    @property
    def pair(self) -> tuple[Image, Image] | None:
        """Before and after, None if there is nothing to compare."""
        return self._pair

    @property
    def way(self) -> str:
        """How one looks now, a key of `WAYS`; empty if in none of these ways."""
        return next((name for name, b in self.buttons.items() if b.isChecked()), "")

    def refresh(self) -> None:
        """Find out what there is to compare, after another layer was chosen."""
        pair = pair_of(self._chosen(), self._viewer.layers)
        if self._view is not None and pair != self._pair:
            self.close_view()
        self._pair = pair
        why_not = why_not_comparable(pair)
        for name, button in self.buttons.items():
            button.setEnabled(not why_not)
            button.setToolTip(why_not or WAYS[name][1])

    def setNumbers(self, words: str, explanation: str = "") -> None:
        """Say how good the result is, in a few words."""
        self._numbers.setText(words)
        self._numbers.setToolTip(explanation)

    def close_view(self) -> None:
        """Look at the layers as they are."""
        view, self._view = self._view, None
        self._looking_at = ()
        for button in self.buttons.values():
            with QSignalBlocker(button):
                button.setChecked(False)
        if view is not None:
            self._changing = True
            try:
                view.close()
            finally:
                self._changing = False

    # ---- Private API

    def _button(self, name: str) -> QPushButton:
        button = QPushButton(WAYS[name][0])
        button.setObjectName(f"look_{name}")
        button.setCheckable(True)
        button.toggled.connect(lambda on: self._on_toggled(name, on))
        return button

    def _on_toggled(self, name: str, on: bool) -> None:
        self.close_view()
        if not on or self._pair is None:
            return
        with QSignalBlocker(self.buttons[name]):
            self.buttons[name].setChecked(True)
        self._changing = True
        try:
            self._view = WAYS[name][2](self._viewer, *self._pair)
        finally:
            self._changing = False
        self._looking_at = (*self._pair, *self._view.layers)

    def _on_layers_changed(self, event: Any = None) -> None:
        if self._changing:
            return
        there = list(self._viewer.layers)
        if any(layer not in there for layer in self._looking_at):
            self.close_view()
        self.refresh()
