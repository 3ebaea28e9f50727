"""Train and denoise in a real window, and take its picture: see scripts/screenshots."""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QSpinBox, QWidget

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WINDOW = 1480, 800
DOCK_WIDTH = 330
EPOCHS, STEPS = 8, 12
PATIENCE = 1800.0  # seconds that training may take on a slow machine


def main() -> None:
    """Go the whole way, once, and take a picture of it in each theme."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument(
        "--before", action="store_true", help="only what there is before a training"
    )
    given = parser.parse_args()

    os.environ["HUSH_CONFIG_DIR"] = tempfile.mkdtemp()  # a first start, and nobody's own
    os.environ["HUSH_DATA_DIR"] = tempfile.mkdtemp()
    viewer = napari.Viewer()
    frame, dock = viewer.window.add_plugin_dock_widget("napari-hush", "Denoise")
    window = frame.window()
    window.resize(*WINDOW)
    window.resizeDocks([frame], [DOCK_WIDTH], Qt.Orientation.Horizontal)
    viewer.open_sample("napari-hush", "simulated")
    viewer.layers.remove("cells (ground truth)")

    IMAGES.mkdir(exist_ok=True)
    take_before(dock, viewer)
    if given.before:
        viewer.close()
        return

    control(dock, QSpinBox, "num_epochs").setValue(given.epochs)
    control(dock, QSpinBox, "num_steps").setValue(STEPS)
    train, denoise = control(dock, QWidget, "train"), control(dock, QWidget, "denoise")
    train.click()
    until(train.isEnabled)
    denoise.click()
    until(denoise.isEnabled)

    viewer.canvas.grid.enabled = True
    viewer.reset_view()
    viewer.scene.camera.zoom *= 2.1  # the two halves, each filled to the top
    for theme, name in (("dark", "dock.png"), ("light", "dock-light.png")):
        viewer.theme = theme
        pause(1)
        window.grab().save(str(IMAGES / name))
        print(f"docs/images/{name}")
    viewer.close()


def take_before(dock: QWidget, viewer: napari.Viewer) -> None:
    """Take the dock alone: fresh, with its data checked, with its settings open."""
    for name, folds in (
        ("dock-fresh", ()),
        ("dock-check", ("fold_check",)),
        ("dock-settings", ("fold_settings", "fold_blind_spot")),
    ):
        headings = []
        for fold in folds:
            headings.append(control(dock, QWidget, fold))
            headings[-1].click()
        if "fold_check" in folds:
            until(control(dock, QWidget, "check_patch_1").isVisible)
        for theme, ending in (("dark", ""), ("light", "-light")):
            viewer.theme = theme
            pause(1)
            dock.grab().save(str(IMAGES / f"{name}{ending}.png"))
            print(f"docs/images/{name}{ending}.png")
        for heading in reversed(headings):
            heading.click()


def control(dock: QWidget, kind: type, name: str) -> QWidget:
    """Find a control by its objectName."""
    found = dock.findChild(kind, name)
    if found is None:
        raise LookupError(name)
    return found


def until(condition: Callable[[], bool]) -> None:
    """Let the window live until `condition` holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        pause(0.05)


def pause(seconds: float) -> None:
    """Let the window live for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    main()
