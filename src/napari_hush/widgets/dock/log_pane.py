"""The log of the dock, collapsed at first."""

from __future__ import annotations

import logging
import time
from contextlib import suppress

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QPlainTextEdit, QWidget

from napari_hush.widgets.theme.collapsible import Collapsible

LINES = 1000
"""Lines kept."""
HEIGHT = 130
"""Pixels."""


class _Relay(QObject):
    """Passes lines from any thread to the main thread."""

    line = Signal(str)


class _Handler(logging.Handler):
    """Logs to a relay until that is destroyed."""

    def __init__(self, relay: _Relay) -> None:
        super().__init__(logging.INFO)
        self._relay = relay
        self.setFormatter(logging.Formatter("%(message)s"))
        logger = logging.getLogger("napari_hush")
        logger.addHandler(self)
        # Not while a record is handled: the logger would skip the next handler.
        relay.destroyed.connect(lambda: logger.removeHandler(self))

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(RuntimeError):  # another thread logs while the relay is destroyed
            self._relay.line.emit(self.format(record))


class LogPane(Collapsible):
    """Shows lines with their time: those of the dock and those the engine logs."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._lines = QPlainTextEdit()
        super().__init__("log", "Log", lambda: self._lines, parent)
        self._lines.setObjectName("log_text")
        self._lines.setAccessibleName("Log")
        self._lines.setReadOnly(True)
        self._lines.setTabChangesFocus(True)
        self._lines.setMaximumBlockCount(LINES)
        self._lines.setFixedHeight(HEIGHT)
        self.built()
        relay = _Relay(self)
        relay.line.connect(self.addLine)
        _Handler(relay)

    def addLine(self, words: str) -> None:
        """Append `words`, with the time."""
        self._lines.appendPlainText(f"{time.strftime('%H:%M:%S')}  {words}")

    def text(self) -> str:
        """All lines."""
        return str(self._lines.toPlainText())
