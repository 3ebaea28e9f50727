"""Widgets and layouts with one look, made in one line by all panels."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import (
    QBoxLayout,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QStyleOptionButton,
    QStylePainter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent

Layout = TypeVar("Layout", bound=QBoxLayout)


def row(parent: QWidget | None = None, spacing: int = 6) -> QHBoxLayout:
    """Widgets side by side, without margins."""
    return _without_margins(QHBoxLayout(parent), spacing)


def column(parent: QWidget | None = None, spacing: int = 4) -> QVBoxLayout:
    """Widgets one below the other, without margins."""
    return _without_margins(QVBoxLayout(parent), spacing)


def form(parent: QWidget | None = None) -> QFormLayout:
    """Rows of a label and a field, which takes the width that is left."""
    layout = QFormLayout(parent)
    layout.setHorizontalSpacing(10)
    layout.setVerticalSpacing(6)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
    return layout


def push_button(name: str, text: str, tip: str = "") -> QPushButton:
    """A button with the objectName `name`."""
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    elide(button)
    return button


def elide(button: QPushButton, margin: int = 0) -> None:
    """Let `button` elide its text where it is narrow; Qt would cut it.

    `margin` are the pixels beside the text that its style leaves free.
    """
    button.installEventFilter(_Elider(button, margin))


class _Elider(QObject):
    def __init__(self, button: QPushButton, margin: int) -> None:
        super().__init__(button)
        self._margin = margin

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() != QEvent.Type.Paint:
            return False
        option = QStyleOptionButton()
        watched.initStyleOption(option)
        contents = QStyle.SubElement.SE_PushButtonContents
        space = watched.style().subElementRect(contents, option, watched).width()
        right = Qt.TextElideMode.ElideRight
        option.text = option.fontMetrics.elidedText(
            option.text, right, space - self._margin
        )
        QStylePainter(watched).drawControl(QStyle.ControlElement.CE_PushButton, option)
        return True


def small_button(name: str, text: str, tip: str) -> QToolButton:
    """A small button that the Tab key reaches."""
    button = QToolButton()
    button.setObjectName(name)
    button.setText(text)
    button.setToolTip(tip)
    button.setProperty("role", "small")
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return button


def quiet_label(name: str) -> QElidingLabel:
    """One muted line, elided where the dock is narrow."""
    label = QElidingLabel()
    label.setObjectName(name)
    label.setProperty("role", "quiet")
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return label


class WrappedLabel(QLabel):
    """A text that wraps and is never truncated, whatever its length, width and font.

    `name` is the objectName. Layouts give a plain QLabel less height than its text needs.
    """

    def __init__(self, name: str, text: str = "", role: str = "") -> None:
        super().__init__(text)
        self.setObjectName(name)
        self.setWordWrap(True)
        self.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        if role:
            self.setProperty("role", role)

    def setText(self, text: str) -> None:
        if text != self.text():
            super().setText(text)
            self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def _fit(self) -> None:
        self.setMinimumHeight(0)  # part of the height for a width, which would never fall
        if self.text():
            self.setMinimumHeight(self.heightForWidth(self.width()))


def show_text(label: QElidingLabel, text: str) -> None:
    """Show `text`, and all of it in the tool tip."""
    if label.text() != text:
        label.setText(text)
        label.setToolTip(text)


def mark(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the stylesheet depends on, and apply the stylesheet again."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


class Rule(QFrame):
    """A horizontal line, one pixel thick."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(1)
        self.setProperty("role", "line")


def scrolled(name: str, widget: QWidget) -> QScrollArea:
    """`widget` in an area, with the objectName `name`, that scrolls up and down."""
    area = QScrollArea()
    area.setObjectName(name)
    area.setWidgetResizable(True)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(widget)
    return area


def _without_margins(layout: Layout, spacing: int) -> Layout:
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    return layout
