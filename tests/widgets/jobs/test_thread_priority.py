"""The priority of threads and processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from napari_hush.widgets.jobs import thread_priority

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@linux_only
def test_work_and_its_threads_have_a_lower_priority():
    found = []

    def work():
        found.append(niceness())
        child = threading.Thread(target=lambda: found.append(niceness()))
        child.start()
        child.join()
        return "done"

    before = niceness()
    assert thread_priority.in_low_priority_thread(work) == "done"
    assert found == [max(before, thread_priority.NICENESS)] * 2
    assert niceness() == before


@linux_only
def test_threads_of_torch_have_a_lower_priority():
    """They are started by the thread that computes first."""
    torch = pytest.importorskip("torch")
    before, count = set(os.listdir("/proc/self/task")), torch.get_num_threads()

    def work():
        torch.set_num_threads(3)
        left = torch.ones(512, 512)
        torch.mm(left, left)
        torch.nn.functional.conv2d(torch.ones(4, 8, 64, 64), torch.ones(8, 8, 3, 3))
        new = set(os.listdir("/proc/self/task")) - before
        return [os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in new]

    try:
        values = thread_priority.in_low_priority_thread(work)
    finally:
        torch.set_num_threads(count)
    assert len(values) >= 3
    assert min(values) >= thread_priority.NICENESS


def test_errors_are_raised():
    def work():
        raise KeyError("here")

    with pytest.raises(KeyError, match="here"):
        thread_priority.in_low_priority_thread(work)


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="the flags are for there")
def test_a_lower_priority_is_never_raised():
    code = (
        "import os; from napari_hush.widgets.jobs.thread_priority import lower_priority; "
        "os.nice(15); "
        "now = os.getpriority(os.PRIO_PROCESS, 0); lower_priority(); "
        "print(os.getpriority(os.PRIO_PROCESS, 0) == now)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"
