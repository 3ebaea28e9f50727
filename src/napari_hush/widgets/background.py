"""Calls functions in threads and hands their results to the main thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from qtpy.QtCore import QObject, Signal


class Background(QObject):
    """Runs short work off the main thread; unfinished work is lost when it closes.

    Not for runs, which napari's workers do: closing the window does not wait for these.
    """

    _done = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._done.connect(self._on_done)

    def start(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Call `work` in a thread, then `then` in the main thread.

        `then` gets what `work` returned, or the exception that it raised.
        """

        def run() -> None:
            try:
                result = work()
            except Exception as error:
                result = error
            with suppress(RuntimeError):  # this object is gone
                self._done.emit(then, result)

        threading.Thread(target=run, name="hush-background", daemon=True).start()

    def _on_done(self, then: Callable[[Any], None], result: Any) -> None:
        then(result)
