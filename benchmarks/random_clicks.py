"""Random clicks, keys, drops and menus in a real window; none may raise an error.

    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/random_clicks.py [--seed 0]

Both docks are open beside a small image, a stack, shapes, a folder of images and a model.
Each of ``--clicks`` actions is drawn with the seed: on any control of the docks that can be
seen and is enabled, on the layers, or on the docks themselves, also while training and
denoising run. Dialogs and menus are answered at random. Prints the slowest actions, and
every error with the actions before it; exits with 1 if there is one.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import random
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from ui import Window

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER_MS = 40
"""Milliseconds until a dialog or menu is answered."""
HANGS_S = 60
"""Seconds for one action, after which the window counts as blocked."""
TEXTS = ("", "YX", "ZYX", "abc", "0", "-1", "1e9", "64, 64", "*.tif", "ä “b”", "../x")
RUNS = ("denoise_now", "train", "train_on", "denoise", "pause", "stop", "cancel")
FILES_RUNS = ("files_start", "files_cancel")
SHARES = {"control": 60, "run": 15, "key": 8, "drop": 6, "layers": 8, "dock": 3}
"""How often each kind of action is drawn."""


class Errors(logging.Handler):
    """Everything that went wrong, with the actions before it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []
        self.history: deque[str] = deque(maxlen=8)

    def watch(self) -> None:
        """Take errors of all threads, of napari, and those that are logged."""
        from napari.utils.notifications import ErrorNotification, notification_manager

        def thrown(kind: Any, error: Any, trace: Any) -> None:
            self.add("".join(traceback.format_exception(kind, error, trace)))

        def notified(notification: Any) -> None:
            if isinstance(notification, ErrorNotification):
                error = notification.exception
                thrown(type(error), error, error.__traceback__)

        # napari puts its own hooks in place when a window opens.
        sys.excepthook = thrown
        threading.excepthook = lambda args: thrown(*args[:3])
        sys.unraisablehook = lambda args: thrown(args.exc_type, args.exc_value, None)
        notification_manager.notification_ready.connect(notified)
        logging.getLogger().addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.add(self.format(record))

    def add(self, text: str) -> None:
        """Add an error."""
        self.found.append(f"{text.strip()}\nafter: " + "; ".join(self.history))


class Person:
    """Does random things in a window."""

    def __init__(self, seed: int, folder: Path) -> None:
        from qtpy.QtCore import QTimer
        from qtpy.QtTest import QTest

        self.draw = random.Random(seed)  # noqa: S311
        self.window = Window()
        self.viewer = self.window.viewer
        self.paths = _files(folder)
        self.errors = Errors()
        self.slowest: list[tuple[float, str]] = []
        self._test = QTest
        self._later = QTimer.singleShot
        self._answer()

    # ---- Set up and take down

    def begin(self) -> None:
        """Open everything."""
        from qtpy.QtGui import QDesktopServices

        QDesktopServices.openUrl = lambda url: True
        self._add_image("cells", (96, 96))
        self._add_image("stack", (6, 64, 64))
        self.viewer.add_shapes([np.array([[10, 10], [10, 60], [60, 60], [60, 10]])])
        self.viewer.add_labels(np.zeros((96, 96), int), name="mask")
        self._open("Denoise files")
        self._docks()["files_dock"].findChild(self.window._kind, "files_source").setText(
            str(self.paths[0])
        )
        self.window.live(3)  # until the engine is loaded
        self._settle()
        self.errors.watch()

    def end(self) -> None:
        """Stop everything, and wait for it."""
        self.errors.history.append("the end")
        for _ in range(3):
            for name in (*RUNS[-3:], FILES_RUNS[-1]):
                self._click_if(name)
            self.window.live(0.5)
        self.window.until(lambda: not self._busy(), 120)

    def _settle(self) -> None:
        """Choose settings with which a training takes a moment."""
        from napari_hush.config import create_n2v_configuration

        config = create_n2v_configuration(
            "random", "array", "YX", [16, 16], 2, num_epochs=3, num_steps=10,
            model_params={"num_channels_init": 8, "depth": 1},
        )  # fmt: skip
        training = config.training_config.replace(device="cpu")
        if (dock := self._docks().get("denoise_dock")) and not dock.state.busy:
            dock.setValue(config.replace(training_config=training))

    def _busy(self) -> bool:
        dock = self._docks().get("denoise_dock")
        cancel = self._find("files_cancel")
        return bool((dock and dock.state.busy) or (cancel and cancel.isVisible()))

    # ---- Actions

    def act(self) -> None:
        """Do one thing, and let the window live for a moment."""
        (kind,) = self.draw.choices(list(SHARES), list(SHARES.values()))
        before = time.thread_time()
        self.errors.history.append(kind)
        try:
            what = getattr(self, f"_{kind}")()
        except Exception:  # of napari's public functions
            self.errors.add(traceback.format_exc())
            what = "an error"
        self.errors.history[-1] = f"{kind} {what}"
        self.window.live(self.draw.choice((0.01, 0.05, 0.3)))
        self.slowest.append((1000 * (time.thread_time() - before), f"{kind} {what}"))

    def _control(self) -> str:
        controls = [
            control
            for dock in self._docks().values()
            for control in dock.findChildren(self.window._kind)
            if self._takes_clicks(control)
        ]
        if not controls:
            return "nothing"
        control = self.draw.choice(controls)
        self._show(control)
        self._use(control)
        return _name(control)

    def _takes_clicks(self, control: Any) -> bool:
        from qtpy.QtCore import Qt

        return bool(
            control.isVisible()
            and control.isEnabled()
            and control.focusPolicy() != Qt.FocusPolicy.NoFocus
            and min(control.width(), control.height()) > 2
        )

    def _use(self, control: Any) -> None:
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QLineEdit

        place = QPoint(
            self.draw.randrange(control.width()), self.draw.randrange(control.height())
        )
        if isinstance(control, QLineEdit):
            self._test.mouseClick(control, Qt.MouseButton.LeftButton, pos=place)
            control.selectAll()
            text = self.draw.choice([*TEXTS, *map(str, self.paths)])
            control.insert(text)
            self._test.keyClick(control, Qt.Key.Key_Return)
        elif isinstance(control, QAbstractSpinBox | QComboBox):
            control.setFocus()
            keys = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_End)
            for key in self.draw.choices(keys, k=self.draw.randrange(1, 4)):
                self._test.keyClick(control, key)
        elif self.draw.random() < 0.1:
            self._test.mouseDClick(_viewport(control), Qt.MouseButton.LeftButton, pos=place)
        else:
            middle = control.rect().center() if self.draw.random() < 0.7 else place
            self._test.mouseClick(_viewport(control), Qt.MouseButton.LeftButton, pos=middle)

    def _run(self) -> str:
        if self.draw.random() < 0.3:
            self._settle()
        names = [name for name in (*RUNS, *FILES_RUNS) if self._can_click(name)]
        name = self.draw.choice(names) if names else ""
        self._click_if(name)
        return name

    def _key(self) -> str:
        from qtpy.QtCore import Qt
        from qtpy.QtWidgets import QApplication

        dock = self._any_dock()
        focus = QApplication.focusWidget()
        if dock is None or focus is None or not dock.isAncestorOf(focus):
            return "nowhere"
        names = ("Tab", "Space", "Escape", "Return", "Down", "F1", "T", "D", "N", "X")
        name = self.draw.choice(names)
        modifier = Qt.KeyboardModifier.NoModifier
        if len(name) == 1:
            modifier = Qt.KeyboardModifier.AltModifier
        self._test.keyClick(focus, getattr(Qt.Key, f"Key_{name}"), modifier)
        return f"{name} in {_name(focus)}"

    def _drop(self) -> str:
        from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
        from qtpy.QtGui import QDragEnterEvent, QDropEvent
        from qtpy.QtWidgets import QApplication

        dock = self._any_dock()
        if dock is None:
            return "nowhere"
        takers = [one for one in dock.findChildren(self.window._kind) if one.acceptDrops()]
        target = self.draw.choice([dock, *(one for one in takers if one.isVisible())])
        paths = self.draw.sample(self.paths, self.draw.choice((1, 1, 2)))
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        common = mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        actions = Qt.DropAction.MoveAction | Qt.DropAction.CopyAction
        over = QDragEnterEvent(QPoint(5, 5), actions, *common)
        QApplication.sendEvent(target, over)
        if over.isAccepted():
            QApplication.sendEvent(target, QDropEvent(QPointF(5, 5), actions, *common))
        return f"{[path.name for path in paths]} on {_name(target)}"

    def _layers(self) -> str:
        layers, viewer = list(self.viewer.layers), self.viewer
        what = self.draw.choice(
            ("add", "remove", "rename", "select", "hide", "scroll", "3D", "theme", "resize")
        )
        layer = self.draw.choice(layers) if layers else None
        match what:
            case "add":
                shape = self.draw.choice([(96, 96), (6, 64, 64), (3, 5, 32, 32)])
                self._add_image(f"new {len(layers)}", shape)
            case "remove" if len(layers) > 2:
                viewer.layers.remove(layer)
            case "rename" if layer is not None:
                layer.name = self.draw.choice(("a", "cells", "“b” & c", layer.name * 3))
            case "select" if layer is not None:
                viewer.layers.selection = {layer}
            case "hide" if layer is not None:
                layer.visible = not layer.visible
            case "scroll" if viewer.dims.ndim > 2:
                viewer.dims.set_current_step(0, self.draw.randrange(6))
            case "3D":
                viewer.dims.ndisplay = self.draw.choice((2, 2, 3))
            case "theme":
                viewer.theme = self.draw.choice(("dark", "light"))
            case "resize":
                size = self.draw.choice(((1600, 1000), (1366, 768), (900, 600)))
                viewer.window._qt_window.resize(*size)
        return what

    def _dock(self) -> str:
        docks = self._docks()
        if len(docks) < 2 or self.draw.random() < 0.5:
            name = self.draw.choice(("Denoise", "Denoise files"))
            self._open(name)
            return f"open {name}"
        dock = self.draw.choice(list(docks.values()))
        name = dock.objectName()
        dock.parent().destroyOnClose()
        return f"close {name}"

    # ---- Helpers

    def _open(self, name: str) -> None:
        self.viewer.window.add_plugin_dock_widget("napari-hush", name)

    def _docks(self) -> dict[str, Any]:
        docks = self.viewer.window.dock_widgets.values()
        return {dock.objectName(): dock for dock in docks}

    def _any_dock(self) -> Any:
        docks = list(self._docks().values())
        return self.draw.choice(docks) if docks else None

    def _find(self, name: str) -> Any:
        found = (d.findChild(self.window._kind, name) for d in self._docks().values())
        return next(filter(None, found), None) if name else None

    def _can_click(self, name: str) -> bool:
        button = self._find(name)
        return button is not None and button.isVisible() and button.isEnabled()

    def _click_if(self, name: str) -> None:
        from qtpy.QtCore import Qt

        if self._can_click(name):
            self._test.mouseClick(self._find(name), Qt.MouseButton.LeftButton)

    def _show(self, control: Any) -> None:
        from qtpy.QtWidgets import QScrollArea

        widget = control.parentWidget()
        while widget is not None and not isinstance(widget, QScrollArea):
            widget = widget.parentWidget()
        if widget is not None:
            widget.ensureWidgetVisible(control)

    def _add_image(self, name: str, shape: tuple[int, ...]) -> None:
        pixels = np.random.default_rng(0).poisson(20, shape).astype("uint16")
        self.viewer.add_image(pixels, name=name)

    def _answer(self) -> None:
        """Choose something in the dialog or menu that is open, or close it."""
        from qtpy.QtCore import Qt
        from qtpy.QtWidgets import QAbstractButton, QApplication, QFileDialog, QMenu

        # Another time first: what is clicked may open a dialog, and return when it closes.
        self._later(ANSWER_MS, self._answer)
        popup = QApplication.activePopupWidget()
        if popup is not None:
            if isinstance(popup, QMenu) and self.draw.random() < 0.7:
                actions = [a for a in popup.actions() if a.isEnabled() and not a.menu()]
                if actions:
                    place = popup.actionGeometry(self.draw.choice(actions)).center()
                    self._test.mouseClick(popup, Qt.MouseButton.LeftButton, pos=place)
                    return
            popup.close()
            return
        dialog = QApplication.activeModalWidget()
        if isinstance(dialog, QFileDialog) and self.draw.random() < 0.7:
            path = self.draw.choice(self.paths)
            if dialog.acceptMode() == QFileDialog.AcceptMode.AcceptSave:
                path = path.with_name(f"saved {self.draw.randrange(5)}")
            dialog.selectFile(str(path))
            self._test.keyClick(dialog, Qt.Key.Key_Return)
            return
        if dialog is None:
            return
        buttons = [
            b for b in dialog.findChildren(QAbstractButton) if b.isVisible() and b.text()
        ]
        if not isinstance(dialog, QFileDialog) and buttons and self.draw.random() < 0.8:
            self._test.mouseClick(self.draw.choice(buttons), Qt.MouseButton.LeftButton)
        elif dialog.isVisible():
            dialog.close()


def _viewport(control: Any) -> Any:
    """What takes the clicks of a control: lists have a part for that."""
    viewport: Callable[[], Any] | None = getattr(control, "viewport", None)
    return control if viewport is None else viewport()


def _name(control: Any) -> str:
    while not control.objectName() and control.parentWidget() is not None:
        control = control.parentWidget()
    return f"{control.objectName()} ({type(control).__name__})"


def _files(folder: Path) -> list[Path]:
    """A folder with images, and files to drop and to choose."""
    from napari_hush import CAREamist
    from napari_hush.config import create_n2v_configuration

    rng = np.random.default_rng(0)
    raw = folder / "raw"
    raw.mkdir()
    for number in range(4):
        tifffile.imwrite(raw / f"{number}.tif", rng.poisson(20, (200, 200)).astype("u2"))
    tifffile.imwrite(folder / "stack.tif", rng.poisson(20, (5, 48, 48)).astype("u2"))
    (folder / "notes.docx").write_bytes(b"PK")
    (folder / "broken.tif").write_bytes(b"no image")
    small = {"num_channels_init": 8, "depth": 1}
    engine = CAREamist(
        create_n2v_configuration(
            "m", "array", "YX", [16, 16], 2, num_epochs=1, num_steps=2, model_params=small
        )
    )
    engine.train(train_source=rng.poisson(20, (64, 64)).astype("u2"))
    model = engine.save(folder / "model.safetensors")
    names = ("stack.tif", "notes.docx", "broken.tif", "gone.tif")
    return [raw, model, *(folder / name for name in names)]


def main() -> None:
    """Click, and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clicks", type=int, default=200)
    parser.add_argument("--verbose", action="store_true", help="print every action")
    options = parser.parse_args()
    faulthandler.enable()
    folder = Path(tempfile.mkdtemp())
    for name in ("CONFIG", "DATA"):
        os.environ[f"HUSH_{name}_DIR"] = str(folder / name)
    os.chdir(folder)
    person = Person(options.seed, folder)
    person.begin()
    for number in range(options.clicks):
        faulthandler.dump_traceback_later(HANGS_S, exit=True)
        person.act()
        if options.verbose:
            print(number, person.errors.history[-1], flush=True)
    faulthandler.dump_traceback_later(3 * HANGS_S, exit=True)
    person.end()
    faulthandler.cancel_dump_traceback_later()
    for milliseconds, what in sorted(person.slowest, reverse=True)[:5]:
        print(f"{milliseconds:6.0f} ms CPU of the window: {what}")
    found = person.errors.found
    print("\n\n".join(found))
    print(f"seed {options.seed}: {options.clicks} actions, {len(found)} errors", flush=True)
    os._exit(bool(found))  # napari's own goodbye asks questions


if __name__ == "__main__":
    main()
