"""Loads the engine in the background, before the first run needs it."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

from napari_hush.widgets.jobs.tasks import load_engine
from napari_hush.widgets.settings.settings_form import fresh_configuration

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtCore import QObject

WARM_UP_MS = 300
"""Milliseconds after the dock is shown."""


class WarmUp(QTimer):
    """Loads the engine in a thread, a moment after `start`.

    Calls `begun` when loading begins; never if the engine is loaded already.
    """

    def __init__(self, begun: Callable[[], None], parent: QObject) -> None:
        super().__init__(parent)
        self._begun = begun
        self.setSingleShot(True)
        self.setInterval(WARM_UP_MS)
        self.timeout.connect(self._warm_up)

    def _warm_up(self) -> None:
        if "napari_hush.careamist" not in sys.modules:
            threading.Thread(
                target=load_engine, args=[fresh_configuration()], name="hush-load-engine"
            ).start()
            self._begun()
