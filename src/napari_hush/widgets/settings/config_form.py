"""A form for any configuration, one row per field, made from the configuration itself."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic_core import PydanticUndefined
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_hush.config.base import Frozen
from napari_hush.widgets.settings.fields import (
    LARGEST,
    ChoiceField,
    CountField,
    NumberField,
    PatchSizeField,
    ValuesField,
    bounds_of,
)
from napari_hush.widgets.settings.labels import CHOICES, UNITS, help_of, words_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pydantic.fields import FieldInfo


__all__ = ["ConfigForm"]

NARROWEST = 84
"""Pixels that a number needs beside its buttons."""


class ConfigForm(QWidget):
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


NAMES = frozenset({"name"})
"""The field by which kinds are told apart; it is chosen, not edited."""


class OneModelField(QWidget):
    """Edits a field of one of several kinds, told apart by their name."""

    valueChanged = Signal()

    def __init__(
        self, kinds: Sequence[type[Frozen]], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._forms = {_name_of(kind): _form(kind) for kind in kinds}
        self._kind = ChoiceField(list(self._forms))
        self._kind.setObjectName("kind")
        self._kind.setAccessibleName("Kind")
        layout = _column(self)
        layout.addWidget(self._kind)
        for form in self._forms.values():
            layout.addWidget(form)
            form.edited.connect(self.valueChanged)
        self._kind.valueChanged.connect(self._on_kind_changed)
        self._show_form()

    def value(self) -> dict[str, Any]:
        """The field as a dict."""
        name = self._kind.value()
        return {"name": name, **self._forms[name].value()}

    def setValue(self, value: dict[str, Any]) -> None:
        """Show `value`."""
        self._kind.setValue(value["name"])
        self._forms[value["name"]].setValue(value)

    def _on_kind_changed(self) -> None:
        self._show_form()
        self.valueChanged.emit()

    def _show_form(self) -> None:
        for name, form in self._forms.items():
            form.setVisible(name == self._kind.value() and not form.isEmpty())


class PlainModelField(QWidget):
    """Edits a field of one kind only."""

    valueChanged = Signal()

    def __init__(self, kind: type[Frozen], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._form = _form(kind, hidden=())
        _column(self).addWidget(self._form)
        self._form.edited.connect(self.valueChanged)

    def value(self) -> dict[str, Any]:
        """The field as a dict."""
        return self._form.value()

    def setValue(self, value: dict[str, Any]) -> None:
        """Show `value`."""
        self._form.setValue(value)


class OptionalModelField(QWidget):
    """Edits a field that may be None: a check box, and a form beneath it."""

    valueChanged = Signal()

    def __init__(self, kind: type[Frozen], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._on = QCheckBox("on")
        self._form = _form(kind)
        self._form.hide()
        layout = _column(self)
        layout.addWidget(self._on)
        layout.addWidget(self._form)
        self._on.toggled.connect(self._on_toggled)
        self._form.edited.connect(self.valueChanged)

    def value(self) -> dict[str, Any] | None:
        """The field as a dict, or None."""
        return self._form.value() if self._on.isChecked() else None

    def setValue(self, value: dict[str, Any] | None) -> None:
        """Show `value`."""
        if value is not None:
            self._form.setValue(value)
        self._on.setChecked(value is not None)

    def _on_toggled(self, on: bool) -> None:
        self._form.setVisible(on)
        self.valueChanged.emit()


class ModelsField(QWidget):
    """Edits a field of several kinds, each there or not."""

    valueChanged = Signal()

    def __init__(
        self, kinds: Sequence[type[Frozen]], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        layout = _column(self)
        self._parts: dict[str, tuple[QCheckBox, ConfigForm]] = {}
        for kind in kinds:
            name = _name_of(kind)
            check = QCheckBox(CHOICES.get(name, words_of(name)))
            check.setToolTip(str(kind.__doc__))
            form = _form(kind)
            form.hide()
            layout.addWidget(check)
            layout.addWidget(form)
            check.toggled.connect(form.setVisible)
            check.toggled.connect(lambda on: self.valueChanged.emit())
            form.edited.connect(self.valueChanged)
            self._parts[name] = check, form

    def value(self) -> tuple[dict[str, Any], ...]:
        """Those that are there, as dicts."""
        return tuple(
            {"name": name, **form.value()}
            for name, (check, form) in self._parts.items()
            if check.isChecked()
        )

    def setValue(self, value: Sequence[dict[str, Any]]) -> None:
        """Show `value`."""
        there = {part["name"]: part for part in value}
        for name, (check, form) in self._parts.items():
            if name in there:
                form.setValue(there[name])
            check.setChecked(name in there)


def _form(kind: type[Frozen], hidden: Collection[str] = NAMES) -> ConfigForm:
    from napari_hush.widgets.settings.config_form import (
        ConfigForm,  # forms hold fields hold forms
    )

    form = ConfigForm(kind, hidden=hidden)
    form.layout().setContentsMargins(10, 0, 0, 0)
    return form


def _column(widget: QWidget) -> QVBoxLayout:
    layout = QVBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    return layout


def _name_of(kind: type[Frozen]) -> str:
    return str(kind.model_fields["name"].default)


def editor_for(name: str, field: FieldInfo) -> QWidget:
    """Make the editor of a field: it has `value`, `setValue` and `valueChanged`."""
    annotation, optional = _without_none(field.annotation)
    origin = get_origin(annotation)
    if name == "patch_size":
        return PatchSizeField()
    if annotation is bool:
        return _Check()
    if origin is Literal:
        return ChoiceField(get_args(annotation))
    if annotation is int and bounds_of(field)[1] <= LARGEST:
        return _Count(name, field)
    if annotation is int:
        return NumberField(field)
    if annotation is float and not optional:
        return NumberField(field)
    if annotation is str:
        return _Text()
    models = _models_in(annotation)
    if models and origin is tuple:
        return ModelsField(models)
    if models and optional:
        return OptionalModelField(models[0])
    if models:
        return PlainModelField(*models) if len(models) == 1 else OneModelField(models)
    if origin is dict:
        return ValuesField({}, "none", "{%s}")
    if origin is tuple:
        return ValuesField(
            None if optional else (), "measured" if optional else "none", "[%s]"
        )
    return ValuesField(None, "none", "%s")


class _Check(QCheckBox):
    valueChanged = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.toggled.connect(lambda on: self.valueChanged.emit())

    def value(self) -> bool:
        return bool(self.isChecked())

    def setValue(self, value: bool) -> None:
        self.setChecked(value)


class _Text(QLineEdit):
    valueChanged = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.textChanged.connect(lambda text: self.valueChanged.emit())

    def value(self) -> str:
        return str(self.text())

    def setValue(self, value: str) -> None:
        if self.text() != value:
            self.setText(value)


class _Count(CountField):
    """A `CountField` whose value is the field's, None included."""

    def __init__(self, name: str, field: FieldInfo) -> None:
        if field.default is PydanticUndefined:
            field = field.merge_field_infos(field, default=1)
        super().__init__(name, field)
        if unit := UNITS.get(name):
            self.setSuffix(f" {unit}")

    def value(self) -> int | None:
        return self.count()

    def setValue(self, value: int | None) -> None:
        self.setCount(value)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """The type without None, and whether None was allowed."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        if len(parts) < len(get_args(annotation)):
            one = len(parts) == 1
            return (_without_none(parts[0])[0] if one else annotation), True
    return annotation, False


def _models_in(annotation: Any) -> tuple[type[Frozen], ...]:
    """Configurations that a type names: itself, a union's, a tuple's."""
    if isinstance(annotation, type) and issubclass(annotation, Frozen):
        return (annotation,)
    found: list[type[Frozen]] = []
    if get_origin(annotation) in (Annotated, Union, types.UnionType, tuple):
        for part in get_args(annotation):
            found.extend(_models_in(part))
    return tuple(found)
