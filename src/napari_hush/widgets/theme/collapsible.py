"""A section that collapses under its heading, and the order of the Tab key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QPixmap, QResizeEvent
from qtpy.QtWidgets import QSizePolicy, QWidget
from superqt import QCollapsible

from napari_hush.widgets.theme.help import HelpButton
from napari_hush.widgets.theme.widgets import elide, row

HEADING_MARGIN = 8
"""Pixels of a heading beside its text."""
CLOSED, OPEN = "▸", "▾"
NO_LIMIT = 2**24 - 1
"""Largest height of a widget (QWIDGETSIZE_MAX, which PySide does not name), in pixels."""


class Collapsible(QCollapsible):
    """Collapsed at first; `build` makes the content when it is first expanded.

    `name` is the objectName of the heading, `help` the section of its help, if any.
    """

    def __init__(
        self,
        name: str,
        title: str,
        build: Callable[[], QWidget],
        parent: QWidget | None = None,
        *,
        help: str = "",
    ) -> None:
        # Arrows are part of the text, which follows the theme; icons do not. superqt
        # fails without an icon on PySide 6.12, where an empty icon is false.
        nothing = QPixmap(1, 1)
        nothing.fill(Qt.GlobalColor.transparent)
        icon = QIcon(nothing)
        super().__init__("", parent, expandedIcon=icon, collapsedIcon=icon)
        self._title = title
        self._build: Callable[[], QWidget] | None = build
        self.setDuration(0)
        heading = self.toggleButton()
        heading.setObjectName(name)
        heading.setIconSize(QSize(0, 0))
        heading.setStyleSheet("")
        heading.setProperty("role", "heading")
        heading.setAccessibleName(title)
        heading.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        heading.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        elide(heading, margin=8)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.layout().setSpacing(0)
        self._help = HelpButton(help) if help else None
        if self._help is not None:
            top = row()
            top.addWidget(heading, 1)
            top.addWidget(self._help)
            self.layout().insertLayout(0, top)
        self.content().layout().setContentsMargins(0, 4, 0, 4)
        self.toggled.connect(self._on_toggled)
        self._show_title()

    def built(self) -> None:
        """Make the content now."""
        if self._build is not None:
            build, self._build = self._build, None
            # Not with addContent: it fixes the height, and the content may grow.
            self.content().layout().addWidget(build())
            order_tabs(self.content(), after=self._help or self.toggleButton())

    def setTitle(self, title: str) -> None:
        """Show `title` in the heading."""
        self._title = title
        self.toggleButton().setAccessibleName(title)
        self._show_title()

    def _on_toggled(self, opened: bool) -> None:
        if opened:
            self.built()
            self.content().setMaximumHeight(NO_LIMIT)
        self._show_title()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_title()

    def _show_title(self) -> None:
        """Show as much of the title as there is room for."""
        text = f"{OPEN if self.isExpanded() else CLOSED} {self._title}"
        heading = self.toggleButton()
        room = heading.width() - HEADING_MARGIN
        elide = Qt.TextElideMode.ElideRight
        shown = heading.fontMetrics().elidedText(text, elide, room)
        self.setText(shown if self.isVisible() else text)
        heading.setToolTip(self._title if shown != text else "")


def order_tabs(root: QWidget, after: QWidget | None = None) -> None:
    """Let the Tab key visit the controls in the layout of `root` row by row.

    `after` is the control before them, for a `root` that is made later than its parent.
    """
    first = [] if after is None else [after]
    for one, following in pairwise([*first, *_stops(root)]):
        QWidget.setTabOrder(one, following)


def _stops(widget: QWidget) -> Iterator[QWidget]:
    if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.focusProxy() is None:
        yield widget
    yield from _inside(widget.layout())


def _inside(layout: Any) -> Iterator[QWidget]:
    for number in range(0 if layout is None else layout.count()):
        item = layout.itemAt(number)
        if item.widget() is not None:
            yield from _stops(item.widget())
        else:
            yield from _inside(item.layout())
