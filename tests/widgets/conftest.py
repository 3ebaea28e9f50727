"""A real napari window with the dock open, driven as a person would."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HAS_WINDOWS = sys.platform != "linux" or "DISPLAY" in os.environ


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.gui)
            if not HAS_WINDOWS:
                item.add_marker(pytest.mark.skip(reason="needs an X server: use xvfb-run"))


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory, monkeypatch) -> None:
    """Keep what the dock remembers and writes out of the user's own folders."""
    from napari_hush.widgets.user_settings import save_setting

    monkeypatch.setenv("HUSH_CONFIG_DIR", str(tmp_path_factory.mktemp("config")))
    monkeypatch.setenv("HUSH_DATA_DIR", str(tmp_path_factory.mktemp("data")))
    speed = {"rate": 1e9, "overhead": 0.01}
    save_setting("speeds", {"auto": speed})  # so that no window measures it again


class Hand:
    """Finds a dock's controls by objectName, clicks them and waits for what happens."""

    def __init__(self, qtbot, dock) -> None:
        self._qtbot = qtbot
        self.dock = dock

    def find(self, name: str):
        from qtpy.QtWidgets import QWidget

        widget = self.dock.findChild(QWidget, name)
        assert widget is not None, f"no control named {name!r}"
        return widget

    def click(self, name: str) -> None:
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtWidgets import QCheckBox

        button = self.find(name)
        self.unfold(button)
        assert button.isEnabled(), f"{name} is gray: {button.toolTip()}"
        # Right of its words a box takes no clicks, and it may be wider than they are.
        place = button.rect().center()
        if isinstance(button, QCheckBox):
            place = QPoint(8, place.y())
        self._qtbot.mouseClick(button, Qt.MouseButton.LeftButton, pos=place)

    def unfold(self, widget) -> None:
        """Open the sections around `widget`, as a person does to reach it."""
        from napari_hush.widgets.theme.collapsible import Collapsible

        around = widget.parentWidget()
        while around is not None and around is not self.dock:
            folded = isinstance(around, Collapsible) and not around.isExpanded()
            if folded and widget is not around.toggleButton():
                around.toggleButton().click()
            around = around.parentWidget()

    def until(self, condition: Callable[[], bool], seconds: float = 180) -> None:
        self._qtbot.waitUntil(condition, timeout=int(seconds * 1000))

    def compare(self, view: str) -> None:
        """Click the button of a view, and wait until all of it is shown or gone."""
        self.click(f"compare_{view}")
        panel = self.find("compare")
        added = {"swipe": 2, "side_by_side": 0}.get(view, 1)
        self.until(
            lambda: (
                panel.view is None
                or (
                    len(panel.view.layers) == added
                    and all(layer.visible for layer in panel.view.layers)
                )
            ),
            20,
        )

    def until_ready(self, name: str) -> None:
        self.until(self.find(name).isEnabled)

    def train(self) -> None:
        """Click Train and wait for the end."""
        self.click("train")
        assert not self.find("train").isEnabled()
        self.until_ready("train")

    def denoise(self) -> None:
        """Click Denoise and wait for the end."""
        self.click("denoise")
        self.until_ready("denoise")

    @property
    def status(self) -> str:
        return self.find("status").text()


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def drive(qtbot) -> Iterator[Callable]:
    """Turn a dock into the hand that drives it."""
    yield lambda dock: Hand(qtbot, dock)
    _wait_for_the_engine()


@pytest.fixture
def open_dock(drive) -> Callable:
    """Open the dock in a viewer; returns the hand that drives it."""

    def open_in(viewer) -> Hand:
        _, dock = viewer.window.add_plugin_dock_widget("napari-hush", "Denoise")
        return drive(dock)

    return open_in


@pytest.fixture
def hand(viewer, open_dock) -> Hand:
    """The dock, opened in a viewer without layers."""
    return open_dock(viewer)


@pytest.fixture
def noisy() -> np.ndarray:
    """A small picture of stripes, (64, 72) uint16, with photon noise."""
    rng = np.random.default_rng(0)
    stripes = 20 + 10 * np.sin(np.mgrid[:64, :72][0] / 5)
    return rng.poisson(stripes).astype(np.uint16)


@pytest.fixture
def quick():
    """A configuration that trains in a moment: 2 epochs of 3 steps."""
    from napari_hush.config import create_n2v_configuration

    def configure(axes: str = "YX", **changes):
        patch = [8, 16, 16] if "Z" in axes else [16, 16]
        settings = {"patch_size": patch, "batch_size": 2, "num_epochs": 2, "num_steps": 3}
        return create_n2v_configuration(
            "quick",
            "array",
            axes,
            model_params={"num_channels_init": 8},
            **(settings | changes),
        )

    return configure


@pytest.fixture
def notifications() -> Callable[[], list[str]]:
    """Everything napari tells people during the test."""
    from napari.utils.notifications import notification_manager

    before = len(notification_manager.records)
    return _Since(notification_manager.records, before)


class _Since:
    def __init__(self, records: list, start: int) -> None:
        self._records, self._start = records, start

    def __call__(self) -> list[str]:
        return [str(record.message) for record in self._records[self._start :]]


def _wait_for_the_engine() -> None:
    """Let the thread that loads torch end before the window goes."""
    import threading

    for thread in threading.enumerate():
        if thread.name == "hush-load-engine":
            thread.join()
