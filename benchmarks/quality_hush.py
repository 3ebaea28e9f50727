"""The napari-hush part of `quality.py`, in a separate process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as L
import torch
from measuring import serve
from quality_clock import Marks
from quality_images import pairs

from napari_hush import CAREamist
from napari_hush.config import create_n2v_configuration

_done: dict[str, CAREamist] = {}
"""The trained model, for `denoise`."""


class Clock(Marks, L.Callback):
    """Keeps the picture after some of the steps."""


def train(
    data: str,
    name: str,
    steps: int,
    marks: list[int],
    folder: str,
    seed: int,
    **settings: Any,
) -> list[float]:
    """Train for `steps` and keep pictures after `marks`; the seconds until each."""
    noisy = pairs(data, name).noisy
    config = create_n2v_configuration(
        "quality",
        "array",
        "SYX",
        [64, 64],
        16,
        num_epochs=1,
        num_steps=steps,
        seed=seed,
        **settings,
    )
    mean, std = float(noisy.mean()), float(noisy.std())
    stack = torch.from_numpy((noisy.astype("float32") - mean) / std)[:, None]

    def keep(module: Any) -> None:
        module.network.eval()
        with torch.no_grad():
            clean = [module.network(image[None])[0, 0].numpy() for image in stack]
        module.network.train()
        np.save(Path(folder) / f"{len(clock.seconds)}.npy", np.stack(clean))

    clock = Clock(marks, keep)
    _done["it"] = CAREamist(config, callbacks=[clock])
    _done["it"].train(train_source=noisy)
    return clock.seconds


def denoise(data: str, name: str, folder: str, tta: int) -> float:
    """Write ``final-TTA.npy``, the trained model's pictures; the seconds that took."""
    noisy = pairs(data, name).noisy
    start = time.perf_counter()
    clean = _done["it"].predict(noisy, tta=tta)
    seconds = time.perf_counter() - start
    np.save(Path(folder) / f"final-{tta}.npy", clean)
    return seconds


if __name__ == "__main__":
    serve(train, denoise)
