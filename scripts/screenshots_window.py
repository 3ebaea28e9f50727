"""A window with the dock and a camera, for scripts/screenshots."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import napari
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QApplication, QWidget

IMAGES = Path(__file__).parents[1] / "docs" / "images"
PATIENCE = 1800.0  # seconds that training may take on a slow machine
THEMES = "dark", "light"


class Stage:
    """A window with the dock, and a camera that saves pictures in `folder`."""

    def __init__(self, folder: Path, size: tuple[int, int], dock_width: int) -> None:
        self.folder = folder
        self.suffix = ""
        self.names: Mapping[str, str] | None = None
        """Names of the pictures to save, by state; None for all."""
        self.themes = THEMES
        self.dock_only = False
        self.viewer = napari.Viewer()
        self.frame, self.dock = self.viewer.window.add_plugin_dock_widget(
            "napari-hush", "Denoise"
        )
        self.window = self.frame.window()
        self.window.resize(*size)
        self.dock.setMinimumWidth(min(dock_width, 300))
        self.window.resizeDocks([self.frame], [dock_width], Qt.Orientation.Horizontal)
        pause(2)

    def find(self, name: str) -> QWidget:
        return control(self.dock, QWidget, name)

    def text(self, name: str) -> str:
        return str(self.find(name).text())

    def click(self, name: str) -> None:
        self.find(name).click()
        pause(0.1)

    def unfold(self, *names: str) -> None:
        """Open or close these sections."""
        for name in names:
            self.click(name)

    def ready(self, name: str) -> None:
        """Wait until a button can be pressed."""
        until(self.find(name).isEnabled)

    @property
    def at_rest(self) -> bool:
        """Whether nothing runs."""
        return not self.dock.state.busy

    def settle(self) -> None:
        """Wait until the noise of the chosen layer has been checked."""
        pause(1)
        until(lambda: self.at_rest and "heck" not in self.text("noise"))

    def denoise(self) -> None:
        """Denoise with the current model, and check the result."""
        self.ready("denoise")
        self.click("denoise")
        self.ready("denoise")
        pause(3)

    def show(self, pixels, name: str, *, keep: bool = False, **look: object) -> None:
        """Show `pixels` as the chosen layer."""
        if not keep:
            self.viewer.layers.clear()
        self.viewer.add_image(pixels, name=name, **look)
        self.find("noisy_layer").setCurrentText(name)
        self.viewer.reset_view()

    def grab(self, seen: QWidget | None) -> QPixmap:
        """A picture of the window, or of `seen`."""
        return (seen or (self.dock if self.dock_only else self.window)).grab()

    def take(
        self,
        name: str,
        *,
        seen: QWidget | None = None,
        wait: float = 0.6,
        themes: tuple[str, ...] | None = None,
    ) -> None:
        """Save pictures of the window, or of `seen`, in each theme."""
        if self.names is not None and name not in self.names:
            return
        called = name if self.names is None else self.names[name]
        for theme in themes or self.themes:
            if self.viewer.theme != theme:
                self.viewer.theme = theme
            pause(wait)
            ending = "" if self.names and theme == "dark" else f"-{theme}"
            save(self.grab(seen), self.folder / f"{called}{self.suffix}{ending}.png")
        self.viewer.theme = "dark"


def save(picture: QPixmap, path: Path) -> None:
    """Save a picture in as few bytes as its pixels need."""
    picture.save(str(path))
    Image.open(path).convert("RGB").save(path, optimize=True)
    print(path, flush=True)


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
