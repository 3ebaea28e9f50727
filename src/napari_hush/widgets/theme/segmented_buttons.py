"""A row of buttons of which one is down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QSizePolicy, QToolButton, QWidget

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SegmentedButtons"]


class SegmentedButtons(QWidget):
    """Chooses one of a few; with Left and Right, too, once it has the focus.

    Parameters
    ----------
    name : str
        The objectName; the buttons are called after it and their place, from 0.
    choices : mapping of str to str
        Words on the buttons and their tool tips.
    parent : QWidget, optional
        As of every widget.
    """

    chosen = Signal(int)
    """Somebody chose the one at this place."""

    def __init__(
        self, name: str, choices: Mapping[str, str], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        for place, (words, tip) in enumerate(choices.items()):
            button = QToolButton()
            button.setText(words)
            button.setToolTip(tip)
            button.setAccessibleName(words)
            button.setAccessibleDescription(tip)
            button.setCheckable(True)
            button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            button.setObjectName(f"{name}_{place}")
            button.setProperty("role", "segment")
            button.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
            self._group.addButton(button, place)
            layout.addWidget(button, len(words) + 2)
        self._group.idClicked.connect(self.chosen)

    def value(self) -> int | None:
        """Place of the button that is down, None if none is."""
        place = self._group.checkedId()
        return None if place < 0 else int(place)

    def setValue(self, place: int | None) -> None:
        """Put the button at `place` down, or none; nobody is told."""
        if place is not None:
            self._group.button(place).setChecked(True)
        elif (down := self._group.checkedButton()) is not None:
            self._group.setExclusive(False)
            down.setChecked(False)
            self._group.setExclusive(True)
