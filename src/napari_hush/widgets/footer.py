"""The line at the foot of the dock: where the arithmetic happens, and how full it is."""

from __future__ import annotations

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QSizePolicy, QWidget
from superqt import QElidingLabel

from napari_hush.widgets.machine import machine_in_words

__all__ = ["Footer"]

EVERY_MS = 2000
"""Milliseconds between two looks while something runs."""


class Footer(QElidingLabel):
    """Says which device works and how much of its memory is in use."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._device = self._told = ""
        self.setObjectName("footer")
        self.setProperty("role", "quiet")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._timer = QTimer(self)
        self._timer.setInterval(EVERY_MS)
        self._timer.timeout.connect(self._look)
        self._look()

    def showRun(self, device: str, *, busy: bool, told: str = "") -> None:
        """Show the device that torch calls `device`; keep looking while `busy`.

        Where another process works on it, it alone can look; then `told` is what it said.
        """
        if (device and device != self._device) or told != self._told:
            self._device, self._told = device or self._device, told
            self._look()
        if busy and not self._timer.isActive():
            self._timer.start()
        elif not busy and self._timer.isActive():
            self._timer.stop()
            self._look()

    def _look(self) -> None:
        words = self._told or machine_in_words(self._device)
        if words != self.text():
            self.setText(words)
            self.setToolTip(words)
