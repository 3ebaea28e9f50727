"""The first walk of a new user, as a list of clicks and seconds.

    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/first_walk.py FILE

Opens napari with FILE, as when a file is dropped on it; then clicks, with nothing stored
from earlier: *Plugins*, *Denoise*, *Denoise now*, *Save image …*, *Save*. Prints the time
of each click and what the saved file holds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import tifffile


def walk(file: Path) -> None:
    """Do it and print a table."""
    import napari
    from napari.viewer import Viewer
    from qtpy.QtCore import Qt, QTimer
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication, QDialogButtonBox, QFileDialog, QWidget

    started = time.perf_counter()
    rows: list[tuple[float, str]] = []

    def note(words: str) -> None:
        rows.append((time.perf_counter() - started, words))

    def until(condition, seconds: float = 600) -> None:
        end = time.perf_counter() + seconds
        while not condition():
            if time.perf_counter() > end:
                raise SystemExit(f"waited {seconds:.0f} s in vain after: {rows[-1][1]}")
            QApplication.processEvents()
            time.sleep(0.03)  # often takes time from the training

    viewer = Viewer()
    window = viewer.window._qt_window
    window.resize(1366, 768)
    note("napari is open")
    viewer.open(str(file), plugin="napari")
    note("the image is shown")
    until(lambda: time.perf_counter() - started > rows[-1][0] + 1)

    def click_menu(*titles: str) -> None:
        menu = viewer.window.plugins_menu
        note("click 1: Plugins")
        menu.aboutToShow.emit()
        for title in titles:
            action = next(a for a in menu.actions() if a.text().replace("&", "") == title)
            if action.menu() is None:
                note(f"click 2: {title}")
                action.trigger()
            else:
                menu = action.menu()
                menu.aboutToShow.emit()

    click_menu("Hush", "Denoise (Hush)")
    until(lambda: bool(viewer.window.dock_widgets))
    dock = next(iter(viewer.window.dock_widgets.values()))
    dock = dock.native if hasattr(dock, "native") else dock

    def find(name: str) -> QWidget:
        return dock.findChild(QWidget, name)

    def click(name: str, number: int) -> None:
        until(lambda: find(name).isEnabled() and find(name).isVisible())
        note(f"click {number}: {find(name).text()}")
        QTest.mouseClick(find(name), Qt.MouseButton.LeftButton)

    click("denoise_now", 3)
    until(lambda: len(viewer.layers) > 1 and find("denoise_now").isVisible(), 3600)
    until(lambda: find("verdict").text() not in ("", "Checking the result …"))
    note(f"the verdict: {find('verdict').text()}")

    def accept() -> None:
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, QFileDialog):
            QTimer.singleShot(200, accept)
            return
        note("click 5: Save")
        box = dialog.findChild(QDialogButtonBox)
        save = box.button(QDialogButtonBox.StandardButton.Save)
        QTest.mouseClick(save, Qt.MouseButton.LeftButton)

    QTimer.singleShot(500, accept)
    click("save_image", 4)
    until(lambda: find("status").text().startswith("Saved"))
    note(find("status").text())
    print(f"napari {napari.__version__}, {file.name}\n\n| s | |\n|---|---|")
    for seconds, words in rows:
        print(f"| {seconds:.1f} | {words} |")
    for path in sorted(file.parent.glob("*denoised*")):
        with tifffile.TiffFile(path) as tiff:
            series, page = tiff.series[0], tiff.pages[0]
            tags = {name: page.tags[name].value for name in ("XResolution",)}
            print(f"\n{path.name}: {series.axes} {series.shape} {series.dtype}, {tags}")
            print({k: v for k, v in (tiff.imagej_metadata or {}).items() if k == "unit"})
    viewer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    for variable in ("HUSH_CONFIG_DIR", "HUSH_DATA_DIR", "NAPARI_CONFIG"):
        os.environ[variable] = str(Path(tempfile.mkdtemp()) / "napari.yaml")
    copy = Path(tempfile.mkdtemp()) / options.file.name
    shutil.copy(options.file, copy)
    walk(copy)
