"""The right editor for a field of a configuration, found by the field's type."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic_core import PydanticUndefined
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QLineEdit, QWidget

from napari_hush.config.base import Frozen
from napari_hush.widgets.choice_field import ChoiceField
from napari_hush.widgets.count_field import LARGEST, CountField, bounds_of
from napari_hush.widgets.model_fields import (
    ModelsField,
    OneModelField,
    OptionalModelField,
    PlainModelField,
)
from napari_hush.widgets.number_field import NumberField
from napari_hush.widgets.patch_size_field import PatchSizeField
from napari_hush.widgets.values_field import ValuesField
from napari_hush.widgets.words import UNITS

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["editor_for"]


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
