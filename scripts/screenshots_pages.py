"""Take the pictures of the pages, and an animation: see scripts/screenshots.

They show a first image from the click on *Open sample* to the result, with the default
settings. With QT_SCALE_FACTOR=2 a picture is twice as sharp as a page shows it.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtGui import QPixmap
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget, QScrollArea, QWidget
from screenshots_states import SPEED, STATES
from screenshots_window import IMAGES, Stage, pause, until

PICTURES = {
    "empty": "dock-empty",
    "fresh": "dock-fresh",
    "check": "dock-check",
    "settings": "dock-settings",
    "interrupted": "state-interrupted",
    "training": "state-training",
    "result": "dock-result",
    "compare": "state-compare",
    "grid": "dock",
}
"""Pictures in docs/images, by the name that this script gives them."""
ANIMATION = "training.webp"
WIDTH, DOCK_WIDTH = 735, 370
"""Pixels before scaling: a page shows a picture of this width in its own size."""
MARGIN = 4  # of the window, left of the canvas
ZOOM, CENTER = 2.0, (226, 206)
"""Canvas pixels per pixel of the sample, and a part of it with much structure."""
SHOWN = 100
"""Steps after which a picture shows the training."""
STEPS_PER_FRAME = 5
FRAME_WIDTH = 1000
SECONDS = {"start": 0.9, "training": 0.09, "result": 0.8, "line": 0.07, "end": 1.2}
"""How long a frame is shown."""


def main() -> None:
    """Go the whole way, once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=IMAGES, help="folder for the pictures")
    given = parser.parse_args()
    for name in ("HUSH_CONFIG_DIR", "HUSH_DATA_DIR"):  # a first start, and nobody's own
        os.environ[name] = tempfile.mkdtemp()
    SPEED.save("auto")  # this machine may be busy
    given.to.mkdir(parents=True, exist_ok=True)
    stage = Page(given.to)
    stage.names, stage.themes = PICTURES, ("dark",)
    before_training(stage)
    frames = train(stage)
    frames += after_training(stage)
    animate(frames, given.to / ANIMATION)
    os._exit(0)  # napari's own goodbye asks questions


class Page(Stage):
    """A window with the canvas and the dock alone, as narrow as a page."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, (WIDTH + MARGIN, 600), DOCK_WIDTH)
        self.canvas = self.window.findChild(QOpenGLWidget)
        for other in self.window.findChildren(QDockWidget):
            other.setVisible(other is self.frame)
        self.frames = Path(tempfile.mkdtemp())
        self.scroll = next(
            area
            for area in self.dock.findChildren(QScrollArea)
            if area.widget().isAncestorOf(self.find("noisy_layer"))
        )
        self.fit(600)

    def fit(self, height: int, width: int = WIDTH) -> None:
        """Give canvas and dock this size."""
        outside = self.window.height() - self.shown.height()
        self.window.resize(width + MARGIN, height + outside)
        self.window.resizeDocks([self.frame], [DOCK_WIDTH], Qt.Orientation.Horizontal)
        pause(0.5)

    @property
    def shown(self) -> QRect:
        """The part of the window with canvas and dock."""
        corner = self.canvas.mapTo(self.window, QPoint(0, 0))
        return QRect(
            corner.x(), corner.y(), self.window.width() - corner.x(), self.canvas.height()
        )

    def grab(self, seen: QWidget | None = None) -> QPixmap:
        """A picture of canvas and dock."""
        return self.window.grab(self.shown)

    def look(self) -> None:
        """Show the part of the sample with much structure, pixel by pixel."""
        self.viewer.scene.camera.zoom = ZOOM
        self.viewer.scene.camera.center = (0, *CENTER)
        pause(0.5)

    def scroll_to(self, name: str | None) -> None:
        """Scroll the dock until this control is at its top."""
        top = self.find(name).mapTo(self.scroll.widget(), QPoint(0, 0)).y() if name else 8
        self.scroll.verticalScrollBar().setValue(top - 8)
        pause(0.3)

    def frame_of(self, kind: str) -> tuple[str, Path]:
        """Keep a frame of the animation."""
        path = self.frames / f"{len(list(self.frames.iterdir())):04}.png"
        self.grab().save(str(path))
        return kind, path


def before_training(stage: Page) -> None:
    """From the empty dock to the settings."""
    stage.fit(480, 860)  # the welcome of napari needs the width
    stage.take("empty")
    stage.click("open_sample")
    until(lambda: "cells" in stage.viewer.layers and "Ready" in stage.text("status"))
    stage.settle()
    stage.fit(500)
    stage.look()
    stage.take("fresh")
    stage.fit(580)
    STATES["interrupted"](stage)
    stage.unfold("fold_check")
    stage.fit(690)
    stage.take("check")
    stage.unfold("fold_check", "fold_training", "fold_settings", "fold_blind_spot")
    stage.fit(790)
    stage.scroll_to("fold_settings")
    stage.take("settings")
    stage.unfold("fold_blind_spot", "fold_settings", "fold_training")


def train(stage: Page) -> list[tuple[str, Path]]:
    """Press *Denoise now*; returns frames of the animation."""
    stage.fit(700)
    stage.scroll_to(None)
    frames = [stage.frame_of("start")]
    stage.click("denoise_now")
    until(lambda: "PSNR" in stage.text("compare_numbers"))  # before training
    # The preview is seen best on the noisy image.
    stage.viewer.layers["cells denoised (before training)"].visible = False
    taken = False
    for step in steps(stage):
        stage.scroll_to("verdict")  # the dock grows with the loss curve
        frames.append(stage.frame_of("training"))
        if not taken and step >= SHOWN:
            stage.take("training", wait=0.0)
            taken = True
    return frames


def steps(stage: Page) -> Iterator[int]:
    """Now and then a step that is done, until nothing runs."""
    due = 0
    while not stage.at_rest:
        step = stage.dock.state.done
        if step >= due:
            yield step
            due = step + STEPS_PER_FRAME
        pause(0.05)


def after_training(stage: Page) -> list[tuple[str, Path]]:
    """The result and its comparisons; returns frames of the animation."""
    until(lambda: "cells denoised" in stage.viewer.layers and stage.at_rest)
    stage.settle()
    until(lambda: "heck" not in stage.text("verdict"))
    until(lambda: "PSNR" in stage.text("compare_numbers"))
    pause(2)
    stage.scroll_to("verdict")
    stage.take("result")
    frames = [stage.frame_of("result")]
    stage.click("compare_swipe")
    stage.look()
    stage.take("compare")
    frames.append(stage.frame_of("result"))
    frames += drag_the_line(stage)
    stage.click("compare_swipe")
    stage.scroll_to(None)
    stage.fit(860, 900)
    stage.click("compare_side_by_side")
    stage.look()
    stage.take("grid")
    return frames


def drag_the_line(stage: Page) -> list[tuple[str, Path]]:
    """Drag it left, and back to the middle."""
    middle, y = stage.canvas.width() // 2, stage.canvas.height() // 3
    reach = middle - 60
    path = [*range(0, -reach, -18), *range(-reach, reach, 18), *range(reach, 0, -18), 0]
    button = Qt.MouseButton.LeftButton
    QTest.mouseMove(stage.canvas, QPoint(middle, y))
    QTest.mousePress(stage.canvas, button, pos=QPoint(middle, y))
    frames = []
    for offset in path:
        QTest.mouseMove(stage.canvas, QPoint(middle + offset, y))
        pause(0.15)
        frames.append(stage.frame_of("line"))
    QTest.mouseRelease(stage.canvas, button, pos=QPoint(middle, y))
    pause(0.5)
    return [*frames, stage.frame_of("end")]


def animate(frames: list[tuple[str, Path]], path: Path) -> None:
    """Save the frames, one after another."""
    full = [Image.open(file).convert("RGB") for _, file in frames]
    width, height = (min(sides) for sides in zip(*(p.size for p in full), strict=True))
    size = FRAME_WIDTH, round(height * FRAME_WIDTH / width)
    pictures = [
        picture.crop((0, 0, width, height)).resize(size, Image.Resampling.LANCZOS)
        for picture in full
    ]
    pictures[0].save(
        path,
        save_all=True,
        append_images=pictures[1:],
        duration=[round(1000 * SECONDS[kind]) for kind, _ in frames],
        loop=0,
        quality=75,
        method=4,
    )
    print(path, flush=True)


if __name__ == "__main__":
    main()
