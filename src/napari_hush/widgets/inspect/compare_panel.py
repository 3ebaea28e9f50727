"""The verdict on a result, and buttons for four views that compare it with its source."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QPushButton, QWidget

from napari_hush.widgets.inspect.compare_views import Blink, ResidualLayer, SideBySide
from napari_hush.widgets.inspect.swipe import Swipe
from napari_hush.widgets.results.pairing import (
    earlier_looks,
    is_better,
    is_first,
    is_partial,
    pair_of,
    why_not_comparable,
)
from napari_hush.widgets.theme.help import HelpButton
from napari_hush.widgets.theme.repaint import paint_apart
from napari_hush.widgets.theme.widgets import WrappedLabel, column, mark, push_button, row

if TYPE_CHECKING:
    from napari.layers import Image, Layer

    from napari_hush.widgets.inspect.quality_job import Quality


class View(Protocol):
    """A comparison that is shown."""

    layers: tuple[Layer, ...]
    """Layers that it has added so far."""

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
        "Noisy minus denoised, divided by the local noise (−4 to 4 standard deviations).\n"
        "Only grain: only noise was removed. Outlines: structure was lost.",
        ResidualLayer,
    ),
    "blink": ("Blink", "Noisy and denoised alternately, in the same place.", Blink),
}
"""Label, help and class of each view."""


VERDICTS = {
    "good": ("✓ Only noise was removed", "good"),
    "look closer": ("◐ Look closer", "problem"),
    "too noisy to judge": ("? Too noisy to judge", "plain"),
    "structure lost": ("✗ Structure was lost", "failed"),
    "": ("? Not judged", "plain"),
}
"""Words and kind of each verdict of `check_residual`; "" is none."""


class ComparePanel(QWidget):
    """Compares the layer that `chosen` returns with its result.

    A view closes when its button is clicked again, when another one opens, when one of its
    layers is removed, and with the dock; everything is then as before.
    """

    pairChanged = Signal()
    """There is another pair of layers, or none."""
    judged = Signal()
    """`verdict` may have changed."""

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
        self._verdict = WrappedLabel("verdict")
        self._reason = WrappedLabel("verdict_reason", role="quiet")
        self._numbers = WrappedLabel("compare_numbers", role="quiet")

        # ---- layout
        buttons = row()
        for button in self._buttons.values():
            buttons.addWidget(button, len(button.text()) + 4)
        head = row()
        head.addWidget(self._verdict, 1)
        head.addWidget(HelpButton("result"), 0, Qt.AlignmentFlag.AlignTop)
        layout = column(self, spacing=6)
        layout.addLayout(head)
        layout.addWidget(self._reason)
        layout.addWidget(self._numbers)
        layout.addLayout(buttons)

        # ---- connections
        events = viewer.layers.events
        for event in (events.inserted, events.removed):
            event.connect(self._on_layers_changed)
        self.setQuality(None)
        self.refresh()

    @property
    def verdict(self) -> str:
        """The verdict in words; empty if there is none."""
        return str(self._verdict.text())

    def refresh(self) -> None:
        """Find the layers to compare again, after another layer was chosen."""
        pair = pair_of(self._chosen(), self.viewer.layers)
        if self.view is not None and pair != self.pair:
            self.closeView()
        is_new, self.pair = pair != self.pair, pair
        why_not = why_not_comparable(pair)
        for name, button in self._buttons.items():
            button.setEnabled(not why_not)
            button.setToolTip(why_not or VIEWS[name][1])
        if is_new:
            self.pairChanged.emit()

    def setQuality(self, quality: Quality | None) -> None:
        """Show the quality of the result; None if it is not known."""
        if quality is not None:
            words, kind = VERDICTS[quality.verdict]
            # The words of a good one are its reason.
            reasons = [quality.reason] if quality.verdict != "good" else []
            if self.pair is not None and is_first(self.pair[1]):
                reasons.insert(0, "Built-in denoiser, before training on this image.")
            words += self._what_is_better()
            reason = " ".join(reasons)
            self._show(words, kind, reason, quality.numbers, quality.explanation)
        elif self.pair is not None and is_partial(self.pair[1]):
            self._show("Not judged until all is denoised", "plain")
        else:
            self._show("", "plain")

    def removeFirstLooks(self, result: Layer) -> None:
        """Remove those of the source of `result`, now judged, that are no better."""
        layers = self.viewer.layers
        for layer in earlier_looks(result, layers):
            if not is_better(layer, result):
                layers.remove(layer)

    def _what_is_better(self) -> str:
        if self.pair is None:
            return ""
        looks = earlier_looks(self.pair[1], self.viewer.layers)
        better = [one.name for one in looks if is_better(one, self.pair[1])]
        return f"; “{better[0]}” is better" if better else ""

    def setChecking(self) -> None:
        """Show that the quality is being checked."""
        self._show("Checking the result …", "plain")

    def _show(
        self, words: str, kind: str, reason: str = "", numbers: str = "", tip: str = ""
    ) -> None:
        mark(self._verdict, "kind", kind)
        texts = (words, reason, numbers)
        labels = (self._verdict, self._reason, self._numbers)
        for label, text in zip(labels, texts, strict=True):
            label.setText(text)
            label.setVisible(bool(text))
        name = "" if self.pair is None else f"“{self.pair[1].name}”\n"
        self._verdict.setToolTip(f"{name}{reason}".strip())
        self._numbers.setToolTip(tip)
        self.judged.emit()

    def closeView(self) -> None:
        """Close the open view."""
        view, self.view = self.view, None
        self._watched = ()
        for button in self._buttons.values():
            with QSignalBlocker(button):
                button.setChecked(False)
        if view is not None:
            paint_apart(self)
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
        self._watched = self.pair

    def _on_layers_changed(self, event: Any = None) -> None:
        if self._changing:
            return
        there = list(self.viewer.layers)
        added = () if self.view is None else self.view.layers
        if any(layer not in there for layer in (*self._watched, *added)):
            self.closeView()
        self.refresh()
