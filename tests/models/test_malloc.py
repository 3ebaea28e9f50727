"""Freed memory is kept while a network computes, and given back afterwards."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.process, pytest.mark.timing]

_FAULTS = """
import contextlib, resource, sys
import torch
from napari_hush.models import keep_freed_memory

torch.set_num_threads(1)
kept = keep_freed_memory() if sys.argv[1] == "kept" else contextlib.nullcontext()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

with kept:
    for step in range(41):
        if step == 1:
            before = faults()
        blocks = [torch.zeros(40_000_000 // 4) for _ in range(4)]
        del blocks
    print(faults() - before)
"""

_HELD = """
import psutil, torch
from napari_hush.models import keep_freed_memory

held = psutil.Process().memory_info
with keep_freed_memory():
    with keep_freed_memory():
        blocks = [torch.zeros(5_000_000) for _ in range(20)]
        del blocks
    inside = held().rss
print(inside - held().rss)
"""

_FIRST = """
import resource
import torch
import napari_hush.models

before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(25_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")

glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc has these settings"
)


def _run(script, *arguments, **variables):
    command = [sys.executable, "-c", script, *arguments]
    env = {n: v for n, v in os.environ.items() if n != "THP_MEM_ALLOC_ENABLE"} | variables
    done = subprocess.run(command, capture_output=True, check=True, text=True, env=env)
    return int(done.stdout)


@glibc
def test_steps_take_their_memory_from_the_system_once():
    """Blocks are larger than those that glibc learns to keep by itself (32 MiB)."""
    plain, kept = _run(_FAULTS, "plain"), _run(_FAULTS, "kept")
    assert kept < plain / 5


@glibc
def test_memory_goes_back_to_the_system_at_the_end():
    assert _run(_HELD) > 300_000_000


@pytest.mark.skipif(
    not _PAGES.exists() or "[madvise]" not in _PAGES.read_text(),
    reason="only Linux hands out large pages, and only here to who asks",
)
def test_memory_comes_in_large_pages_unless_somebody_has_said_otherwise():
    """100 MB are 24,400 small pages or 48 large ones."""
    assert _run(_FIRST) < 5_000
    assert _run(_FIRST, THP_MEM_ALLOC_ENABLE="0") > 20_000
