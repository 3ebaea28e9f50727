"""A row of small buttons, one for the axis of each dimension of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QMenu, QSizePolicy, QToolButton, QWidget

from napari_hush.axes import CANONICAL
from napari_hush.config import DataConfig
from napari_hush.widgets.data.layers import LEFT_OUT
from napari_hush.widgets.theme.widgets import mark, row

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent

MEANINGS = {
    "S": "samples, denoised one by one",
    "T": "time, denoised one by one",
    "C": "channels",
    "Z": "depth, denoised as a volume",
    "Y": "rows",
    "X": "columns",
    LEFT_OUT: "size 1, left out",
}


LEAST_WIDTH, WIDTH = 16, 34
"""Width of a letter in pixels, where there is no room and where there is."""


class AxesChips(QWidget):
    """Edits the axes of a layer, by a menu on each letter or by typing.

    They may be invalid. A dimension of size 1 may be `LEFT_OUT`.
    """

    valueChanged = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._chips: list[QToolButton] = []
        self._sizes: tuple[int, ...] = ()
        self.setObjectName("axes")
        self.setAccessibleName("Axes")
        field = DataConfig.model_fields["axes"]
        self.setToolTip(
            f"{field.description}\nClick a letter to change it, or type letters.\n(axes)"
        )
        self._layout = row(self, spacing=3)
        self._layout.addStretch(1)
        self.setValue(field.default)

    def value(self) -> str:
        """The letters, valid or not."""
        return "".join(chip.text() for chip in self._chips)

    def setValue(self, axes: str, sizes: Sequence[int] = ()) -> None:
        """Show `axes`, one button per letter; `sizes` go into the tool tips."""
        before = self.value()
        self._sizes = tuple(sizes)
        while len(self._chips) > len(axes):
            chip = self._chips.pop()
            self._layout.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
        while len(self._chips) < len(axes):
            self._add_chip()
        for index, letter in enumerate(axes):
            self._put(index, letter)
        if self.value() != before:
            self.valueChanged.emit(self.value())

    def setWrong(self, wrong: bool) -> None:
        """Mark the letters as invalid or valid."""
        for chip in self._chips:
            mark(chip, "wrong", wrong)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and watched in self._chips:
            return self._type(self._chips.index(watched), event)
        return False

    def _add_chip(self) -> None:
        chip = QToolButton()
        index = len(self._chips)
        chip.setObjectName(f"axis_{index}")
        chip.setProperty("role", "chip")
        chip.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        chip.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        chip.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        chip.setMinimumWidth(LEAST_WIDTH)
        chip.setMaximumWidth(WIDTH)
        menu = QMenu(chip)
        for letter in CANONICAL + LEFT_OUT:
            action = menu.addAction(f"{letter}   {MEANINGS[letter]}")
            action.triggered.connect(
                lambda checked=False, letter=letter: self._choose(index, letter)
            )
        chip.setMenu(menu)
        chip.installEventFilter(self)
        self._chips.append(chip)
        self._layout.insertWidget(index, chip, WIDTH)

    def _put(self, index: int, letter: str) -> None:
        chip = self._chips[index]
        size = f", size {self._sizes[index]}" if index < len(self._sizes) else ""
        meaning = MEANINGS.get(letter, "unknown, choose its meaning")
        chip.setText(letter)
        chip.setToolTip(f"{letter}: {meaning}{size}")
        chip.setAccessibleName(f"Dimension {index + 1}: {letter}, {meaning}")

    def _choose(self, index: int, letter: str) -> None:
        """Put `letter` at `index`; if it is used elsewhere, swap the two."""
        old = self._chips[index].text()
        if letter == old:
            return
        letters = list(self.value())
        if letter in letters and LEFT_OUT not in (letter, old):
            letters[letters.index(letter)] = old
        letters[index] = letter
        self.setValue("".join(letters), self._sizes)

    def _type(self, index: int, event: QKeyEvent) -> bool:
        """Put a typed letter at `index` and move the focus to the next."""
        letter = event.text().upper()
        if letter not in CANONICAL + LEFT_OUT or not letter:
            return False
        self._choose(index, letter)
        self._chips[min(index + 1, len(self._chips) - 1)].setFocus()
        return True
