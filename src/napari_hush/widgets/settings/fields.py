"""Editors of single values.

Each has ``value()``, ``setValue(value)`` and the signal ``valueChanged``, for the value of
the field as the configuration holds it, None included. `show_value` sets one silently.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QSignalBlocker, QSize, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLineEdit,
    QSizePolicy,
    QSpinBox,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolTip,
    QWidget,
)

from napari_hush.config.configuration import plain_values
from napari_hush.widgets.settings.labels import CHOICES, UNITS, help_of
from napari_hush.widgets.theme.widgets import mark

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from qtpy.QtGui import QPaintEvent, QWheelEvent

WIDEST = 190
"""Pixels that a chosen value may require."""
TEXT_MARGIN = 4
"""Pixels of the field of a combo box that its text leaves free."""
LARGEST = 2**31 - 1
"""Upper bound of a spin box, for fields without one."""


def show_value(field: Any, value: Any) -> None:
    """Show `value` in `field`, which does not emit `valueChanged`."""
    with QSignalBlocker(field):
        field.setValue(value)


class SpinBox(QSpinBox):
    """A spin box that ignores the wheel until it has the focus."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class CountField(SpinBox):
    """Edits an ``int`` or ``int | None`` field; None is shown as "automatic".

    `name` becomes the objectName.
    """

    EMPTY = "automatic"

    def __init__(self, name: str, field: FieldInfo, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setToolTip(help_of(name, field, self.EMPTY))
        lowest, highest = bounds_of(field)
        self._optional = field.default is None
        if self._optional:
            lowest -= 1  # the lowest value of the box stands for None
            self.setSpecialValueText(self.EMPTY)
        self.setRange(lowest, highest)
        self.setGroupSeparatorShown(True)
        if unit := UNITS.get(name):
            self.setSuffix(f" {unit}")
        if not field.is_required():
            self.setValue(field.default)

    def value(self) -> int | None:
        """The number; None where the box shows "automatic"."""
        shown = int(super().value())
        return None if self._optional and shown == self.minimum() else shown

    def setValue(self, value: float | None) -> None:
        """Show `value`; None only if the field may be None; fractions are only shown."""
        if self._optional:
            part = isinstance(value, float)
            self.setSpecialValueText(f"{value:g} of all" if part else self.EMPTY)
        super().setValue(value if isinstance(value, int) else self.minimum())


def bounds_of(field: FieldInfo) -> tuple[int, int]:
    """Lowest and highest allowed value, from the constraints of the field."""
    lowest, highest = 0, LARGEST
    for constraint in field.metadata:
        lowest = getattr(constraint, "ge", lowest)
        lowest = getattr(constraint, "gt", lowest - 1) + 1
        highest = getattr(constraint, "le", highest)
        highest = getattr(constraint, "lt", highest + 1) - 1
    return lowest, highest


class ComboBox(QComboBox):
    """A combo box no wider than the dock, which elides texts that are longer.

    The wheel scrolls the dock, not the choice.
    """

    def __init__(self, least_width: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(least_width)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        if self.currentIndex() < 0:
            option.currentText = self.placeholderText()
        place = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            self,
        )
        elide, width = Qt.TextElideMode.ElideRight, place.width() - TEXT_MARGIN
        option.currentText = option.fontMetrics.elidedText(option.currentText, elide, width)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and self.currentText():
            QToolTip.showText(
                event.globalPos(), f"{self.currentText()}\n{self.toolTip()}", self
            )
            return True
        return bool(super().event(event))


class ChoiceField(ComboBox):
    """Edits a field with few values."""

    valueChanged = Signal()

    def __init__(self, values: Sequence[Any], parent: QWidget | None = None) -> None:
        super().__init__(60, parent)
        self._values = list(values)
        self.addItems([CHOICES.get(str(value), str(value)) for value in values])
        self.currentIndexChanged.connect(lambda index: self.valueChanged.emit())

    def minimumSizeHint(self) -> QSize:
        """As wide as the longest value, up to `WIDEST`."""
        hint = self.sizeHint()
        return QSize(min(hint.width(), WIDEST), hint.height())

    def value(self) -> Any:
        """The chosen value; None if none is."""
        return None if self.currentIndex() < 0 else self._values[self.currentIndex()]

    def setValue(self, value: Any) -> None:
        """Choose `value`, one of the values, or show the placeholder for None."""
        self.setCurrentIndex(-1 if value is None else self._values.index(value))


class CheckField(QCheckBox):
    """Edits a ``bool`` field."""

    valueChanged = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.toggled.connect(lambda on: self.valueChanged.emit())

    def value(self) -> bool:
        """Whether it is checked."""
        return bool(self.isChecked())

    def setValue(self, value: bool) -> None:
        """Check it or not."""
        self.setChecked(value)


class TextField(QLineEdit):
    """Edits a ``str`` field."""

    valueChanged = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.textChanged.connect(lambda text: self.valueChanged.emit())

    def value(self) -> str:
        """The text."""
        return str(self.text())

    def setValue(self, value: str) -> None:
        """Show `value`; the cursor stays where it is if it is shown already."""
        if self.text() != value:
            self.setText(value)


class NumberField(QLineEdit):
    """Edits a ``float`` or ``int`` field; marked while the number is out of bounds."""

    valueChanged = Signal()

    def __init__(self, field: FieldInfo, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._field = field
        self._type = int if field.annotation is int else float
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.textChanged.connect(self._on_text_changed)

    def value(self) -> Any:
        """The number, or the text if it is none, which the configuration refuses."""
        text = str(self.text()).strip().replace(",", ".")
        try:
            return self._type(text)
        except ValueError:
            return text

    def setValue(self, value: Any) -> None:
        """Show `value`."""
        if self.value() != value:
            self.setText(f"{value:.12g}" if isinstance(value, float) else str(value))

    def _on_text_changed(self) -> None:
        mark(self, "wrong", not self._is_allowed())
        self.valueChanged.emit()

    def _is_allowed(self) -> bool:
        number = self.value()
        return isinstance(number, self._type) and all(
            getattr(operator, name)(number, getattr(constraint, name))
            for constraint in self._field.metadata
            for name in ("ge", "gt", "le", "lt")
            if hasattr(constraint, name)
        )


class ValuesField(QLineEdit):
    """Edits a field as YAML on one line, such as ``1.5, 2`` or ``momentum: 0.9``.

    An empty line means `empty` and shows `hint`. `brackets` make the line YAML: ``"[%s]"``
    for lists, ``"{%s}"`` for mappings, ``"%s"`` for anything else.
    """

    valueChanged = Signal()

    def __init__(
        self, empty: Any, hint: str, brackets: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._brackets = brackets
        self._empty = empty
        self.setPlaceholderText(hint)
        self.textChanged.connect(lambda text: self.valueChanged.emit())

    def value(self) -> Any:
        """The parsed line; the text if it is not YAML, which the configuration refuses."""
        text = str(self.text()).strip()
        try:
            return plain_values((self._brackets % text).encode()) if text else self._empty
        except ValueError:
            return text

    def setValue(self, value: Any) -> None:
        """Show `value`; text that means the same stays as it was typed."""
        if _listed(self.value()) == _listed(value):
            return
        if value == self._empty:
            self.setText("")
        elif isinstance(value, dict):
            self.setText(", ".join(f"{name}: {part}" for name, part in value.items()))
        elif isinstance(value, list | tuple):
            text = str(_listed(value))
            self.setText(text if self._brackets == "%s" else text[1:-1])
        else:
            self.setText(str(value))


def _listed(value: Any) -> Any:
    """Tuples as lists, at any depth."""
    if isinstance(value, list | tuple):
        return [_listed(part) for part in value]
    return value
