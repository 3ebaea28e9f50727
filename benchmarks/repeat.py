"""Whether the same command gives the same bits on a busy machine.

    python benchmarks/repeat.py --predict 50 --train 10 --load 8

Starts ``hush train --seed 1`` and ``hush predict`` again and again, with default precision
and tiles, once alone and then so that `load` processes compute at any time: `at-once`
starts, and others that keep a core busy each. Prints how many different models and results
came out, and writes ``benchmarks/results/repeat.json``. Images are simulated.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from reporting import report

from napari_hush.io import read_tiff, write_tiff
from napari_hush.models import load_model

_BUSY = "import numpy\nx = numpy.ones((300, 300))\nwhile True: x @ x"


def main() -> None:
    """Run the commands and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    counts = {"predict": 50, "train": 10, "load": 8, "at-once": 6, "size": 512}
    for name, count in counts.items():
        parser.add_argument(f"--{name}", type=int, default=count)
    both = ("YX", "ZYX")
    parser.add_argument("--axes", nargs="+", choices=both, default=both)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = _image(options.size)
        write_tiff(folder / "image.tif", image, "YX")
        write_tiff(folder / "stack.tif", np.stack([image[:128, :128]] * 16), "ZYX")
        rows = []
        for axes in options.axes:
            name = "image.tif" if axes == "YX" else "stack.tif"
            rows.append(_trained(folder, name, axes, options))
            rows.append(_denoised(folder, name, axes, options))
    worst = max(row["different"] for row in rows)
    goal = f"Goal: one result of each command; at most {worst} came out."
    title = f"Starts at a load of {options.load}"
    report("repeat", title, rows, goal, settings=vars(options))
    sys.exit(worst != 1)


def _trained(
    folder: Path, image: str, axes: str, options: argparse.Namespace
) -> dict[str, Any]:
    patch = [32, 32] if axes == "YX" else [8, 32, 32]

    def start(number: int) -> str:
        model = folder / f"{axes}{number or ''}.safetensors"
        _hush(
            *("train", folder / image, "--axes", axes, "--seed", 1, "--epochs", 2),
            *("--steps", 5, "--batch-size", 4, "--patch-size", *patch, "--overwrite"),
            *("-o", model),
        )
        return load_model(model).sha256

    return {"command": "train", "axes": axes, **_counted(start, options.train, options)}


def _denoised(
    folder: Path, image: str, axes: str, options: argparse.Namespace
) -> dict[str, Any]:
    model = folder / f"{axes}.safetensors"

    def start(number: int) -> str:
        result = folder / f"clean{number}.tif"
        _hush("predict", model, folder / image, "-o", result, "--overwrite")
        return hashlib.sha256(read_tiff(result).tobytes()).hexdigest()

    return {"command": "predict", "axes": axes, **_counted(start, options.predict, options)}


def _counted(
    start: Callable[[int], str], count: int, options: argparse.Namespace
) -> dict[str, Any]:
    """The number of different hashes of one start alone and `count` starts under load."""
    began, hashes = time.monotonic(), {start(0)}
    at_once = min(options.at_once, options.load)
    with _load(options.load - at_once), ThreadPoolExecutor(at_once) as pool:
        for number, found in enumerate(pool.map(start, range(1, count + 1)), 1):
            hashes.add(found)
            print(f"{number} of {count}: {len(hashes)} different", flush=True)
    seconds = round(time.monotonic() - began)
    return {"starts": count + 1, "different": len(hashes), "seconds": seconds}


@contextmanager
def _load(count: int) -> Iterator[None]:
    one = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    busy = [subprocess.Popen([sys.executable, "-c", _BUSY], env=one) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _hush(*arguments: object) -> None:
    command = [sys.executable, "-m", "napari_hush", *map(str, arguments), "--quiet"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def _image(size: int) -> np.ndarray:
    y, x = np.indices((size, size))
    clean = 100 + 20 * (np.sin(x / 5) + np.cos(y / 7))
    noise = np.random.default_rng(0).normal(0, 10, clean.shape)
    return (clean + noise).astype("float32")


if __name__ == "__main__":
    main()
