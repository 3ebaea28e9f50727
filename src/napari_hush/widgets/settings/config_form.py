"""A form for any configuration: a row per field, and forms within for nested ones.

Forms and editors share one contract: ``value()``, ``setValue(value)``, ``valueChanged``.
Nested configurations are dicts in values, as in ``model_dump()``.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from qtpy.QtCore import QEvent, QTimer, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from napari_hush.config.base import Frozen
from napari_hush.widgets.settings.fields import (
    LARGEST,
    CheckField,
    ChoiceField,
    CountField,
    NumberField,
    TextField,
    ValuesField,
    bounds_of,
    show_value,
)
from napari_hush.widgets.settings.labels import CHOICES, help_of, words_of
from napari_hush.widgets.settings.patch_size_field import PatchSizeField
from napari_hush.widgets.theme.widgets import column, form, row

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

NARROWEST = 84
"""Least width of a line or spin box in pixels."""
INDENT = 10
"""Pixels by which nested forms are indented."""


class ConfigForm(QWidget):
    """Edits the fields `only` (or all) of a configuration; each row has a reset button."""

    valueChanged = Signal()
    """A field was edited or reset by a person."""

    def __init__(
        self,
        kind: type[Frozen],
        only: Collection[str] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._fields = {
            name: field
            for name, field in kind.model_fields.items()
            if only is None or name in only
        }
        self.is_empty = not self._fields
        self._editors: dict[str, Any] = {}
        self._resets: dict[str, QToolButton] = {}
        layout = form(self)
        layout.setContentsMargins(INDENT, 0, 0, 0)
        layout.setHorizontalSpacing(8)
        layout.setVerticalSpacing(4)
        layout.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        for name in self._fields:
            self._add_row(layout, name)
        self._show_resets()

    def value(self) -> dict[str, Any]:
        """The fields as shown, valid or not."""
        return {name: editor.value() for name, editor in self._editors.items()}

    def setValue(self, values: dict[str, Any]) -> None:
        """Show `values`; names without a row are ignored."""
        for name, editor in self._editors.items():
            if name in values:
                show_value(editor, values[name])
        self._show_resets()

    def event(self, event: QEvent) -> bool:
        done = bool(super().event(event))
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            QTimer.singleShot(0, self._lay_out_again)  # once the editors have it, too
        if event.type() in (QEvent.Type.Resize, QEvent.Type.LayoutRequest):
            # Layouts around it give it the height of rows that are not wrapped.
            height = self.layout().heightForWidth(self.width())
            if height != self.minimumHeight():
                self.setMinimumHeight(height)
        return done

    def _lay_out_again(self) -> None:
        for editor in self._editors.values():
            editor.updateGeometry()

    def _add_row(self, layout: QFormLayout, name: str) -> None:
        words, editor = words_of(name), editor_for(name, self._fields[name])
        tip = help_of(name, self._fields[name], getattr(editor, "EMPTY", "empty"))
        editor.setObjectName(f"all_{name}")
        editor.setAccessibleName(words)
        editor.setToolTip(tip)
        show_value(editor, self._default(name))
        # Spin boxes would be as wide as their largest number, lines as a sentence.
        plain = isinstance(editor, QAbstractSpinBox | QLineEdit)
        editor.setSizePolicy(
            QSizePolicy.Policy.Ignored if plain else QSizePolicy.Policy.Expanding,
            editor.sizePolicy().verticalPolicy(),
        )
        editor.setMinimumWidth(NARROWEST if plain else 0)
        label = QLabel(words)
        label.setToolTip(tip)
        label.setBuddy(editor)
        reset = _reset_button(name, words)
        line = row(spacing=2)
        line.addWidget(editor, 1)
        line.addWidget(reset)
        if isinstance(editor, ConfigForm | UnionForm | OptionalForm | SubsetForm):
            layout.addRow(label)  # nested forms need the whole width
            layout.addRow(line)
        else:
            layout.addRow(label, line)
        self._editors[name], self._resets[name] = editor, reset
        editor.valueChanged.connect(self._on_edited)
        reset.clicked.connect(lambda: editor.setValue(self._default(name)))

    def _default(self, name: str) -> Any:
        field = self._fields[name]
        if field.is_required():
            return {"threshold": 0.0}.get(name, 1)
        return _as_dicts(field.get_default(call_default_factory=True))

    def _on_edited(self) -> None:
        self._show_resets()
        self.valueChanged.emit()

    def _show_resets(self) -> None:
        for name, editor in self._editors.items():
            self._resets[name].setVisible(editor.value() != self._default(name))


def _reset_button(name: str, words: str) -> QToolButton:
    button = QToolButton()
    button.setText("↺")
    button.setAutoRaise(True)
    button.setObjectName(f"reset_{name}")
    button.setAccessibleName(f"Reset {words}")
    button.setToolTip("Reset to the default.")
    policy = button.sizePolicy()  # rows keep their width when it hides
    policy.setRetainSizeWhenHidden(True)
    button.setSizePolicy(policy)
    return button


def _as_dicts(value: Any) -> Any:
    """Configurations as dicts, also inside a tuple."""
    if isinstance(value, Frozen):
        return value.model_dump()
    if isinstance(value, tuple):
        return tuple(_as_dicts(part) for part in value)
    return value


# ---- Editors of nested configurations. Their field `name` is chosen, not edited.


class UnionForm(QWidget):
    """Edits a field that is one of several configurations."""

    valueChanged = Signal()

    def __init__(self, kinds: Sequence[type[Frozen]]) -> None:
        super().__init__()
        self._forms = _forms_by_name(kinds)
        self._kind = ChoiceField(list(self._forms))
        self._kind.setObjectName("kind")
        self._kind.setAccessibleName("Kind")
        layout = column(self)
        layout.addWidget(self._kind)
        for one in self._forms.values():
            layout.addWidget(one)
            one.valueChanged.connect(self.valueChanged)
        self._kind.valueChanged.connect(self._on_kind_changed)
        self._show_form()

    def value(self) -> dict[str, Any]:
        """The configuration as a dict."""
        name = self._kind.value()
        return {"name": name, **self._forms[name].value()}

    def setValue(self, value: dict[str, Any]) -> None:
        """Show the configuration `value`."""
        self._kind.setValue(value["name"])
        self._forms[value["name"]].setValue(value)

    def _on_kind_changed(self) -> None:
        self._show_form()
        self.valueChanged.emit()

    def _show_form(self) -> None:
        for name, one in self._forms.items():
            one.setVisible(name == self._kind.value() and not one.is_empty)


class OptionalForm(QWidget):
    """Edits a field that is a configuration or None, with a check box."""

    valueChanged = Signal()

    def __init__(self, kind: type[Frozen]) -> None:
        super().__init__()
        self._on = QCheckBox("on")
        self._form = _without_name(kind)
        self._form.hide()
        layout = column(self)
        layout.addWidget(self._on)
        layout.addWidget(self._form)
        self._on.toggled.connect(self._form.setVisible)
        self._on.toggled.connect(lambda on: self.valueChanged.emit())
        self._form.valueChanged.connect(self.valueChanged)

    def value(self) -> dict[str, Any] | None:
        """The configuration as a dict, or None."""
        return self._form.value() if self._on.isChecked() else None

    def setValue(self, value: dict[str, Any] | None) -> None:
        """Show the configuration `value`."""
        if value is not None:
            self._form.setValue(value)
        self._on.setChecked(value is not None)


class SubsetForm(QWidget):
    """Edits a tuple of configurations, each of another kind, with a check box per kind."""

    valueChanged = Signal()

    def __init__(self, kinds: Sequence[type[Frozen]]) -> None:
        super().__init__()
        layout = column(self)
        self._forms = _forms_by_name(kinds)
        self._checks: dict[str, QCheckBox] = {}
        for kind, (name, one) in zip(kinds, self._forms.items(), strict=True):
            check = QCheckBox(CHOICES.get(name, words_of(name)))
            check.setToolTip(str(kind.__doc__))
            one.hide()
            layout.addWidget(check)
            layout.addWidget(one)
            check.toggled.connect(one.setVisible)
            check.toggled.connect(lambda on: self.valueChanged.emit())
            one.valueChanged.connect(self.valueChanged)
            self._checks[name] = check

    def value(self) -> tuple[dict[str, Any], ...]:
        """The checked configurations as dicts."""
        return tuple(
            {"name": name, **self._forms[name].value()}
            for name, check in self._checks.items()
            if check.isChecked()
        )

    def setValue(self, value: Sequence[dict[str, Any]]) -> None:
        """Check and show the configurations in `value`."""
        checked = {part["name"]: part for part in value}
        for name, check in self._checks.items():
            if name in checked:
                self._forms[name].setValue(checked[name])
            check.setChecked(name in checked)


def _forms_by_name(kinds: Sequence[type[Frozen]]) -> dict[str, ConfigForm]:
    return {str(kind.model_fields["name"].default): _without_name(kind) for kind in kinds}


def _without_name(kind: type[Frozen]) -> ConfigForm:
    return ConfigForm(kind, only=[name for name in kind.model_fields if name != "name"])


# ---- From the type of a field to its editor


def editor_for(name: str, field: FieldInfo) -> Any:
    """Make the editor of the field `name`, chosen by its type."""
    if name == "patch_size":
        return PatchSizeField()
    annotation, optional = _without_none(field.annotation)
    origin = get_origin(annotation)
    if kinds := _configurations_in(annotation):
        if origin is tuple:
            return SubsetForm(kinds)
        if optional:
            return OptionalForm(kinds[0])
        return UnionForm(kinds) if len(kinds) > 1 else ConfigForm(kinds[0])
    if origin is Literal:
        return ChoiceField(get_args(annotation))
    if origin is tuple:
        measured = name.endswith(("_means", "_stds"))
        hint = "measured" if measured else "all" if optional else "none"
        return ValuesField(None if optional else (), hint, "[%s]")
    make = _EDITORS.get(origin or annotation)
    if make is None or (annotation is float and optional):
        return ValuesField(None, "none", "%s")
    return make(name, field)


def _int_editor(name: str, field: FieldInfo) -> QWidget:
    in_range = bounds_of(field)[1] <= LARGEST
    return CountField(name, field) if in_range else NumberField(field)


_EDITORS: dict[Any, Callable[[str, FieldInfo], QWidget]] = {
    bool: lambda name, field: CheckField(),
    str: lambda name, field: TextField(),
    int: _int_editor,
    float: lambda name, field: NumberField(field),
    dict: lambda name, field: ValuesField({}, "none", "{%s}"),
}


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """The type without None, and whether None is allowed."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        if len(parts) < len(get_args(annotation)):
            one = len(parts) == 1
            return (_without_none(parts[0])[0] if one else annotation), True
    return annotation, False


def _configurations_in(annotation: Any) -> tuple[type[Frozen], ...]:
    """Configurations in a type: itself, or those in a union or tuple."""
    if isinstance(annotation, type) and issubclass(annotation, Frozen):
        return (annotation,)
    if get_origin(annotation) not in (Annotated, Union, types.UnionType, tuple):
        return ()
    return tuple(kind for part in get_args(annotation) for kind in _configurations_in(part))
