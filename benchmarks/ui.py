"""How long the window keeps people waiting while it works.

    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/ui.py [--seconds 25]

A timer of 5 ms on the event loop of a real napari window notes how late it is, and how much
processor time the thread of the window took: with nothing to do, while training on all
cores with plot and live preview, while Denoise is clicked and runs beside it, while the
view moves in a pause, at the end of training, while napari by itself adds a layer of
2048 x 2048 pixels, while a result of that size gets its layer and streams in, and while a
comparison of that size is closed. On a machine that does other work, only the processor
times count. Then the cost of plot and preview: steps per second of the window with and
without the preview, in turns. Prints tables and writes ``benchmarks/results/ui.json``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from reporting import report

if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD_MS = 5


class Window:
    """A napari window with the dock, driven by the names of its controls."""

    pause = 0.002
    """Seconds between two looks at the events; each takes time from the training."""

    def __init__(self) -> None:
        import napari
        from qtpy.QtCore import QEvent
        from qtpy.QtWidgets import QApplication, QWidget

        def events() -> None:
            QApplication.processEvents()  # which leaves to a running loop what is to go
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)

        self._events, self._kind = events, QWidget
        self.viewer = napari.Viewer()
        self.viewer.window._qt_window.resize(1600, 1000)
        _, self.dock = self.viewer.window.add_plugin_dock_widget("napari-hush", "Denoise")

    def find(self, name: str) -> Any:
        """The control of that name."""
        return self.dock.findChild(self._kind, name)

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Let the window live until `condition` holds."""
        end = time.perf_counter() + seconds
        while not condition():
            if time.perf_counter() > end:
                raise SystemExit(f"waited {seconds:.0f} s in vain")
            self._events()
            time.sleep(self.pause)

    def live(self, seconds: float) -> None:
        """Let the window live for so long."""
        end = time.perf_counter() + seconds
        self.until(lambda: time.perf_counter() > end, seconds + 60)


class Lateness:
    """Time between two ticks of a timer, and processor time of the thread, in ms."""

    def __init__(self) -> None:
        from qtpy.QtCore import QTimer

        self.gaps: list[tuple[float, float]] = []
        self._last = time.perf_counter(), time.thread_time()
        self._timer = QTimer()
        self._timer.timeout.connect(self._tick)
        self._timer.start(PERIOD_MS)

    def _tick(self) -> None:
        now = time.perf_counter(), time.thread_time()
        before, self._last = self._last, now
        self.gaps.append(((now[0] - before[0]) * 1e3, (now[1] - before[1]) * 1e3))

    def row(self, what: str) -> dict[str, Any]:
        """Stop, and return the result."""
        self._timer.stop()
        gaps, busy = np.array(self.gaps[5:]).T
        return {
            "while": what,
            "median, ms": float(np.median(gaps)),
            "99th percentile, ms": float(np.percentile(gaps, 99)),
            "worst, ms": float(gaps.max()),
            "99th percentile, CPU ms": float(np.percentile(busy, 99)),
            "worst, CPU ms": float(busy.max()),
            "ticks": len(gaps),
        }


def main() -> None:
    """Measure one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=25)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ["HUSH_CONFIG_DIR"] = tempfile.mkdtemp()
    os.environ["HUSH_DATA_DIR"] = tempfile.mkdtemp()
    window = Window()
    noisy = np.random.default_rng(0).normal(100, 20, (1024, 1024)).astype("float32")
    window.viewer.add_image(noisy, name="noisy")
    train, stop = window.find("train"), window.find("stop")
    preview = window.find("live_preview")
    window.find("num_epochs").setValue(1000)
    window.until(train.isEnabled, 60)
    rows = []

    def measured(what: str, act: Callable[[], None] = lambda: None) -> None:
        late = Lateness()
        act()
        window.live(options.seconds)
        rows.append(late.row(what))

    def look_around() -> None:
        for factor in (1.1,) * 10 + (1 / 1.1,) * 10:
            window.viewer.scene.camera.zoom *= factor
            window.live(0.2)

    measured("nothing happens")
    preview.setChecked(True)
    train.click()
    window.live(8)
    measured("it trains, with plot and live preview")
    denoise = window.find("denoise")
    window.until(denoise.isEnabled, 300)
    measured("Denoise is clicked while it trains", denoise.click)
    window.until(denoise.isEnabled, 600)
    window.viewer.layers.remove("noisy denoised")
    window.find("pause").click()
    measured("the view moves in a pause", look_around)
    window.find("pause").click()
    speeds: dict[bool, list[float]] = {True: [], False: []}
    for on in (True, False) * options.rounds:
        preview.setChecked(on)
        window.live(2)
        speeds[on].append(_speed(window, options.seconds / 2))
    preview.setChecked(True)
    window.live(5)
    measured("training is stopped", stop.click)
    window.until(train.isEnabled, 60)
    big = np.random.default_rng(1).normal(100, 20, (2048, 2048)).astype("float32")
    window.viewer.add_image(big, name="big")
    window.until(denoise.isEnabled, 60)
    window.live(2)
    late = Lateness()
    window.live(0.5)
    window.viewer.add_image(big, name="another")
    window.live(1)
    rows.append(late.row("napari adds a layer of 2048 x 2048 by itself"))
    window.viewer.layers.selection = {window.viewer.layers["big"]}
    window.viewer.layers.remove("another")
    window.live(2)
    late = Lateness()
    layers = len(window.viewer.layers)
    denoise.click()
    window.until(lambda: len(window.viewer.layers) > layers, 60)
    window.until(denoise.isEnabled, 300)
    window.live(0.5)
    rows.append(late.row("the result gets its layer and streams in"))
    for view in ("swipe", "side_by_side", "residual", "blink"):
        button = window.find(f"compare_{view}")
        window.until(button.isEnabled, 60)
        button.click()
        window.live(2)
        late = Lateness()
        window.live(0.2)
        button.click()
        window.live(1)
        rows.append(late.row(f"the comparison {view} is closed"))
    without = statistics.median(speeds[False])
    cost = 1 - statistics.median(speeds[True]) / without if without else float("nan")
    goal = (
        "Goal: median under 20 ms, 99th percentile under 50, worst under 150; preview and "
        f"plot at most 5 % of training speed, the preview cost {cost:.1%}."
    )
    report("ui", "How late the event loop is", rows, goal, speeds=list(speeds.values()))
    os._exit(0)  # napari's own goodbye asks questions


def _speed(window: Window, seconds: float) -> float:
    """Steps per second, by the loss curve."""
    plot = window.find("loss_plot")
    before, start = len(plot.history.steps), time.perf_counter()
    window.live(seconds)
    return (len(plot.history.steps) - before) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
