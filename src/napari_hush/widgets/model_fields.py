"""Fields that hold configurations themselves: one of several kinds, some, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_hush.widgets.choice_field import ChoiceField
from napari_hush.widgets.words import CHOICES, words_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from napari_hush.config.base import Frozen
    from napari_hush.widgets.model_form import ModelForm

__all__ = ["ModelsField", "OneModelField", "OptionalModelField", "PlainModelField"]

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
        self._parts: dict[str, tuple[QCheckBox, ModelForm]] = {}
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


def _form(kind: type[Frozen], hidden: Collection[str] = NAMES) -> ModelForm:
    from napari_hush.widgets.model_form import ModelForm  # forms hold fields hold forms

    form = ModelForm(kind, hidden=hidden)
    form.layout().setContentsMargins(10, 0, 0, 0)
    return form


def _column(widget: QWidget) -> QVBoxLayout:
    layout = QVBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    return layout


def _name_of(kind: type[Frozen]) -> str:
    return str(kind.model_fields["name"].default)
