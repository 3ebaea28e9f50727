"""The live loss curve, and a quiet sentence while there is none."""

from __future__ import annotations

import csv
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
from napari_hush.widgets.plot.loss_curve import ChartAxis, LossCurve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QContextMenuEvent, QMouseEvent, QPaintEvent

    from napari_hush.widgets.theme.theme import Colours

__all__ = ["LossPlot"]

HEIGHT = 168
"""Pixels; in a dock some 300 wide a taller curve would only look steeper."""
LOWEST = 128
"""Pixels that it can do with before the dock gets a scroll bar."""
GAP = 6
"""Pixels between things that are apart."""
RING = 3.0
"""Radius of a validation's ring in pixels."""
LABEL_ROOM = 48
"""Pixels that one label of the steps takes."""
NOTHING_YET = "The loss curve appears here."


class LossPlot(QWidget):
    """Draws a `LossCurve` while it grows; what was added is drawn by `redraw`.

    A faint line of single steps, a firm one through them, a ring per validation, under
    a caption with the last values or those under the mouse; earlier runs are dashed. The
    context menu has the rest. Painted by hand: a plot of a library takes longer to
    load than the whole dock, and several drawings of the window for one change.
    """

    def __init__(self, colours: Colours, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colours = colours
        self._history = LossCurve()
        self._earlier: list[LossCurve] = []
        self._log = True
        self._cursor: QPointF | None = None
        self._frame = QRectF()
        self._across = ChartAxis(0.0, 1.0)
        self.setMouseTracking(True)
        self.setObjectName("loss_plot")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(LOWEST)
        self.setMaximumHeight(HEIGHT)
        self.setToolTip(
            "Loss: how far the guess for a hidden pixel is from the noisy one.\n"
            "It falls while the model learns and ends level with the noise, not at zero.\n"
            "Right-click for a linear axis, and to save the curves."
        )

    # ---- Public API

    def sizeHint(self) -> QSize:
        return QSize(200, LOWEST)

    @property
    def history(self) -> LossCurve:
        """Everything added so far."""
        return self._history

    @property
    def earlier(self) -> tuple[LossCurve, ...]:
        """The runs before, oldest first."""
        return tuple(self._earlier)

    def begin(self, first_epoch: int = 0) -> None:
        """Begin a new curve, or go on with the last one if `first_epoch` is above 0.

        Earlier curves stay, faintly.
        """
        if first_epoch == 0 and self._history.steps:
            self._earlier.append(self._history)
            self._history = LossCurve()
        self.update()

    def forgetEarlier(self) -> None:
        """Show only the last run."""
        self._earlier.clear()
        self.update()

    def setLogarithmic(self, wanted: bool) -> None:
        """Draw losses on a logarithmic axis, where all of them are above zero."""
        self._log = wanted
        self.update()

    def addSteps(self, first_step: int, losses: tuple[float, ...]) -> None:
        """Append training losses of the steps from `first_step` (counted from 0) on."""
        self._history.add_steps(first_step, losses)

    def addValidation(self, step: int, loss: float) -> None:
        """Append the validation loss measured after `step` optimizer steps."""
        self._history.add_validation(step, loss)

    def redraw(self) -> None:
        """Show what was added since the last time."""
        self.update()

    def setColours(self, colours: Colours) -> None:
        """Dress in the colours of the theme."""
        self._colours = colours
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._cursor = event.position()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._cursor = None
        self.update()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self.menu().popup(event.globalPos())

    def menu(self) -> QMenu:
        """What can be done with the curves."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        log = menu.addAction("Logarithmic axis")
        log.setCheckable(True)
        log.setChecked(self._log)
        log.toggled.connect(self.setLogarithmic)
        menu.addAction("Forget earlier runs", self.forgetEarlier)
        menu.addSeparator()
        menu.addAction("Save as CSV …", lambda: save_csv(self, self.runs))
        menu.addAction("Save as picture …", lambda: save_picture(self))
        return menu

    @property
    def runs(self) -> tuple[LossCurve, ...]:
        """All runs, oldest first."""
        return (*self._earlier, self._history)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._history.steps:
            self._paint_caption(painter)
            self._paint_curves(painter)
        else:
            painter.setPen(QColor(self._colours.muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, NOTHING_YET)
        painter.end()

    # ---- Private API

    def _paint_caption(self, painter: QPainter) -> None:
        history, colours = self._history, self._colours
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
            self._paint_ring(painter, QPointF(x + 3 * GAP, middle))
            self._write(painter, x + 4.5 * GAP, "validation", val)
        if at is not None:
            words = f"step {history.steps[at]}"
            painter.setPen(QColor(colours.muted))
            room = self.fontMetrics().horizontalAdvance(words)
            painter.drawText(
                QPointF(self.width() - room - GAP, self.fontMetrics().ascent()), words
            )

    def _write(self, painter: QPainter, x: float, words: str, loss: float) -> float:
        """Write a loss with its name from `x` on; return where it ends."""
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
        history = self._history
        runs = [run for run in self.runs if run.steps]
        across = ChartAxis(0.0, max(1.0, max(run.steps[-1] for run in runs) * 1.02))
        losses = [loss for run in runs for loss in (*run.train, *run.val)]
        log = self._log and all(run.fits_log_axis for run in runs)
        up = ChartAxis.around(losses, log=log)
        frame = self._paint_axes(painter, across, up)
        self._frame, self._across = frame, across
        painter.setPen(QPen(QColor(self._colours.muted), 1, Qt.PenStyle.DashLine))
        for run in runs[:-1]:
            points = _points(frame, across.share(run.steps), up.share(run.smooth))
            painter.drawPolyline(QPolygonF(points))
        faint = QColor(self._colours.muted)
        faint.setAlphaF(0.4)
        for losses, pen in (
            (history.train, QPen(faint, 1)),
            (history.smooth, QPen(QColor(self._colours.curve), 2)),
        ):
            painter.setPen(pen)
            points = _points(frame, across.share(history.steps), up.share(losses))
            painter.drawPolyline(QPolygonF(points))
        for point in _points(frame, across.share(history.val_steps), up.share(history.val)):
            self._paint_ring(painter, point)
        if (at := self._under_cursor()) is not None:
            x = frame.left() + frame.width() * float(across.share(history.steps[at]))
            painter.setPen(QPen(QColor(self._colours.muted), 1))
            painter.drawLine(QPointF(x, frame.top()), QPointF(x, frame.bottom()))

    def _under_cursor(self) -> int | None:
        """Index of the step that the mouse is at; None if it is elsewhere."""
        frame, history = self._frame, self._history
        if self._cursor is None or not history.steps or not frame.contains(self._cursor):
            return None
        share = (self._cursor.x() - frame.left()) / frame.width()
        step = self._across.low + share * (self._across.high - self._across.low)
        return int(np.abs(np.asarray(history.steps) - step).argmin())

    def _paint_axes(self, painter: QPainter, across: ChartAxis, up: ChartAxis) -> QRectF:
        """Paint lines and labels; return the rectangle that is left for the curves."""
        metrics = self.fontMetrics()
        line = metrics.height()
        losses = {f"{value:.3g}": value for value in up.labels(self.height() // (2 * line))}
        left = max(map(metrics.horizontalAdvance, losses), default=0) + 2 * GAP
        frame = QRectF(self.rect()).adjusted(left, line + 2 * GAP, -GAP, -(line + GAP))
        painter.setPen(QColor(self._colours.line))
        painter.drawPolyline(
            QPolygonF([frame.topLeft(), frame.bottomLeft(), frame.bottomRight()])
        )
        painter.setPen(QColor(self._colours.muted))
        for text, value in losses.items():
            y = frame.bottom() - frame.height() * float(up.share(value))
            where = QRectF(0, y - line / 2, left - GAP, line)
            painter.drawText(where, Qt.AlignmentFlag.AlignRight, text)
        for value in across.labels(int(frame.width()) // LABEL_ROOM):
            x = frame.left() + frame.width() * float(across.share(value))
            if value != round(value):
                continue  # there are no halves of a step
            text = f"{value:g}" if value else "step 0"
            room = metrics.horizontalAdvance(text)
            x = min(x - room / 2, self.width() - room)
            painter.drawText(QPointF(x, frame.bottom() + GAP / 2 + metrics.ascent()), text)
        return frame

    def _paint_ring(self, painter: QPainter, centre: QPointF) -> None:
        painter.setPen(QPen(QColor(self._colours.text), 1.2))
        painter.setBrush(QColor(self._colours.background))
        painter.drawEllipse(centre, RING, RING)
        painter.setBrush(Qt.BrushStyle.NoBrush)


def _points(
    frame: QRectF, right: NDArray[np.float64], up: NDArray[np.float64]
) -> list[QPointF]:
    """Points in `frame` at shares of its width and height, no more than can be told apart.

    Where many fall into one column of pixels, the lowest and the highest of them stay.
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


HEADER = ("run", "step", "training_loss", "training_loss_smoothed", "validation_loss")


def save_csv(parent: QWidget, runs: Sequence[LossCurve]) -> None:
    """Ask for a name and write all `runs` there."""
    if path := _ask(parent, "Save the losses", "losses.csv", "Tables (*.csv)"):
        try:
            write_csv(path, runs)
        except OSError as error:
            notify(f"The losses were not saved to “{path}”: {error.strerror}.")


def save_picture(plot: QWidget) -> None:
    """Ask for a name and save what `plot` shows there."""
    path = _ask(plot, "Save the picture", "losses.png", "Pictures (*.png)")
    if path is not None and not plot.grab().save(str(path)):
        notify(f"The picture was not saved to “{path}”; choose another folder.")


def write_csv(path: Path, runs: Sequence[LossCurve]) -> None:
    """Write `runs` as a table: a row per step, the validation in that of its step."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(HEADER)
        for number, run in enumerate(runs, start=1):
            val = dict(zip(run.val_steps, run.val, strict=True))
            for row in zip(run.steps, run.train, run.smooth, strict=True):
                table.writerow((number, *row, val.get(row[0], "")))


def _ask(parent: QWidget, title: str, name: str, kinds: str) -> Path | None:
    chosen, _ = QFileDialog.getSaveFileName(parent, title, name, kinds)
    return Path(chosen) if chosen else None


def feed(plot: LossPlot, events: Iterable[Event]) -> None:
    """Show what `events` tell about losses."""
    for event in events:
        match event:
            case TrainingStarted():
                plot.begin(first_epoch=event.first_epoch)
            case EarlierLosses():
                plot.addSteps(event.first_step, event.losses)
                for step, loss in event.validation:
                    plot.addValidation(step, loss)
            case StepsDone():
                plot.addSteps(event.first_step, event.losses)
            case EpochDone(val_loss=float(loss)):
                plot.addValidation(event.step, loss)
    plot.redraw()
