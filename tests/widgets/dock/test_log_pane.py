"""The log of the dock."""

import logging

from qtpy.QtCore import QCoreApplication, QEvent

from napari_hush.widgets.dock.log_pane import LogPane

_log = logging.getLogger("napari_hush.somewhere")


class _Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.words.append(record.getMessage())


def test_a_destroyed_log_takes_no_line_from_other_handlers(qapp):
    """It removed itself while a record was handled, and the logger skipped the next one."""
    logger, pane, kept = logging.getLogger("napari_hush"), LogPane(), _Kept()
    before = list(logger.handlers)
    logger.addHandler(kept)
    try:
        pane.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        _log.warning("first")
        assert kept.words == ["first"]
        assert len(logger.handlers) == len(before)  # without that of the log, with `kept`
    finally:
        logger.removeHandler(kept)


def test_lines_that_the_engine_logs(qtbot):
    pane = LogPane()
    qtbot.addWidget(pane)
    _log.warning("1 file was skipped.")
    assert pane.text().endswith("  1 file was skipped.")
