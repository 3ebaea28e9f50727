"""Work that lets the window go first when both want a processor. No Qt here."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["IN_A_PROCESS", "in_a_lesser_thread", "step_back"]

NICENESS = 10
"""Of 0 to 19: a window that wants a processor gets nine tenths of its time."""
IN_A_PROCESS: int = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
"""Flags to start a process with that works for a window. Elsewhere than on Windows it
calls `step_back` itself."""

R = TypeVar("R")


def step_back() -> None:
    """Give the thread that calls, and all that it starts from now on, a lower priority.

    On Linux that is a thread's own; on macOS it is its process's, so only a process that
    has no window may call this there. It cannot be taken back.
    """
    if sys.platform == "win32":
        return
    whose = threading.get_native_id() if sys.platform == "linux" else 0
    now = os.getpriority(os.PRIO_PROCESS, whose)
    os.setpriority(os.PRIO_PROCESS, whose, max(now, NICENESS))


def in_a_lesser_thread(work: Callable[[], R]) -> R:
    """What `work` returns or raises, done in a thread of lower priority while this waits.

    The threads of a network's arithmetic are children of the one that first computes, and
    have its priority. A thread of Qt's pool cannot be that one: it would stay as it is for
    whoever gets it next. Where a thread has no priority of its own, `work` is done here.
    """
    if sys.platform != "linux":
        return work()
    with ThreadPoolExecutor(1, initializer=step_back) as pool:
        return pool.submit(work).result()
