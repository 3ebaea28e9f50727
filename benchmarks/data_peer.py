"""The CAREamics part of `data.py`, in a separate process and environment."""

from __future__ import annotations

import logging
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from careamics.config.factories import create_advanced_n2v_config
from careamics.lightning.data import CareamicsDataModule
from careamics.lightning.modules.n2v_module import N2VManipulate
from generating import noise
from measuring import PeakMemory, serve, visit

_open: dict[str, Any] = {}
"""What `prepare` made, for `run`."""


def module(source: Any, axes: str, data_type: str, workers: int) -> CareamicsDataModule:
    """A data module that has been set up, for patches of 64 x 64, 16 in a batch.

    `workers` is its number of processes; -1 leaves that to CAREamics.
    """
    config = create_advanced_n2v_config(
        experiment_name="benchmark",
        data_type=data_type,
        axes=axes,
        patch_size=[64, 64],
        batch_size=16,
        num_epochs=1,
        in_memory=True,
        num_workers=workers,
    )
    _open["mask"] = N2VManipulate(config.algorithm_config.n2v_config)
    made = CareamicsDataModule(config.data_config, train_data=source)
    made.prepare_data()
    made.setup("fit")
    return made


def prepare(
    shape: list[int], dtype: str = "float32", workers: int = -1
) -> dict[str, float]:
    """Set up on an array, for `run`; returns the ``seconds`` that took."""
    axes = "YX" if len(shape) == 2 else "TYX"
    image = noise(tuple(shape)).astype(dtype)
    start = time.perf_counter()
    made = module(image, axes, "array", workers)
    seconds = time.perf_counter() - start
    # One loader for all epochs: its processes are started once, before the clock.
    _open["loader"] = made.train_dataloader()
    next(iter(_open["loader"]))
    return {
        "seconds": seconds,
        "patches": len(made.train_dataset),
        "workers": _open["loader"].num_workers,
    }


def run(seconds: float, masked: bool = False) -> dict[str, float]:
    """Load batches for some seconds; `masked` also sets the blind spots."""
    mask = _open["mask"]

    def batches() -> Any:
        for batch in _open["loader"]:
            yield mask(batch[0].data)[0] if masked else batch[0].data

    return visit(batches, seconds)


def memory(kind: str, source: str | None = None, nbytes: float = 0) -> dict[str, float]:
    """Most memory that set-up in memory and the first batch take, beyond the imports.

    Parameters are those of `memory` in ``data_hush.py``.
    """
    next(iter(module(noise((512, 512)), "YX", "array", 0).train_dataloader()))
    with PeakMemory() as peak:
        start = time.perf_counter()
        if kind == "tiff":
            made = module(source, "YX" if Path(str(source)).is_dir() else "TYX", kind, 0)
        else:
            frame = noise((1024, 1024)).astype(kind)
            image = np.empty((round(nbytes / frame.nbytes), *frame.shape), kind)
            image[:] = frame
            made = module(image, "TYX", "array", 0)
        next(iter(made.train_dataloader()))
        seconds = time.perf_counter() - start
    return {"grown": peak.grown, "seconds": seconds}


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    serve(prepare, run, memory)
