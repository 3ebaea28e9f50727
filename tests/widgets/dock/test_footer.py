"""The line at the foot of the dock."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from napari_hush.system.memory import describe_machine
from napari_hush.widgets.dock.status import Footer


def _torch(*, awake: bool):
    cuda = SimpleNamespace(
        is_initialized=lambda: awake,
        mem_get_info=lambda device: (60 * 1024**3, 80 * 1024**3),
        get_device_name=lambda device: f"Card of {device}",
    )
    return SimpleNamespace(cuda=cuda)


def test_the_device_is_named_with_its_memory(monkeypatch):
    assert "GB in use" in describe_machine("cpu")
    monkeypatch.setitem(sys.modules, "torch", _torch(awake=True))
    assert describe_machine("cuda:1") == "Card of cuda:1 · 20.0 of 80 GB"


def test_a_card_is_not_woken_up_to_be_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", _torch(awake=False))
    assert describe_machine("cuda:0").startswith("CPU")


@pytest.mark.parametrize("reported", ["", "A card · 1.0 of 2 GB"])
def test_what_another_process_reports_comes_first(qtbot, reported):
    footer = Footer()
    qtbot.addWidget(footer)
    footer.showRun("cpu", busy=True, reported=reported)
    assert footer._timer.isActive()
    assert footer.text() == reported or "GB in use" in footer.text()
    footer.showRun("cpu", busy=False)
    assert "GB in use" in footer.text()
    assert not footer._timer.isActive()
