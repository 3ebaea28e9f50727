"""Lower thread priority, so that the window stays responsive during a task. No Qt here."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

NICENESS = 10
"""From 0 to 19: the window gets nine tenths of a processor that both want."""
CREATION_FLAGS: int = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
"""Flags of a low-priority process on Windows; elsewhere it calls `lower_priority`."""

R = TypeVar("R")


def lower_priority() -> None:
    """Lower the priority of the calling thread and of all threads that it starts.

    On macOS the priority is that of the process: do not call it in one with a window. It
    cannot be raised again.
    """
    if sys.platform == "win32":
        return
    target = threading.get_native_id() if sys.platform == "linux" else 0
    current = os.getpriority(os.PRIO_PROCESS, target)
    os.setpriority(os.PRIO_PROCESS, target, max(current, NICENESS))


def in_low_priority_thread(work: Callable[[], R]) -> R:
    """Call `work` in a new thread of lower priority and return its result.

    Torch's threads are children of the thread that first computes and inherit its priority.
    A thread of Qt's pool cannot be that one: its priority could not be raised again for the
    next user. Where threads have no priority, `work` runs in the calling thread.
    """
    if sys.platform != "linux":
        return work()
    answer: Future[R] = Future()

    def run() -> None:
        lower_priority()
        try:
            answer.set_result(work())
        except BaseException as error:
            answer.set_exception(error)

    # Not a pool, which takes no work while Python ends: napari may be closed meanwhile.
    threading.Thread(target=run).start()
    return answer.result()
