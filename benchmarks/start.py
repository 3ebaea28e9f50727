"""How long everything takes to start.

    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/start.py

Each figure is the median of new processes; the dock is opened in a real napari window, so
a display is needed. Prints a table and writes ``benchmarks/results/start.json``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from reporting import report

_IMPORT = """
import time; start = time.perf_counter()
import napari_hush
print(time.perf_counter() - start)
"""
_DOCK = """
import time, numpy as np, napari
from qtpy.QtWidgets import QApplication
viewer = napari.Viewer()
viewer.add_image(np.zeros((64, 64), "float32"))
QApplication.processEvents()
start = time.perf_counter()
viewer.window.add_plugin_dock_widget("napari-hush", "Denoise")
QApplication.processEvents()
print(time.perf_counter() - start, flush=True)
import os; os._exit(0)
"""
_FIRST_LOSS = """
import time, torch, numpy as np
import pytorch_lightning
from napari_hush import CAREamist
from napari_hush.config import create_n2v_configuration
from napari_hush.events import StepsDone
noisy = np.random.default_rng(0).normal(100, 20, (512, 512)).astype("float32")
config = create_n2v_configuration("start", "array", "YX", [64, 64], 16, 1)
def report(event):
    if isinstance(event, StepsDone):
        print(time.perf_counter() - start, flush=True)
        import os; os._exit(0)
start = time.perf_counter()
CAREamist(config, on_progress=report).train(train_source=noisy)
"""
_SAVE = """
import sys, numpy as np
from napari_hush import CAREamist
from napari_hush.config import create_n2v_configuration
noisy = np.random.default_rng(0).normal(100, 20, (128, 128)).astype("float32")
careamist = CAREamist(create_n2v_configuration("start", "array", "YX", [64, 64], 2, 1))
careamist.train(train_source=noisy)
careamist.save(sys.argv[1])
"""
_LOAD = """
import sys, time, torch
from napari_hush import CAREamist
start = time.perf_counter()
CAREamist(sys.argv[1])
print(time.perf_counter() - start)
"""


def main() -> None:
    """Measure each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"HUSH_CONFIG_DIR": folder, "HUSH_DATA_DIR": folder}
        model = str(Path(folder) / "model.safetensors")
        subprocess.run([sys.executable, "-c", _SAVE, model], check=True, env=environment)

        def said(*arguments: str) -> float:
            command = [sys.executable, *arguments]
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, env=environment
            )
            return float(done.stdout.split()[-1])

        def helped() -> float:
            start = time.perf_counter()
            command = [str(Path(sys.executable).with_name("hush")), "--help"]
            subprocess.run(command, check=True, capture_output=True, env=environment)
            return time.perf_counter() - start

        tasks = {
            "import napari_hush": (lambda: said("-c", _IMPORT), 0.1),
            "hush --help, the whole process": (helped, 0.6),
            "opening the dock": (lambda: said("-c", _DOCK), 0.7),
            "from train() to the first loss, torch loaded": (
                lambda: said("-c", _FIRST_LOSS),
                2.0,
            ),
            "loading a model, torch loaded": (lambda: said("-c", _LOAD, model), 1.0),
        }
        rows = []
        for name, (task, goal) in tasks.items():
            seconds = [task() for _ in range(options.rounds)]
            rows.append(
                {
                    "what": name,
                    "s": statistics.median(seconds),
                    "fastest": min(seconds),
                    "slowest": max(seconds),
                    "goal": f"under {goal}",
                }
            )
    report("start", f"Start, median of {options.rounds} processes", rows, "Goals: above.")


if __name__ == "__main__":
    main()
