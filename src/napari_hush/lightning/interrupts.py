"""Ctrl-C during a run: the run ends with the model it has."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_hush.lightning.control import RunControl


@contextmanager
def interrupts_stop(control: RunControl) -> Iterator[None]:
    """Let the first Ctrl-C stop the run, so that it ends with the model it has.

    Left to itself, Lightning exits the process. Only the main thread gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    stopping: list[threading.Thread] = []

    def once(number: int, frame: Any) -> None:
        # In a thread of its own: the main thread, which runs this, may be holding the
        # very lock that stopping needs.
        stopping.append(threading.Thread(target=control.stop))
        stopping[0].start()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        for thread in stopping:
            thread.join()
