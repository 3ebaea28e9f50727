"""A whole number of the configuration, with its bounds, default and help from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QSpinBox

from napari_hush.widgets.spin_box import SpinBox

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from qtpy.QtWidgets import QWidget

__all__ = ["LARGEST", "CountField", "bounds_of"]

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
