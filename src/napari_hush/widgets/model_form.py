"""A form for any configuration, one row per field, made from the configuration itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from napari_hush.widgets.field_editors import editor_for
from napari_hush.widgets.words import help_of, words_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari_hush.config.base import Frozen

__all__ = ["ModelForm"]
NARROWEST = 84
"""Pixels that a number needs beside its buttons."""


class ModelForm(QWidget):
    """Edits the fields of a configuration; each row has a button back to the default.

    Parameters
    ----------
    kind : type of Frozen
        The configuration.
    only : collection of str, optional
        The fields to show; all by default.
    hidden : collection of str
        Fields not to show.
    parent : QWidget, optional
        As of every widget.
    """

    edited = Signal()
    """A field was edited, by a person or by a reset."""

    def __init__(
        self,
        kind: type[Frozen],
        only: Collection[str] | None = None,
        hidden: Collection[str] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        names = [n for n in kind.model_fields if n not in hidden]
        self._names = [n for n in names if only is None or n in only]
        self._fields = {name: kind.model_fields[name] for name in self._names}
        self._editors: dict[str, Any] = {}
        self._resets: dict[str, QToolButton] = {}
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(8)
        layout.setVerticalSpacing(4)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        for name in self._names:
            self._add_row(layout, name)
        self._show_resets()

    # ---- Public API

    def isEmpty(self) -> bool:
        """Whether there is no row."""
        return not self._names

    def value(self) -> dict[str, Any]:
        """The fields as they stand, right or wrong."""
        return {name: editor.value() for name, editor in self._editors.items()}

    def setValue(self, values: dict[str, Any]) -> None:
        """Show `values`; fields that are not shown here are passed over."""
        for name, editor in self._editors.items():
            if name in values:
                with QSignalBlocker(editor):
                    editor.setValue(values[name])
        self._show_resets()

    def reset(self) -> None:
        """Bring all fields back to their defaults."""
        self.setValue({name: self._default(name) for name in self._names})
        self.edited.emit()

    # ---- Private API

    def _add_row(self, layout: QFormLayout, name: str) -> None:
        editor: Any = editor_for(name, self._fields[name])
        words, tip = words_of(name), help_of(name, self._fields[name])
        editor.setObjectName(f"all_{name}")
        editor.setAccessibleName(words)
        editor.setToolTip(tip)
        with QSignalBlocker(editor):
            editor.setValue(self._default(name))
        label = QLabel(words)
        label.setToolTip(tip)
        label.setBuddy(editor)
        reset = QToolButton()
        reset.setText("↺")
        reset.setAutoRaise(True)
        reset.setObjectName(f"reset_{name}")
        reset.setAccessibleName(f"Reset {words}")
        reset.setToolTip("Back to the default.")
        keeping = reset.sizePolicy()  # rows keep their width when it hides
        keeping.setRetainSizeWhenHidden(True)
        reset.setSizePolicy(keeping)
        row = QHBoxLayout()
        row.setSpacing(2)
        # A spin box asks for the room of its largest number, a line for a whole sentence.
        plain = isinstance(editor, QAbstractSpinBox | QLineEdit)
        editor.setSizePolicy(
            QSizePolicy.Policy.Ignored if plain else QSizePolicy.Policy.Expanding,
            editor.sizePolicy().verticalPolicy(),
        )
        if plain:
            editor.setMinimumWidth(NARROWEST)
        row.addWidget(editor, 1)
        row.addWidget(reset)
        layout.addRow(label, row)
        self._editors[name], self._resets[name] = editor, reset
        editor.valueChanged.connect(self._on_edited)
        reset.clicked.connect(lambda: self._reset(name))

    def _default(self, name: str) -> Any:
        field = self._fields[name]
        if field.is_required():
            return {"threshold": 0.0}.get(name, 1)
        default = field.get_default(call_default_factory=True)
        return _plain(default)

    def _reset(self, name: str) -> None:
        self._editors[name].setValue(self._default(name))

    def _on_edited(self) -> None:
        self._show_resets()
        self.edited.emit()

    def _show_resets(self) -> None:
        for name, editor in self._editors.items():
            changed = editor.value() != self._default(name)
            self._resets[name].setVisible(changed)


def _plain(value: Any) -> Any:
    """Configurations as dicts, also inside a tuple."""
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if isinstance(value, tuple):
        return tuple(_plain(part) for part in value)
    return value
