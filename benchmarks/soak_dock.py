"""A hundred rounds of train, stop and denoise in one window; it must stay as it was.

    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/soak_dock.py [--rounds 100]

Each round trains for two steps with previews as often as they can be had, begins a training
that would take for ever and stops it, denoises into a new layer, looks at the result, and
removes it. Memory is what the process holds (resident set), after a tenth of the rounds and
at the end. Threads and warnings are counted.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import os
import tempfile
import threading
import warnings
from typing import Any

import numpy as np
import psutil
from ui import Window

LIMIT_MB = 50


def main() -> None:
    """Go round and round."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    faulthandler.enable()
    os.environ["HUSH_CONFIG_DIR"] = tempfile.mkdtemp()
    os.environ["HUSH_DATA_DIR"] = tempfile.mkdtemp()
    _preview_always()
    window = Window()
    window.viewer.add_image(
        np.random.default_rng(0).normal(100, 20, (96, 96)).astype("float32"), name="noisy"
    )
    window.until(window.find("train").isEnabled, 60)
    window.live(3)  # until the engine is loaded
    window.dock.setValue(_tiny(num_epochs=1))
    before = _held(), threading.active_count()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for turn in range(rounds):
            if turn == rounds // 10:
                before = _held(), threading.active_count()
            _round(window, turn)
            if turn % 10 == 9:
                print(f"round {turn + 1}: {_held():.0f} MB", flush=True)
    grown, threads = _held() - before[0], threading.active_count() - before[1]
    said = [f"{one.filename}:{one.lineno}: {one.message}" for one in caught]
    print(f"{rounds} rounds: {grown:+.1f} MB, {threads:+d} threads, {len(said)} warnings")
    print("\n".join(sorted(set(said))))
    good = grown < LIMIT_MB and threads <= 0 and not said
    print("as it was" if good else "NOT AS IT WAS", flush=True)
    os._exit(not good)  # napari's own goodbye asks questions


def _round(window: Window, turn: int) -> None:
    viewer, find = window.viewer, window.find
    window.dock.setValue(_tiny(num_epochs=1))
    find("train").click()
    window.until(find("train").isEnabled, 120)
    window.dock.setValue(_tiny(num_epochs=100_000))
    find("train").click()
    window.until(lambda: "of 200,000" in find("status").text(), 120)
    find("stop").click()
    window.until(find("denoise").isEnabled, 120)
    find("denoise").click()
    window.until(find("denoise").isEnabled, 120)
    views = ("swipe", "side_by_side", "residual", "blink")
    way = find(f"compare_{views[turn % 4]}")
    way.click()
    window.live(0.05)
    way.click()
    for layer in list(viewer.layers)[1:]:
        viewer.layers.remove(layer)
    window.live(0.05)


def _tiny(num_epochs: int) -> Any:
    from napari_hush.config import create_n2v_configuration

    config = create_n2v_configuration(
        "soak", "array", "YX", [16, 16], 1, num_epochs=num_epochs, num_steps=2,
        model_params={"num_channels_init": 8, "depth": 1},
    )  # fmt: skip
    return config.replace(training_config=config.training_config.replace(device="cpu"))


def _preview_always() -> None:
    from napari_hush.lightning import PreviewCallback
    from napari_hush.widgets.jobs import tasks

    def callbacks(self: Any, report: Any) -> tuple[Any, ...]:
        self.previewer.report = report
        return (PreviewCallback(self.previewer.update, share=1.0, every_s=0.0),)

    tasks.Training._callbacks = callbacks  # type: ignore[method-assign]


def _held() -> float:
    """MB that the process holds now."""
    gc.collect()
    return float(psutil.Process().memory_info().rss / 1e6)


if __name__ == "__main__":
    main()
