"""A grid of the neighbors of a masked pixel, in which a click masks one for structN2V."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from qtpy.QtCore import QPoint, QRect, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QSizePolicy, QWidget

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent, QMouseEvent, QPaintEvent

    from napari_hush.widgets.theme.theme import Colours

Offsets = frozenset[tuple[int, int]]
"""Neighbors ``(Y, X)`` of the masked pixel, in pixels, without itself."""

SIDE = 11
"""Cells along each side; more for a mask that is larger."""
_STEPS = {
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
}


class StructMaskGrid(QWidget):
    """Edits a mask by mouse, or with arrow keys and the space bar.

    The correlation of noise is the same in opposite directions, so that a neighbor and its
    opposite neighbor are masked together.
    """

    valueChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._masked: Offsets = frozenset()
        self._cursor = 0, 1
        self._colours: Colours | None = None
        self.setObjectName("struct_mask")
        self.setAccessibleName("Mask of structN2V")
        self.setToolTip(
            "Click a neighbor of the center to mask it with each masked pixel, and the\n"
            "opposite neighbor; click again to leave it visible.\n(struct_mask)"
        )
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def value(self) -> Offsets:
        """The masked neighbors."""
        return self._masked

    def setValue(self, offsets: Iterable[tuple[int, int]]) -> None:
        """Show `offsets`."""
        if self._masked != (masked := frozenset(offsets)):
            self._masked = masked
            self.update()

    def setColours(self, colours: Colours) -> None:
        """Draw in these colors."""
        self._colours = colours
        self.update()

    def cell(self, y: int, x: int) -> QRect:
        """Where the neighbor at ``(y, x)`` from the center is drawn."""
        half, size = self._half(), self.width() / (2 * self._half() + 1)
        first = QPoint(round((half + x) * size), round((half + y) * size))
        last = QPoint(round((half + x + 1) * size) - 2, round((half + y + 1) * size) - 2)
        return QRect(first, last)

    def sizeHint(self) -> QSize:
        side = SIDE * max(12, self.fontMetrics().height() - 2)
        return QSize(side, side)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._colours is None:
            return
        painter = QPainter(self)
        half = self._half()
        along = range(-half, half + 1)
        for place in ((y, x) for y in along for x in along):
            fill = self._colours.curve if place in self._masked else self._colours.raised
            if place == (0, 0):
                fill = self._colours.text
            painter.setOpacity(1.0 if self.isEnabled() else 0.4)
            painter.fillRect(self.cell(*place), QColor(fill))
        if self.hasFocus():
            painter.setPen(QColor(self._colours.text))
            painter.drawRect(self.cell(*self._cursor))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        half = self._half()
        step = self.width() / (2 * half + 1)
        where = event.position()
        self._toggle(int(where.y() // step) - half, int(where.x() // step) - half)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Space:
            self._toggle(*self._cursor)
        elif step := _STEPS.get(Qt.Key(event.key())):
            half = self._half()
            y, x = (a + b for a, b in zip(self._cursor, step, strict=True))
            self._cursor = max(-half, min(half, y)), max(-half, min(half, x))
            self.update()
        else:
            super().keyPressEvent(event)

    def _toggle(self, y: int, x: int) -> None:
        self._cursor = y, x
        pair = {(y, x), (-y, -x)}
        if (y, x) != (0, 0):
            masked = (y, x) in self._masked
            self._masked = self._masked - pair if masked else self._masked | pair
            self.valueChanged.emit()
        self.update()

    def _half(self) -> int:
        """Cells on each side of the center."""
        return max([SIDE // 2, *(max(abs(y), abs(x)) for y, x in self._masked)])


def as_mask(offsets: Offsets) -> tuple[tuple[int, ...], ...]:
    """`offsets` as ``struct_mask``, ``(Y, X)``."""
    rows, columns = (max((abs(one[axis]) for one in offsets), default=1) for axis in (0, 1))
    return tuple(
        tuple(int((y, x) in offsets) for x in range(-columns, columns + 1))
        for y in range(-rows, rows + 1)
    )
