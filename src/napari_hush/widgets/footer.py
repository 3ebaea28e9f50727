"""The line at the foot of the dock: where the arithmetic happens, and how full it is."""

from __future__ import annotations

import os
import sys

import psutil
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QSizePolicy, QWidget
from superqt import QElidingLabel

__all__ = ["Footer", "machine_in_words"]

EVERY_MS = 2000
"""Milliseconds between two looks while something runs."""
GIB = 1024**3


class Footer(QElidingLabel):
    """Says which device works and how much of its memory is in use."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._device = ""
        self.setObjectName("footer")
        self.setProperty("role", "quiet")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._timer = QTimer(self)
        self._timer.setInterval(EVERY_MS)
        self._timer.timeout.connect(self._look)
        self._look()

    def showRun(self, device: str, *, busy: bool) -> None:
        """Show the device that torch calls `device`; keep looking while `busy`."""
        if device and device != self._device:
            self._device = device
            self._look()
        if busy and not self._timer.isActive():
            self._timer.start()
        elif not busy and self._timer.isActive():
            self._timer.stop()
            self._look()

    def _look(self) -> None:
        words = machine_in_words(self._device)
        if words != self.text():
            self.setText(words)
            self.setToolTip(words)


def machine_in_words(device: str) -> str:
    """``"CPU · 2 cores · 3.1 of 16 GB"``, or the name and memory of a GPU.

    Asks nothing that would load torch or wake up a GPU.
    """
    if device.startswith("cuda") and "torch" in sys.modules:
        torch = sys.modules["torch"]
        free, total = torch.cuda.mem_get_info(device)
        name = torch.cuda.get_device_name(device)
        return f"{name} · {(total - free) / GIB:.1f} of {total / GIB:.0f} GB"
    memory = psutil.virtual_memory()
    used, total = (memory.total - memory.available) / GIB, memory.total / GIB
    cores = os.cpu_count() or 1
    place = "Apple GPU" if device.startswith("mps") else f"CPU, {cores} cores"
    return f"{place} · {used:.1f} of {total:.0f} GB memory in use"
