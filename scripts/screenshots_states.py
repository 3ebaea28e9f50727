"""Take a picture of the dock in every state that it knows: see scripts/screenshots.

The training is short: what counts here is how the dock looks, not how good its model is.
"""

import argparse
import os
import tempfile
from contextlib import suppress

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSpinBox, QWidget
from screenshots_window import DOCK_WIDTH, IMAGES, control, pause, until

from napari_hush.events import StepsDone
from napari_hush.widgets.data.training_data import TrainingData
from napari_hush.widgets.jobs.crash_recovery import discard, interrupted_runs
from napari_hush.widgets.jobs.tasks import StopRequest, Training

WINDOW = 1280, 1000
NARROW = 300
LARGE = 3072  # side in pixels of the image that is denoised halfway


class Stage:
    """A window with the dock and simulated cells, and a camera."""

    def __init__(self) -> None:
        self.viewer = napari.Viewer()
        frame, self.dock = self.viewer.window.add_plugin_dock_widget(
            "napari-hush", "Denoise"
        )
        self.window = frame.window()
        self.window.resize(*WINDOW)
        self.window.resizeDocks([frame], [DOCK_WIDTH], Qt.Orientation.Horizontal)
        self.viewer.open_sample("napari-hush", "simulated")
        self.truth = self.viewer.layers["cells (ground truth)"]
        pause(2)

    def find(self, name: str, kind: type = QWidget) -> QWidget:
        return control(self.dock, kind, name)

    def take(self, name: str, *, whole: bool = False, colours: int = 128) -> None:
        """Save a picture of the dock, or of the whole window."""
        pause(0.5)
        seen = self.window if whole else self.dock
        path = IMAGES / f"{name}.png"
        seen.grab().save(str(path))
        picture = (
            Image.open(path).convert("RGB").quantize(colours, dither=Image.Dither.NONE)
        )
        picture.save(path, optimize=True)
        print(f"docs/images/{name}.png")

    def train(self, *, steps: int) -> None:
        for name, value in (
            ("num_epochs", 50),
            ("num_steps", steps),
            ("batch_size", 8),
            ("patch_size_yx", 32),
        ):
            self.find(name, QSpinBox).setValue(value)
        self.find("train").click()
        plot = self.find("loss_plot")
        until(lambda: len(plot.history.steps) > 3 * steps)


def main() -> None:
    """Go from state to state."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--idle", metavar="NAME", help="the idle dock alone, called so")
    given = parser.parse_args()
    os.environ["HUSH_CONFIG_DIR"] = tempfile.mkdtemp()
    os.environ["HUSH_DATA_DIR"] = tempfile.mkdtemp()
    stage = Stage()
    if given.idle:
        stage.viewer.layers.remove(stage.truth)
        stage.take(given.idle)
    else:
        take_states(stage)
    os._exit(0)  # napari's own goodbye asks questions


def take_states(stage: Stage) -> None:
    """Training, paused, denoising half way, compared, failed, and narrow."""
    find = stage.find
    find("fold_data").click()
    find("truth_layer").setCurrentText(stage.truth.name)
    find("fold_data").click()
    stage.truth.visible = False
    stage.train(steps=10)
    until(lambda: any("live preview" in layer.name for layer in stage.viewer.layers))
    stage.take("state-training", whole=True)
    find("pause").click()
    until(lambda: find("pause").text() == "Resume")
    stage.take("state-paused")
    find("stop").click()
    until(find("denoise").isEnabled)
    find("denoise").click()
    until(find("denoise").isEnabled)
    until(lambda: "PSNR" in find("compare_numbers").text())
    find("compare_swipe").click()
    stage.take("state-compare", whole=True)
    stage.viewer.theme = "light"
    stage.take("state-compare-light", whole=True)
    stage.viewer.theme = "dark"
    find("compare_swipe").click()
    take_half_way(stage)
    take_interrupted(stage)
    take_failure(stage)
    take_narrow(stage)


def take_half_way(stage: Stage) -> None:
    """A large layer while its result fills."""
    rng = np.random.default_rng(0)
    cells = np.asarray(stage.truth.data, np.float32)
    turns = [-(-LARGE // size) for size in cells.shape]
    tiled = np.tile(cells, turns)[:LARGE, :LARGE]
    noisy = rng.poisson(tiled).astype(np.float32)
    stage.viewer.add_image(noisy, name="mosaic", scale=stage.truth.scale)
    stage.find("noisy_layer").setCurrentText("mosaic")
    until(stage.find("denoise").isEnabled)
    stage.viewer.reset_view()
    stage.find("denoise").click()
    bar, ready = stage.find("progress"), stage.find("denoise")
    until(lambda: 3 * bar.value() > bar.maximum() > 4 or ready.isEnabled())
    stage.take("state-denoising", whole=True, colours=40)
    stage.find("cancel").click()
    until(ready.isEnabled)


def take_failure(stage: Stage) -> None:
    """Pixels that cannot be learned from."""
    broken = np.asarray(stage.truth.data, np.float32).copy()
    broken[3, 4] = np.nan
    stage.viewer.add_image(broken, name="broken", visible=False)
    stage.find("noisy_layer").setCurrentText("broken")
    until(stage.find("train").isEnabled)
    stage.find("train").click()
    until(stage.find("train").isEnabled)
    stage.take("state-failed")


def take_interrupted(stage: Stage) -> None:
    """An interrupted training, as a newly opened dock finds it."""
    cells = np.asarray(stage.truth.data)
    task = Training(stage.dock.value(), TrainingData((cells,)), "cells")

    def crash(event: object) -> None:
        if isinstance(event, StepsDone):
            raise InterruptedError

    with suppress(InterruptedError):
        task(crash, StopRequest())
    stage.find("interrupted").refresh()
    stage.take("state-interrupted")
    discard(interrupted_runs()[0].folder)
    stage.find("interrupted").refresh()


def take_narrow(stage: Stage) -> None:
    """As narrow as a dock may be."""
    stage.dock.setMinimumWidth(NARROW)
    frame = stage.dock.parentWidget()
    stage.window.resizeDocks([frame], [NARROW], Qt.Orientation.Horizontal)
    stage.take("state-narrow")


if __name__ == "__main__":
    main()
