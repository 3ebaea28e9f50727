"""How long to train (a preset), and what that costs on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_hush.config.training import PRESETS, preset_of
from napari_hush.widgets.settings.labels import format_duration
from napari_hush.widgets.theme.segmented_buttons import SegmentedButtons

if TYPE_CHECKING:
    from napari_hush.config import TrainingConfig
    from napari_hush.config.training import Preset
    from napari_hush.widgets.settings.cost_estimate import Estimate

__all__ = ["PresetChooser"]

NBSP = "\N{NO-BREAK SPACE}"


class PresetChooser(QWidget):
    """Chooses a preset; none is down where people set numbers of their own."""

    chosen = Signal(object)
    """Somebody chose this `Preset`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._segments = SegmentedButtons(
            "preset",
            {
                preset.name: f"{preset.words}\n{preset.num_epochs} epochs of "
                f"{preset.num_steps} steps."
                for preset in PRESETS
            },
        )
        self._cost = QElidingLabel()
        self._cost.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._cost.setObjectName("cost")
        self._cost.setProperty("role", "quiet")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(self._segments)
        layout.addWidget(self._cost)
        self._segments.chosen.connect(lambda place: self.chosen.emit(PRESETS[place]))

    def value(self) -> Preset | None:
        """The preset that is down."""
        place = self._segments.value()
        return None if place is None else PRESETS[place]

    def setTraining(self, training: TrainingConfig) -> None:
        """Show the preset that `training` follows."""
        preset = preset_of(training)
        self._segments.setValue(None if preset is None else PRESETS.index(preset))

    def showCost(self, estimate: Estimate | None, steps: int) -> None:
        """Show what a run costs; None while the settings cannot be."""
        if estimate is None:
            self._cost.setText(" ")
            return
        time = "" if estimate.seconds is None else f" · ≈{NBSP}{_roughly(estimate.seconds)}"
        self._cost.setText(f"{steps:,}{NBSP}steps{time} · {_size(estimate.gigabytes)}")
        self._cost.setToolTip(
            "Time and memory expected on this device, from its last run or a short "
            "measurement; the images come on top."
            if estimate.seconds is not None
            else "How long it takes is known once this device has been measured."
        )


def _roughly(seconds: float) -> str:
    """Time as precise as an estimate is: one unit."""
    if seconds < 90:
        return format_duration(max(5, 5 * round(seconds / 5)))
    if seconds < 5400:
        return format_duration(60 * round(seconds / 60))
    return format_duration(3600 * round(seconds / 3600))


def _size(gigabytes: float) -> str:
    if gigabytes < 0.95:
        return f"{max(10, round(100 * gigabytes) * 10)}{NBSP}MB"
    return f"{gigabytes:.1f}{NBSP}GB"
