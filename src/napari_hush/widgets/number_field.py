"""A number typed as people write it: 0.001 or 1e-3, or one too long for a spin box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLineEdit, QWidget

from napari_hush.widgets.styled import mark

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["NumberField"]


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
