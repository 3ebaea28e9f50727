"""What the tests of this folder share."""

from __future__ import annotations

import os
import sys

import pytest
from pinned_cases import same_machine

HAS_WINDOWS = sys.platform != "linux" or "DISPLAY" in os.environ


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("gui") and not HAS_WINDOWS:
            item.add_marker(pytest.mark.skip(reason="needs an X server: use xvfb-run"))


@pytest.fixture
def one_thread():
    """One thread for torch: sums are then added in one order on any number of cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def exact(one_thread):
    """Whether results must have the recorded bits; elsewhere they must be close."""
    return same_machine()
