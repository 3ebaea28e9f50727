"""A whole number of the configuration, with its bounds, default and help from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QLineEdit, QSizePolicy, QSpinBox, QVBoxLayout, QWidget

from napari_hush.config import DataConfig
from napari_hush.widgets.settings.labels import CHOICES
from napari_hush.widgets.theme.theme import mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic.fields import FieldInfo
    from qtpy.QtGui import QWheelEvent

__all__ = ["LARGEST", "CountField", "bounds_of"]


class SpinBox(QSpinBox):
    """Turns with the wheel only after it has been clicked into."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


LARGEST = 2**31 - 1
"""What a spin box can hold, for fields without an upper bound."""


class CountField(SpinBox):
    """Edits one ``int`` or ``int | None`` field; None is shown as "automatic".

    Parameters
    ----------
    name : str
        The field's name, which becomes the objectName.
    field : FieldInfo
        The field, from ``model_fields`` of its configuration.
    parent : QWidget, optional
        As of every widget.
    """

    def __init__(self, name: str, field: FieldInfo, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setToolTip(f"{field.description}\n({name})")
        lowest, highest = bounds_of(field)
        self._optional = field.default is None
        if self._optional:
            lowest -= 1  # the box's lowest value stands for None
            self.setSpecialValueText("automatic")
        self.setRange(lowest, highest)
        self.setGroupSeparatorShown(True)
        self.setCount(field.default)

    def count(self) -> int | None:
        """The field's value; None if the box shows "automatic"."""
        shown = int(QSpinBox.value(self))
        return None if self._optional and shown == self.minimum() else shown

    def setCount(self, count: int | None) -> None:
        """Show `count`; None only if the field may be None."""
        QSpinBox.setValue(self, self.minimum() if count is None else count)


def bounds_of(field: FieldInfo) -> tuple[int, int]:
    """Lowest and highest value, from the constraints that pydantic keeps in `metadata`."""
    lowest, highest = 0, LARGEST
    for constraint in field.metadata:
        lowest = getattr(constraint, "ge", lowest)
        lowest = getattr(constraint, "gt", lowest - 1) + 1
        highest = getattr(constraint, "le", highest)
        highest = getattr(constraint, "lt", highest + 1) - 1
    return lowest, highest


class ChoiceField(QComboBox):
    """Edits a field of few values; the wheel scrolls the dock, not the choice."""

    valueChanged = Signal()

    def __init__(self, values: Sequence[Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values = list(values)
        self.addItems([CHOICES.get(str(value), str(value)) for value in values])
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(60)
        self.currentIndexChanged.connect(lambda index: self.valueChanged.emit())

    def value(self) -> Any:
        """The chosen value."""
        return self._values[self.currentIndex()]

    def setValue(self, value: Any) -> None:
        """Choose `value`, one of the values."""
        self.setCurrentIndex(self._values.index(value))

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class NumberField(QLineEdit):
    """Edits one ``float`` or ``int`` field; its look says when it is out of bounds."""

    valueChanged = Signal()

    def __init__(self, field: FieldInfo, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._field = field
        self._type = int if field.annotation is int else float
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.textChanged.connect(self._on_text_changed)

    def value(self) -> Any:
        """The number; the text itself where it is none, for the configuration to refuse."""
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
        if not isinstance(number, self._type):
            return False
        tests = {
            "ge": lambda bound: number >= bound,
            "gt": lambda bound: number > bound,
            "le": lambda bound: number <= bound,
            "lt": lambda bound: number < bound,
        }
        return all(
            test(getattr(constraint, name))
            for constraint in self._field.metadata
            for name, test in tests.items()
            if hasattr(constraint, name)
        )


class ValuesField(QLineEdit):
    """Edits a field as YAML in one line, such as ``1.5, 2`` or ``momentum: 0.9``.

    Parameters
    ----------
    empty : object
        The value that an empty line stands for.
    hint : str
        What an empty line shows.
    brackets : str
        What the line is put in to be YAML: ``"[%s]"`` for lists, ``"{%s}"`` for mappings,
        ``"%s"`` for anything that brings its own.
    parent : QWidget, optional
        As of every widget.
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
        """What the line says; the text itself where that is nothing in particular."""
        text = str(self.text()).strip()
        if not text:
            return self._empty
        try:
            return yaml.safe_load(self._brackets % text)
        except yaml.YAMLError:
            return text

    def setValue(self, value: Any) -> None:
        """Show `value`; what is being typed stays as it is while it means the same."""
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


LARGEST_PATCH = 4096
"""Pixels along one side; more fits no memory."""
DEFAULT_Z = 16
"""Planes of a patch when the axes gain a Z; few volumes are deeper than a few dozen."""


class PatchSizeField(QWidget):
    """Edits ``patch_size``: ``(Y, X)``, or ``(Z, Y, X)`` when the axes have a Z."""

    valueChanged = Signal(tuple)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lateral: tuple[int, ...] = ()

        # ---- widgets
        self.setObjectName("patch_size")
        field = DataConfig.model_fields["patch_size"]
        self.setToolTip(f"{field.description}\n(patch_size)")
        self._z = SpinBox()
        self._z.setObjectName("patch_size_z")
        self._z.setAccessibleName("Patch size along Z")
        self._z.setSuffix(" px in Z")
        self._yx = SpinBox()
        self._yx.setObjectName("patch_size_yx")
        self._yx.setAccessibleName("Patch size along Y and X")
        self._yx.setSuffix(" px")
        self.setStep(2)

        # ---- layout
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._yx)
        layout.addWidget(self._z)

        # ---- connections
        self._yx.valueChanged.connect(self._on_lateral_edited)
        self._z.valueChanged.connect(self._emit)

        self._z.setValue(DEFAULT_Z)
        self.setValue(field.default)

    # ---- Public API

    def value(self) -> tuple[int, ...]:
        """Sizes in pixels, ``(Y, X)`` or ``(Z, Y, X)``."""
        depth = () if self._z.isHidden() else (int(self._z.value()),)
        return (*depth, *self._lateral)

    def setValue(self, size: tuple[int, ...]) -> None:
        """Show `size`, ``(Y, X)`` or ``(Z, Y, X)`` in pixels, equal sides or not."""
        self.setVolumes(len(size) == 3)
        if len(size) == 3:
            self._z.setValue(size[0])
        self._set_lateral(tuple(size[-2:]))

    def setVolumes(self, volumes: bool) -> None:
        """Show or hide the number for Z."""
        if volumes == self._z.isHidden():
            self._z.setVisible(volumes)
            self._emit()

    def setStep(self, step: int) -> None:
        """Let sizes be multiples of `step`, what the network halves evenly."""
        for box in (self._z, self._yx):
            box.setRange(
                2 * step, LARGEST_PATCH
            )  # below, the deepest level is a single pixel
            box.setSingleStep(4 * step)
        self._z.setSingleStep(step)

    # ---- Private API

    def _on_lateral_edited(self, side: int) -> None:
        self._set_lateral((side, side))

    def _set_lateral(self, lateral: tuple[int, ...]) -> None:
        height, width = lateral
        if lateral == self._lateral:
            return
        self._lateral = lateral
        self._yx.blockSignals(True)
        self._yx.setValue(width)
        # One number edits both sides; unequal ones, from a file, are shown and kept.
        self._yx.setPrefix("" if height == width else f"{height} × ")
        self._yx.blockSignals(False)
        self._emit()

    def _emit(self) -> None:
        self.valueChanged.emit(self.value())
