"""Help on the sections of the docks: a small button for each, and its text."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QApplication, QDialog, QTextBrowser, QToolButton, QWidget

from napari_hush.widgets.theme.widgets import column

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

COLUMNS = 52
"""Width of the text in characters."""
INDENT = 20
"""Indent of lists in pixels."""


@cache
def help_texts() -> dict[str, tuple[str, str]]:
    """Title and Markdown text by section, from help.md beside this module."""
    page = files(__package__).joinpath("help.md").read_text(encoding="utf-8")
    parts = re.split(r"^# (\w+): (.+)$", page, flags=re.MULTILINE)[1:]
    return {
        section: (title, text.strip())
        for section, title, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    }


class HelpButton(QToolButton):
    """Opens the help on a section of `help_texts`, and closes it.

    Its objectName is ``help_`` and the section.
    """

    def __init__(self, section: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        title, self._text = help_texts()[section]
        self._title = f"Help: {title}"
        self._window: HelpWindow | None = None
        self.setObjectName(f"help_{section}")
        self.setText("?")
        self.setToolTip(f"{self._title} (F1)")
        self.setAccessibleName(self._title)
        self.setProperty("role", "help")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.clicked.connect(self._on_clicked)

    def _on_clicked(self) -> None:
        if self._window is None:
            self._window = HelpWindow(self._title, self._text, self)
        opened = self._window.isVisible()
        for other in self.window().findChildren(HelpWindow):
            other.close()
        if not opened:
            self._window.openBeside(self)


class HelpWindow(QDialog):
    """A text in a separate window, which Esc closes."""

    def __init__(self, title: str, text: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setObjectName("help_window")
        self._page = QTextBrowser()
        self._page.setObjectName("help_text")
        self._page.setOpenExternalLinks(True)
        self._page.document().setIndentWidth(INDENT)
        self._page.setMarkdown(f"### {title.partition(': ')[2]}\n\n{text}")
        layout = column(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(self._page)

    def openBeside(self, widget: QWidget) -> None:
        """Open left of the window's dock with `widget`, or where there is room."""
        self.show()
        screen = widget.screen().availableGeometry()
        place = widget.mapToGlobal(QPoint(0, 0))
        left = place.x() - self.width() - 24
        if left < screen.left():
            left = min(place.x() + widget.width() + 24, screen.right() - self.width())
        top = min(place.y(), screen.bottom() - self.height())
        self.move(max(left, screen.left()), max(top, screen.top()))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.ensurePolished()  # otherwise it does not have the theme's font yet
        document, screen = self._page.document(), self.screen().availableGeometry()
        margin = self._page.frameWidth() * 2 + 16
        width = COLUMNS * self._page.fontMetrics().averageCharWidth()
        document.setTextWidth(width)
        height = round(document.size().height())
        self.resize(
            min(width + margin + 16, screen.width()),
            min(height + margin + 16, round(0.9 * screen.height())),
        )


def add_help_key(dock: QWidget) -> None:
    """Let F1 open the help of the section of `dock` that has the focus."""
    shortcut = QShortcut(QKeySequence(Qt.Key.Key_F1), dock)
    shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
    shortcut.activated.connect(lambda: _open_help(dock))


def _open_help(dock: QWidget) -> None:
    """Click the nearest help button above the focus, in the smallest part that has one."""
    focus = QApplication.focusWidget() or dock
    widget = focus
    while not (found := _buttons(widget)) and widget is not dock:
        widget = widget.parentWidget()
    if not found:
        return
    bottom = focus.mapToGlobal(focus.rect().bottomLeft()).y()
    height = {one: one.mapToGlobal(QPoint(0, 0)).y() for one in found}
    above = [one for one in found if height[one] <= bottom]
    (max(above, key=height.__getitem__) if above else found[0]).click()


def _buttons(widget: QWidget) -> list[HelpButton]:
    inside = widget.findChildren(HelpButton)
    return [one for one in inside if one.isVisible() and one.isEnabled()]
