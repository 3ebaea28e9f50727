"""One small button per dimension of the chosen layer: what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QMenu, QSizePolicy, QToolButton, QWidget

from napari_hush.axes import CANONICAL
from napari_hush.config import DataConfig
from napari_hush.widgets.theme.widgets import mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QKeyEvent

__all__ = ["MEANINGS", "AxesChips"]

MEANINGS = {
    "S": "other samples, denoised one by one",
    "T": "time, denoised one by one",
    "C": "channels",
    "Z": "depth, denoised as a volume",
    "Y": "rows",
    "X": "columns",
}
"""What the letters stand for."""


class AxesChips(QWidget):
    """Edits ``axes``: by a menu on each letter, or by typing letters.

    Takes any letters in any order; whether they fit is for others to say.
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
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(3)
        self._layout.addStretch(1)
        self.setValue(field.default)

    # ---- Public API

    def value(self) -> str:
        """The letters as they stand, right or wrong."""
        return "".join(chip.text() for chip in self._chips)

    def setValue(self, axes: str, sizes: Sequence[int] = ()) -> None:
        """Show `axes`, one chip per letter; `sizes` are for the tool tips."""
        before = self.value()
        self._sizes = tuple(sizes)
        while len(self._chips) > len(axes):
            chip = self._chips.pop()
            self._layout.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
        while len(self._chips) < len(axes):
            self._add_chip()
        for place, letter in enumerate(axes):
            self._put(place, letter)
        if self.value() != before:
            self.valueChanged.emit(self.value())

    def setWrong(self, wrong: bool) -> None:
        """Mark the letters as wrong or right."""
        for chip in self._chips:
            mark(chip, "wrong", wrong)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and watched in self._chips:
            return self._type(self._chips.index(watched), event)
        return False

    # ---- Private API

    def _add_chip(self) -> None:
        chip = QToolButton()
        place = len(self._chips)
        chip.setObjectName(f"axis_{place}")
        chip.setProperty("role", "chip")
        chip.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        chip.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        chip.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        menu = QMenu(chip)
        for letter in CANONICAL:
            action = menu.addAction(f"{letter}   {MEANINGS[letter]}")
            action.triggered.connect(
                lambda checked=False, letter=letter: self._choose(place, letter)
            )
        chip.setMenu(menu)
        chip.installEventFilter(self)
        self._chips.append(chip)
        self._layout.insertWidget(place, chip)

    def _put(self, place: int, letter: str) -> None:
        chip = self._chips[place]
        size = f", {self._sizes[place]} long" if place < len(self._sizes) else ""
        meaning = MEANINGS.get(letter, "not known: choose what it is")
        chip.setText(letter)
        chip.setToolTip(f"{letter}: {meaning}{size}")
        chip.setAccessibleName(f"Dimension {place + 1}: {letter}, {meaning}")

    def _choose(self, place: int, letter: str) -> None:
        """Put `letter` at `place`; where it was before comes what was here."""
        old = self._chips[place].text()
        if letter == old:
            return
        letters = list(self.value())
        if letter in letters:
            letters[letters.index(letter)] = old
        letters[place] = letter
        self.setValue("".join(letters), self._sizes)

    def _type(self, place: int, event: QKeyEvent) -> bool:
        """A letter goes into the chip that has the focus, which moves on."""
        letter = event.text().upper()
        if letter not in CANONICAL or not letter:
            return False
        self._choose(place, letter)
        self._chips[min(place + 1, len(self._chips) - 1)].setFocus()
        return True
