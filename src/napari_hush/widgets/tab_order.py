"""The order in which the tab key goes through controls: that of their layouts."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["order_tabs"]


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
