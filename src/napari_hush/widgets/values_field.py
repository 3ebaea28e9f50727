"""A value, a list or a mapping of plain values, typed in one line."""

from __future__ import annotations

from typing import Any

import yaml
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLineEdit, QWidget

__all__ = ["ValuesField"]


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
