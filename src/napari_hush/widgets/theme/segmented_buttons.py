"""A row of buttons of which at most one is checked."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QSizePolicy, QToolButton, QWidget

from napari_hush.widgets.theme.widgets import row


class SegmentedButtons(QWidget):
    """Chooses one of a few, by mouse or with the arrow keys.

    `choices` maps the text of each button to its tool tip. The objectNames of the buttons
    are `name` and their index, such as ``method_0``.
    """

    chosen = Signal(int)
    """A person chose the button with this index."""

    def __init__(
        self, name: str, choices: Mapping[str, str], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        layout = row(self, spacing=1)
        for index, (words, tip) in enumerate(choices.items()):
            button = QToolButton()
            button.setText(words)
            button.setToolTip(tip)
            button.setAccessibleName(words)
            button.setAccessibleDescription(tip)
            button.setCheckable(True)
            button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            button.setObjectName(f"{name}_{index}")
            button.setProperty("role", "segment")
            button.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
            self._group.addButton(button, index)
            layout.addWidget(button, len(words) + 2)
        self._group.idClicked.connect(self.chosen)

    def value(self) -> int | None:
        """Index of the checked button; None if none is."""
        index = self._group.checkedId()
        return None if index < 0 else int(index)

    def button(self, index: int) -> QToolButton:
        """The button with this index."""
        return self._group.button(index)

    def setValue(self, index: int | None) -> None:
        """Check the button with this index, or none, without emitting `chosen`."""
        if index is not None:
            self._group.button(index).setChecked(True)
        elif (checked := self._group.checkedButton()) is not None:
            self._group.setExclusive(False)
            checked.setChecked(False)
            self._group.setExclusive(True)
