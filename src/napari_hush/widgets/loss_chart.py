"""The loss curve itself, drawn with pyqtgraph. Imported late: it takes a moment to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor

from napari_hush.widgets.log_axis import LogAxis

if TYPE_CHECKING:
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QWidget

    from napari_hush.widgets.colours import Colours
    from napari_hush.widgets.loss_history import LossHistory

__all__ = ["LossChart"]


class LossChart(pg.PlotWidget):
    """A faint line of single steps, a firm one through them, a ring per validation."""

    def __init__(self, parent: QWidget | None = None) -> None:
        axes = {"left": LogAxis("left")}
        super().__init__(parent=parent, axisItems=axes)
        self.setFrameShape(self.Shape.NoFrame)
        plot = self.getPlotItem()
        plot.hideButtons()
        plot.setMenuEnabled(False)
        plot.setMouseEnabled(False, False)
        plot.getViewBox().setDefaultPadding(0.04)
        plot.getAxis("bottom").setLabel("step")
        plot.getAxis("bottom").enableAutoSIPrefix(False)
        plot.getAxis("bottom").setHeight(40)
        plot.getAxis("left").setWidth(44)
        self._colours: Colours | None = None
        self._steps = plot.plot(autoDownsample=True)
        self._smooth = plot.plot(autoDownsample=True)
        self._validation = plot.plot(pen=None, symbol="o", symbolSize=6)

    # ---- Public API

    def draw(self, history: LossHistory, colours: Colours) -> None:
        """Show everything in `history`, dressed in `colours`."""
        if colours != self._colours:
            self._dress(colours)
        self.getPlotItem().setLogMode(x=False, y=history.fits_log_axis)
        self._steps.setData(history.steps, history.train)
        self._smooth.setData(history.steps, history.smooth)
        self._validation.setData(history.val_steps, history.val)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # the wheel scrolls the dock

    def sizeHint(self) -> object:
        return self.minimumSizeHint()

    def focusPolicy(self) -> Qt.FocusPolicy:
        return Qt.FocusPolicy.NoFocus

    # ---- Private API

    def _dress(self, colours: Colours) -> None:
        self._colours = colours
        self.setBackground(colours.background)
        faint = QColor(colours.muted)
        faint.setAlphaF(0.35)
        self._steps.setPen(pg.mkPen(faint, width=1))
        self._smooth.setPen(pg.mkPen(colours.curve, width=2))
        self._validation.setSymbolPen(pg.mkPen(colours.text, width=1.2))
        self._validation.setSymbolBrush(pg.mkBrush(colours.background))
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(pg.mkPen(colours.line))
            axis.setTextPen(pg.mkPen(colours.muted))
