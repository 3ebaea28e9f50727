"""The live loss plot, and a hint while there is no curve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QFileDialog, QMenu, QSizePolicy, QWidget

from napari_hush.events import (
    EarlierLosses,
    EpochDone,
    Event,
    StepsDone,
    TrainingStarted,
)
from napari_hush.widgets.notifications import notify
from napari_hush.widgets.plot.loss_curve import ChartAxis, LossCurve, write_csv

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QContextMenuEvent, QMouseEvent, QPaintEvent

    from napari_hush.widgets.theme.theme import Colours

MAX_HEIGHT, MIN_HEIGHT = 168, 128
"""Pixels; in a dock about 300 wide a taller curve would only look steeper."""
GAP = 6
"""Pixels between elements."""
MARKER_RADIUS = 3.0
"""Of a validation loss, in pixels."""
LABEL_WIDTH = 48
"""Pixels for one label of the x axis."""
EMPTY = "The loss curve appears here."


class LossPlot(QWidget):
    """Plots the losses of the current run, and of earlier runs as dashed lines.

    A thin line shows single steps, a thick one their moving average, circles the validation
    loss. Painted with QPainter: a plotting library takes longer to import than the dock
    takes to open, and redraws the window several times per update.
    """

    def __init__(self, colours: Colours, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colours = colours
        self.runs = [LossCurve()]
        """Losses of all runs, oldest first."""
        self._log = True
        self._cursor: QPointF | None = None
        self._frame = QRectF()
        self._x = self._y = ChartAxis(0.0, 1.0)
        self.setMouseTracking(True)
        self.setObjectName("loss_plot")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(MIN_HEIGHT)
        self.setMaximumHeight(MAX_HEIGHT)
        self.setToolTip(
            "Loss: how far the prediction for a masked pixel is from its noisy value.\n"
            "It falls while the model learns and levels off at the noise, not at zero.\n"
            "Right-click for a linear axis, and to save the curves."
        )

    # ---- Public API

    def sizeHint(self) -> QSize:
        return QSize(200, MIN_HEIGHT)

    @property
    def history(self) -> LossCurve:
        """Losses of the current or last run."""
        return self.runs[-1]

    def addEvents(self, events: Iterable[Event]) -> None:
        """Add the losses in `events`.

        A run that continues the model of the last one continues its curve. If it begins at
        an earlier step, of a snapshot, the last curve is kept as one of an earlier run.
        """
        for event in events:
            match event:
                case TrainingStarted():
                    self._begin(event.first_step)
                case EarlierLosses():
                    self.history.add_steps(event.first_step, event.losses)
                    for step, loss in event.validation:
                        self.history.add_validation(step, loss)
                case StepsDone():
                    self.history.add_steps(event.first_step, event.losses)
                case EpochDone(val_loss=float(loss)):
                    self.history.add_validation(event.step, loss)
        self.update()

    def forgetModel(self) -> None:
        """Begin an empty curve: the model that is trained next is another one."""
        if self.history.steps:
            self.runs.append(LossCurve())
            self.update()

    def clearEarlier(self) -> None:
        """Show only the last run."""
        del self.runs[:-1]
        self.update()

    def setLogarithmic(self, wanted: bool) -> None:
        """Use a logarithmic y axis if all losses are above zero."""
        self._log = wanted
        self.update()

    def setColours(self, colours: Colours) -> None:
        """Use the colors of a theme."""
        self._colours = colours
        self.update()

    def menu(self) -> QMenu:
        """The context menu."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        log = menu.addAction("Logarithmic axis")
        log.setCheckable(True)
        log.setChecked(self._log)
        log.toggled.connect(self.setLogarithmic)
        menu.addAction("Clear earlier runs", self.clearEarlier)
        menu.addSeparator()
        menu.addAction("Save as CSV …", self._save_csv)
        menu.addAction("Save as image …", self._save_image)
        return menu

    # ---- Events

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._cursor = event.position()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._cursor = None
        self.update()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self.menu().popup(event.globalPos())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.history.steps:
            self._paint_caption(painter)
            self._paint_curves(painter)
        else:
            painter.setPen(QColor(self._colours.muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, EMPTY)
        painter.end()

    # ---- Private API

    def _begin(self, first_step: int) -> None:
        """Begin a run after `first_step` steps of its model."""
        history = self.history
        if history.steps and history.steps[-1] != first_step:
            self.runs.append(history.until(first_step))

    def _paint_caption(self, painter: QPainter) -> None:
        history, colours = self.history, self._colours
        at = self._under_cursor()
        train, val = history.smooth[-1], history.val[-1] if history.val else None
        if at is not None:
            train = history.train[at]
            val = history.val_before(history.steps[at])
        line = self.fontMetrics().height()
        middle, x = line / 2, float(GAP)
        painter.setPen(QPen(QColor(colours.curve), 2))
        painter.drawLine(QPointF(x, middle), QPointF(x + 2 * GAP, middle))
        x = self._write(painter, x + 3 * GAP, "training", train)
        if val is not None:
            self._paint_marker(painter, QPointF(x + 3 * GAP, middle))
            self._write(painter, x + 4.5 * GAP, "validation", val)
        if at is not None:
            words = f"step {history.steps[at]}"
            painter.setPen(QColor(colours.muted))
            x = self.width() - self.fontMetrics().horizontalAdvance(words) - GAP
            painter.drawText(QPointF(x, self.fontMetrics().ascent()), words)

    def _write(self, painter: QPainter, x: float, words: str, loss: float) -> float:
        """Write a loss with its label at `x`; returns where it ends."""
        metrics = self.fontMetrics()
        for text, colour in (
            (f"{words} ", self._colours.muted),
            (f"{loss:.3g}", self._colours.text),
        ):
            painter.setPen(QColor(colour))
            painter.drawText(QPointF(x, metrics.ascent()), text)
            x += metrics.horizontalAdvance(text)
        return x

    def _paint_curves(self, painter: QPainter) -> None:
        history, colours = self.history, self._colours
        runs = [run for run in self.runs if run.steps]
        self._x = ChartAxis(0.0, max(1.0, max(run.steps[-1] for run in runs) * 1.02))
        losses = [loss for run in runs for loss in (*run.train, *run.val)]
        log = self._log and all(run.fits_log_axis for run in runs)
        self._y = ChartAxis.around(losses, log=log)
        self._frame = frame = self._paint_axes(painter)
        dashed = QPen(QColor(colours.muted), 1, Qt.PenStyle.DashLine)
        for run in runs[:-1]:
            self._paint_line(painter, dashed, run.steps, run.smooth)
        faint = QColor(colours.muted)
        faint.setAlphaF(0.4)
        self._paint_line(painter, QPen(faint, 1), history.steps, history.train)
        thick = QPen(QColor(colours.curve), 2)
        self._paint_line(painter, thick, history.steps, history.smooth)
        for point in self._points(history.val_steps, history.val):
            self._paint_marker(painter, point)
        if (at := self._under_cursor()) is not None:
            x = frame.left() + frame.width() * float(self._x.share(history.steps[at]))
            painter.setPen(QPen(QColor(colours.muted), 1))
            painter.drawLine(QPointF(x, frame.top()), QPointF(x, frame.bottom()))

    def _paint_line(
        self, painter: QPainter, pen: QPen, steps: list[int], losses: list[float]
    ) -> None:
        painter.setPen(pen)
        painter.drawPolyline(QPolygonF(self._points(steps, losses)))

    def _points(self, steps: list[int], losses: list[float]) -> list[QPointF]:
        return _points(self._frame, self._x.share(steps), self._y.share(losses))

    def _under_cursor(self) -> int | None:
        """Index of the step under the cursor; None if it is not over the curves."""
        frame, history = self._frame, self.history
        if self._cursor is None or not history.steps or not frame.contains(self._cursor):
            return None
        share = (self._cursor.x() - frame.left()) / frame.width()
        step = self._x.low + share * (self._x.high - self._x.low)
        return int(np.abs(np.asarray(history.steps) - step).argmin())

    def _paint_axes(self, painter: QPainter) -> QRectF:
        """Paint the axes and their labels; returns the rectangle for the curves."""
        metrics = self.fontMetrics()
        line = metrics.height()
        ticks = self._y.labels(self.height() // (2 * line))
        losses = {f"{value:.3g}": value for value in ticks}
        left = max(map(metrics.horizontalAdvance, losses), default=0) + 2 * GAP
        frame = QRectF(self.rect()).adjusted(left, line + 2 * GAP, -GAP, -(line + GAP))
        corners = [frame.topLeft(), frame.bottomLeft(), frame.bottomRight()]
        painter.setPen(QColor(self._colours.line))
        painter.drawPolyline(QPolygonF(corners))
        painter.setPen(QColor(self._colours.muted))
        for text, value in losses.items():
            y = frame.bottom() - frame.height() * float(self._y.share(value))
            where = QRectF(0, y - line / 2, left - GAP, line)
            painter.drawText(where, Qt.AlignmentFlag.AlignRight, text)
        for value in self._x.labels(int(frame.width()) // LABEL_WIDTH):
            if value != round(value):
                continue  # steps are whole numbers
            x = frame.left() + frame.width() * float(self._x.share(value))
            text = f"{value:g}" if value else "step 0"
            width = metrics.horizontalAdvance(text)
            x = max(0, min(x - width / 2, self.width() - width))
            painter.drawText(QPointF(x, frame.bottom() + GAP / 2 + metrics.ascent()), text)
        return frame

    def _paint_marker(self, painter: QPainter, centre: QPointF) -> None:
        painter.setPen(QPen(QColor(self._colours.text), 1.2))
        painter.setBrush(QColor(self._colours.background))
        painter.drawEllipse(centre, MARKER_RADIUS, MARKER_RADIUS)
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _save_csv(self) -> None:
        path = self._ask_for_path("Save the losses", "losses.csv", "Tables (*.csv)")
        if path is not None:
            try:
                write_csv(path, self.runs)
            except OSError as error:
                notify(
                    f"The losses were not saved to “{path}” ({error.strerror}); choose "
                    "another folder."
                )

    def _save_image(self) -> None:
        path = self._ask_for_path("Save the plot", "losses.png", "Images (*.png)")
        if path is not None and not self.grab().save(str(path)):
            notify(f"The plot was not saved to “{path}”; choose another folder.")

    def _ask_for_path(self, title: str, name: str, kinds: str) -> Path | None:
        chosen, _ = QFileDialog.getSaveFileName(self, title, name, kinds)
        return Path(chosen) if chosen else None


def _points(
    frame: QRectF, right: NDArray[np.float64], up: NDArray[np.float64]
) -> list[QPointF]:
    """Points in `frame`, from shares (0 to 1) of its width and its height.

    Of many points in one column of pixels, only the lowest and the highest are kept.
    """
    keep = np.flatnonzero(np.isfinite(up))
    columns = max(1, int(frame.width()))
    if len(keep) > 4 * columns:
        ends = [
            sorted((stretch[up[stretch].argmin()], stretch[up[stretch].argmax()]))
            for stretch in np.array_split(keep, columns)
        ]
        keep = np.array(ends).ravel()
    x = frame.left() + frame.width() * right[keep]
    y = frame.bottom() - frame.height() * up[keep]
    return [QPointF(*place) for place in zip(x.tolist(), y.tolist(), strict=True)]
