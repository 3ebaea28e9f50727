"""How long to train (a preset), and what that costs on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_hush.config.training import DEFAULT, PRESETS
from napari_hush.errors import counted
from napari_hush.widgets.settings.labels import NBSP
from napari_hush.widgets.theme.segmented_buttons import SegmentedButtons
from napari_hush.widgets.theme.widgets import column, quiet_label, show_text

if TYPE_CHECKING:
    from napari_hush.config.training import Preset


class PresetChooser(QWidget):
    """Chooses a preset; none is checked where a person set epochs or steps."""

    chosen = Signal(object)
    """A person chose this `Preset`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        tips = {
            one.name: f"{one.words}\nAbout {one.seconds} s, at most {one.most:,} steps."
            for one in PRESETS
        }
        self._segments = SegmentedButtons("preset", tips)
        self._cost = quiet_label("cost")
        layout = column(self, spacing=5)
        layout.addWidget(self._segments)
        layout.addWidget(self._cost)
        self.setValue(DEFAULT)
        self._segments.chosen.connect(lambda index: self.chosen.emit(PRESETS[index]))

    def value(self) -> Preset | None:
        """The checked preset."""
        index = self._segments.value()
        return None if index is None else PRESETS[index]

    def setValue(self, preset: Preset | None) -> None:
        """Check `preset`."""
        self._segments.setValue(None if preset is None else PRESETS.index(preset))

    def showCost(self, text: str) -> None:
        """Show the expected cost of a run, in words."""
        show_text(self._cost, text or " ")


def cost_in_words(steps: int, time: str, gigabytes: float) -> str:
    """``"1,000 steps · ≈ 2 min · 120 MB"``; `time` may be empty."""
    memory = f"{gigabytes:.1f}{NBSP}GB"
    if gigabytes < 0.95:
        memory = f"{max(10, round(100 * gigabytes) * 10)}{NBSP}MB"
    return " · ".join(filter(None, (counted(steps, "step"), time, memory)))
