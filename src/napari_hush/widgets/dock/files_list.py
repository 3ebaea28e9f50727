"""The list of the files of a job, each with its state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QModelIndex, Qt, Signal
from qtpy.QtGui import QBrush, QColor, QPainter
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QTreeWidgetItem,
)

from napari_hush.widgets.jobs.files_progress import Step

if TYPE_CHECKING:
    from qtpy.QtGui import QPaintEvent, QResizeEvent

    from napari_hush.widgets.jobs.files_progress import FileRow
    from napari_hush.widgets.theme.theme import Colours

EMPTY = "Drop a folder or images here, or a model."
FONT = 0.75
"""Size of the letters relative to labels, as there are many."""
LINES = 5
"""Lines that are always seen."""


class FilesList(QTreeWidget):
    """One line per file: its name and its state. The tool tip has the whole path."""

    chosen = Signal(int)
    """This line was double-clicked."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("files_list")
        self.setAccessibleName("Files and their states")
        self.setColumnCount(2)
        self.setHeaderHidden(True)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setItemDelegate(_Elision(self))
        self.setItemsExpandable(False)
        self.setIndentation(14)
        self.header().setStretchLastSection(False)
        self.header().setMinimumSectionSize(20)
        self.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.header().setSectionResizeMode(1, QHeaderView.ResizeMode.Fixed)
        self._failed, self._muted = QBrush(), QColor()
        self._states = {Step.WAITING.value}
        self._is_fitting = False
        self._letters = QLabel(self)  # the stylesheet of napari sets the font of labels
        self._letters.hide()
        self.itemDoubleClicked.connect(self._on_double_clicked)

    def setColours(self, colours: Colours) -> None:
        """Use the colors of a theme."""
        self._failed, self._muted = QBrush(QColor(colours.failed)), QColor(colours.muted)
        for item in map(self.topLevelItem, range(self.topLevelItemCount())):
            if item.childCount():  # the reason of its failure
                item.setForeground(1, self._failed)
                item.child(0).setForeground(0, self._failed)

    def setRows(self, rows: Sequence[FileRow]) -> None:
        """Show these files, in place of those before."""
        self.clear()
        items = [QTreeWidgetItem([row.path.name, row.words]) for row in rows]
        self._states = {Step.WAITING.value, *(row.words for row in rows)}
        self.addTopLevelItems(items)
        for item, row in zip(items, rows, strict=True):
            item.setToolTip(0, str(row.path))
            if row.reason or row.warnings:
                self._show(item, row)
        self._fit()

    def updateRows(self, rows: Sequence[FileRow], numbers: Iterable[int]) -> None:
        """Show the states of some of the `rows`."""
        self.setUpdatesEnabled(False)
        for number in numbers:
            self._show(self.topLevelItem(number), rows[number])
        self._fit()
        self.setUpdatesEnabled(True)

    def _show(self, item: QTreeWidgetItem, row: FileRow) -> None:
        self._states.add(row.words)
        item.setText(1, row.words)
        item.setForeground(1, self._failed if row.reason else QBrush())
        item.setToolTip(0, row.tip)
        item.setToolTip(1, row.tip)
        if row.reason or item.childCount():
            self._show_reason(item, row.reason)

    def _show_reason(self, item: QTreeWidgetItem, reason: str) -> None:
        """Show why a file failed, in a line below it."""
        item.takeChildren()
        if reason:
            below = QTreeWidgetItem([reason])
            item.addChild(below)
            below.setFirstColumnSpanned(True)
            below.setForeground(0, self._failed)
            below.setToolTip(0, reason)
            item.setExpanded(True)

    def follow(self, number: int) -> None:
        """Scroll to a line, unless a person looks elsewhere with the mouse."""
        if not self.underMouse():
            self.scrollToItem(self.topLevelItem(number))

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self.topLevelItemCount():
            painter = QPainter(self.viewport())
            painter.setPen(self._muted)
            place = self.viewport().rect().adjusted(12, 12, -12, -12)
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(place, int(flags), EMPTY)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        kinds = (QEvent.Type.StyleChange, QEvent.Type.FontChange)
        if event.type() in kinds and not self._is_fitting:
            self._is_fitting = True  # a new font is such a change as well
            self._letters.ensurePolished()
            font = self._letters.font()
            font.setPointSizeF(FONT * font.pointSizeF())
            self.setFont(font)
            self._fit()
            self._is_fitting = False

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Give the states the width they need, and the names the rest."""
        letters = self.fontMetrics()
        self.setMinimumHeight(LINES * (letters.lineSpacing() + 6))
        widths = (letters.horizontalAdvance(words) for words in self._states)
        self.setColumnWidth(1, max(widths) + 16)

    def _on_double_clicked(self, item: QTreeWidgetItem) -> None:
        if (number := self.indexOfTopLevelItem(item)) >= 0:
            self.chosen.emit(number)


class _Elision(QStyledItemDelegate):
    """Elides reasons at their end, and names in the middle."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        super().initStyleOption(option, index)
        if index.parent().isValid():
            option.textElideMode = Qt.TextElideMode.ElideRight
