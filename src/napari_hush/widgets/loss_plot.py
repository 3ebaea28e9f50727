"""The live loss curve with its caption, and a quiet sentence while there is none."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QLabel, QStackedLayout, QVBoxLayout, QWidget

from napari_hush.widgets.loss_history import LossHistory

if TYPE_CHECKING:
    from napari_hush.widgets.colours import Colours
    from napari_hush.widgets.loss_chart import LossChart

__all__ = ["LossPlot"]

HEIGHT = 210
"""Pixels; in a dock some 300 wide a taller curve would only look steeper."""
REDRAW_MS = 200
"""Milliseconds between two drawings, however quick the steps are."""


class LossPlot(QWidget):
    """Shows a `LossHistory` while it grows.

    The chart is made when there is first something to draw or `build` is called, so
    that the dock opens without waiting for it.
    """

    def __init__(self, colours: Colours, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colours = colours
        self._history = LossHistory()

        # ---- widgets
        self.setObjectName("loss_plot")
        self.setToolTip(
            "Loss: how far the guess for a hidden pixel is from the noisy one.\n"
            "It falls while the model learns and ends level with the noise, not at zero."
        )
        self._empty = QLabel("The loss curve appears here.")
        self._empty.setProperty("role", "quiet")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._caption = QLabel()
        self._caption.setProperty("role", "quiet")
        self._caption.setTextFormat(Qt.TextFormat.RichText)
        self._drawn = QWidget()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REDRAW_MS)

        # ---- layout
        self.setFixedHeight(HEIGHT)
        drawn = QVBoxLayout(self._drawn)
        drawn.setContentsMargins(0, 0, 0, 0)
        drawn.setSpacing(2)
        drawn.addWidget(self._caption)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self._empty)
        self._pages.addWidget(self._drawn)

        # ---- connections
        self._timer.timeout.connect(self._draw)

    # ---- Public API

    @property
    def history(self) -> LossHistory:
        """Everything shown, or about to be at the next drawing."""
        return self._history

    def clear(self) -> None:
        """Forget the curve, for a new run."""
        self._history = LossHistory()
        self._timer.stop()
        self._pages.setCurrentWidget(self._empty)

    def addSteps(self, first_step: int, losses: tuple[float, ...]) -> None:
        """Append training losses of the steps from `first_step` (counted from 0) on."""
        self._history.add_steps(first_step, losses)
        self._redraw_soon()

    def addValidation(self, step: int, loss: float) -> None:
        """Append the validation loss measured after `step` optimizer steps."""
        self._history.add_validation(step, loss)
        self._redraw_soon()

    def setColours(self, colours: Colours) -> None:
        """Dress in the colours of the theme."""
        self._colours = colours
        if self._history.steps:
            self._redraw_soon()

    def build(self) -> None:
        """Make the chart now, rather than when there is first something to draw."""
        self._chart.draw(self._history, self._colours)

    # ---- Private API

    @cached_property
    def _chart(self) -> LossChart:
        from napari_hush.widgets.loss_chart import LossChart

        chart = LossChart()
        self._drawn.layout().addWidget(chart, 1)
        return chart

    def _redraw_soon(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _draw(self) -> None:
        history, colours = self._history, self._colours
        self._chart.draw(history, colours)
        caption = ""
        if history.smooth:
            caption = (
                f"<span style='color:{colours.curve}'>━</span> training "
                f"<span style='color:{colours.text}'>{history.smooth[-1]:.3g}</span>"
            )
        if history.val:
            caption += (
                f" &nbsp;&nbsp;<span style='color:{colours.text}'>○</span> validation "
                f"<span style='color:{colours.text}'>{history.val[-1]:.3g}</span>"
            )
        self._caption.setText(caption)
        self._pages.setCurrentWidget(self._drawn)
