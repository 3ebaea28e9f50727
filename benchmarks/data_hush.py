"""The napari-hush part of `data.py`, in a separate process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from generating import noise
from measuring import (
    MemoryTrace,
    OpenedFiles,
    PeakMemory,
    forget,
    resident,
    serve,
    visit,
)

from napari_hush import n2v
from napari_hush.config import create_n2v_configuration
from napari_hush.lightning import TrainDataModule

_open: dict[str, Any] = {}
"""What `prepare` made, for `run`."""


def module(source: Any, axes: str, data_type: str, **more: Any) -> TrainDataModule:
    """A data module that has been set up, for patches of 64 x 64, 16 in a batch."""
    config = create_n2v_configuration(
        experiment_name="benchmark",
        data_type=data_type,
        axes=axes,
        patch_size=[64, 64],
        batch_size=16,
        num_epochs=1,
    )
    _open["n2v"] = config.algorithm_config.n2v_config
    made = TrainDataModule(config.data_config, source, **more)
    made.prepare_data()
    made.setup()
    return made


def prepare(shape: list[int], dtype: str = "float32") -> dict[str, float]:
    """Set up on an array, for `run`; returns the ``seconds`` that took."""
    axes = "YX" if len(shape) == 2 else "TYX"
    image = noise(tuple(shape)).astype(dtype)
    start = time.perf_counter()
    made = module(image, axes, "array")
    seconds = time.perf_counter() - start
    _open["loader"] = made.train_dataloader()
    return {"seconds": seconds, "patches": len(made.train_dataset)}  # type: ignore[arg-type]


def run(seconds: float, masked: bool = False) -> dict[str, float]:
    """Load batches for some seconds; `masked` also sets the blind spots."""
    loader = _open["loader"]
    generator = torch.Generator()

    def batches() -> Any:
        for batch in loader:
            yield (
                n2v.mask(batch[0], _open["n2v"], generator).patches if masked else batch[0]
            )

    return visit(batches, seconds)


def memory(kind: str, source: str | None = None, nbytes: float = 0) -> dict[str, float]:
    """Most memory that set-up in memory and the first batch take, beyond the imports.

    Parameters
    ----------
    kind : str
        A dtype for an array of `nbytes` that is made here, or ``"tiff"``.
    source : str, optional
        File or folder.
    nbytes : float
        Bytes of pixels.
    """
    next(iter(module(noise((512, 512)), "YX", "array").train_dataloader()))
    with PeakMemory() as peak:
        start = time.perf_counter()
        if kind == "tiff":
            made = module(source, "YX" if Path(str(source)).is_dir() else "TYX", kind)
        else:
            made = module(_array(kind, nbytes), "TYX", "array")
        next(iter(made.train_dataloader()))
        seconds = time.perf_counter() - start
    return {"grown": peak.grown, "seconds": seconds}


def _array(dtype: str, nbytes: float) -> np.ndarray:
    """An array ``TYX``, filled without a second one of its size."""
    frame = noise((1024, 1024)).astype(dtype)
    image = np.empty((round(nbytes / frame.nbytes), *frame.shape), dtype)
    image[:] = frame
    return image


def large(folder: str, axes: str, data_type: str, epochs: int) -> dict[str, Any]:
    """Epochs over images that stay on disk, and the memory held meanwhile."""
    base = resident()
    forget(folder)
    marks = []
    with MemoryTrace() as trace:
        made = module(folder, axes, data_type, use_in_memory=False, val_minimum_split=1)
        marks.append(trace.now())
        patches = []
        for epoch in range(epochs):
            forget(folder)
            loader = made.train_dataloader()
            loader.batch_sampler.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
            start = trace.now()
            patches.append(sum(len(batch[0]) for batch in loader))
            marks += [start, trace.now()]
    setup = trace.between(0, marks[0])
    spans = list(zip(marks[1::2], marks[2::2], strict=True))
    rows = []
    for count, (start, end) in zip(patches, spans, strict=True):
        held = trace.between(start, end)
        rows.append(
            {
                "patches": count,
                "seconds": end - start,
                "most": float(held.max()),
                "median": float(np.median(held)),
            }
        )
    return {
        "imports": base,
        "setup_seconds": marks[0],
        "setup_most": float(setup.max()),
        "epochs": rows,
        "trace": [(round(t, 2), held) for t, held in trace.samples[::10]],
    }


def start(folder: str, axes: str) -> dict[str, Any]:
    """From nothing to the first batch of a Zarr store, and the chunks read for it."""
    forget(folder)
    opened = OpenedFiles(Path(folder) / "0" / "c", ".json")
    began = time.perf_counter()
    made = module(folder, axes, "zarr", use_in_memory=False)
    ready, reads = time.perf_counter(), len(opened.paths)
    next(iter(made.train_dataloader()))
    end = time.perf_counter()
    return {
        "setup_seconds": ready - began,
        "batch_seconds": end - ready,
        "setup_reads": reads,
        "distinct": len(set(opened.paths[:reads])),
        "batch_reads": len(opened.paths) - reads,
    }


if __name__ == "__main__":
    serve(prepare, run, memory, large, start)
