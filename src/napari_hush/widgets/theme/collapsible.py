"""A heading that folds away what most people never touch."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import QSizePolicy, QWidget
from superqt import QCollapsible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Collapsible"]

CLOSED, OPEN = "▸", "▾"
NO_LIMIT = 2**24 - 1
"""Pixels; as high as Qt lets a widget be. PyQt has a name for it, PySide has none."""


class Collapsible(QCollapsible):
    """Folded at first; its content is made when it is first opened.

    Parameters
    ----------
    name : str
        Becomes the objectName of the heading, which people click.
    title : str
        What the heading says.
    build : callable
        Makes the content.
    parent : QWidget, optional
        As of every widget.
    """

    def __init__(
        self,
        name: str,
        title: str,
        build: Callable[[], QWidget],
        parent: QWidget | None = None,
    ) -> None:
        # Arrows are part of the text, which follows the theme; icons would not. None at
        # all is what superqt cannot bear with PySide 6.12, where an empty icon is false.
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
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.layout().setSpacing(0)  # a folded one takes no room beside its heading
        self.content().layout().setContentsMargins(0, 4, 0, 4)
        self.toggled.connect(self._on_toggled)
        self._say()

    # ---- Public API

    def built(self) -> None:
        """Make the content now, folded or not."""
        if self._build is not None:
            build, self._build = self._build, None
            # Not by addWidget: what is in here may grow later, and that would pin it.
            made = build()
            self.content().layout().addWidget(made)
            order_tabs(self.content(), after=self.toggleButton())

    def setTitle(self, title: str) -> None:
        """Have the heading say `title`."""
        self._title = title
        self.toggleButton().setAccessibleName(title)
        self._say()

    def title(self) -> str:
        """What the heading says."""
        return self._title

    # ---- Private API

    def _on_toggled(self, opened: bool) -> None:
        if opened:
            self.built()
            self.content().setMaximumHeight(NO_LIMIT)
        self._say()

    def _say(self) -> None:
        self.setText(f"{OPEN if self.isExpanded() else CLOSED} {self._title}")


def order_tabs(root: QWidget, after: QWidget | None = None) -> None:
    """Let the tab key go through what is in `root`, row by row.

    Parameters
    ----------
    root : QWidget
        With a layout; controls that are not in it keep their place.
    after : QWidget, optional
        Where to go on from, for a `root` that was made later than what surrounds it.
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
