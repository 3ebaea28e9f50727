"""Denoise now, by one click each, on images of several kinds.

    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/one_click.py NOISY=CLEAN ...
        [--presets "Quick look" Balanced Best]

Each NOISY file is opened in a real napari window and denoised by a mouse click on the
button "Denoise now" of a new dock. CLEAN is its ground truth, for SI-PSNR; ``file.tif:0``
is the first channel. Prints the method, the optimizer steps, seconds from the click to the
result, SI-PSNR (dB) of the noisy image and of the result, and the verdict on screen; with
``--save FOLDER`` also writes pictures of the window.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import tifffile
from numpy.typing import NDArray


def pixels_of(name: str) -> NDArray[Any]:
    """Pixels of a file, or of one channel of it."""
    file, _, channel = name.rpartition(":")
    path = Path(file if channel.isdigit() else name)
    if path.suffix == ".png":
        return np.asarray(PIL.Image.open(path))
    pixels = tifffile.imread(path)
    return pixels[int(channel)] if channel.isdigit() else pixels


def denoise(
    noisy: NDArray[Any], name: str, preset: str, folder: Path | None
) -> dict[str, Any]:
    """Denoise `noisy` by one click in a new window, with the `preset` chosen before."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest
    from ui import Window

    from napari_hush.config.training import PRESETS

    window = Window()
    window.pause = 0.03  # a person looks less often
    window.viewer.window._qt_window.resize(1366, 768)
    window.viewer.add_image(noisy, name=name)
    button = window.find("denoise_now")
    window.until(button.isEnabled, 60)
    window.find(f"preset_{[one.name for one in PRESETS].index(preset)}").click()
    window.live(2)
    label = button.text()
    started = time.perf_counter()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    window.until(lambda: f"{name} denoised" in window.viewer.layers, 3600)
    window.until(button.isEnabled, 600)
    seconds = time.perf_counter() - started
    verdict = window.find("verdict")
    window.until(lambda: verdict.isVisible() and bool(verdict.text()), 120)
    window.live(1)
    if folder is not None:
        window.viewer.window._qt_window.grab().save(str(folder / f"{name}.png"))
    model = window.dock.model
    found = {
        "clean": np.asarray(window.viewer.layers[f"{name} denoised"].data),
        "label": label,
        "seconds": seconds,
        "steps": model.steps,
        "method": window.find("model_card").text().split("\n")[0],
        "verdict": verdict.text(),
        "noise": window.find("noise").text(),
    }
    window.viewer.close()
    return found


def main() -> None:
    """Denoise each file and print a row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", nargs="+", metavar="NOISY=CLEAN")
    parser.add_argument("--presets", nargs="+", default=["Balanced"])
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    from napari_hush.quality import si_psnr

    print(
        "| image | noise | button | method | steps | s | noisy dB | result dB | verdict |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for pair in options.pairs:
        noisy_file, _, clean_file = pair.partition("=")
        noisy, clean = pixels_of(noisy_file), pixels_of(clean_file).astype(float)
        high = np.percentile(clean, 99.9)
        if clean.max() > 4 * high:  # hot pixels
            clean = np.minimum(clean, high)
        name = Path(noisy_file).stem
        for preset in options.presets:
            row = denoise(noisy, name, preset, options.save)
            cells = (
                name,
                row["noise"],
                row["label"],
                row["method"],
                row["steps"],
                f"{row['seconds']:.0f}",
                f"{si_psnr(noisy, clean):.2f}",
                f"{si_psnr(row['clean'], clean):.2f}",
                row["verdict"],
            )
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    for variable in ("HUSH_CONFIG_DIR", "HUSH_DATA_DIR"):
        os.environ[variable] = tempfile.mkdtemp()
    main()
