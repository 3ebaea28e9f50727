"""Train and denoise in a real window, and take its picture: see scripts/screenshots."""

import argparse
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
    given = parser.parse_args()

    viewer = napari.Viewer()
    frame, dock = viewer.window.add_plugin_dock_widget("napari-hush", "Denoise")
    window = frame.window()
    window.resize(*WINDOW)
    window.resizeDocks([frame], [DOCK_WIDTH], Qt.Orientation.Horizontal)
    viewer.open_sample("napari-hush", "simulated")
    viewer.layers.remove("cells (ground truth)")

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
    IMAGES.mkdir(exist_ok=True)
    for theme, name in (("dark", "dock.png"), ("light", "dock-light.png")):
        viewer.theme = theme
        pause(1)
        window.grab().save(str(IMAGES / name))
        print(f"docs/images/{name}")
    viewer.close()


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
