"""The CAREamics part of `quality.py`, in a separate process and environment."""

from __future__ import annotations

import logging
import math
import time
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from careamics import CAREamist
from careamics.config.factories import create_n2v_config
from measuring import serve
from quality_clock import Marks
from quality_images import pairs

_done: dict[str, Any] = {}
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
    method: str,
) -> list[float]:
    """Train for `steps` and keep pictures after `marks`; the seconds until each."""
    given = pairs(data, name)
    noisy = given.noisy[None] if given.volume else given.noisy
    L.seed_everything(seed)
    # Its own defaults: a whole pass over the images is an epoch.
    passes = -(-noisy[0].size // math.prod(given.patch_size)) * len(noisy)
    per_epoch = -(-passes // given.batch_size)
    config = create_n2v_config(
        "quality",
        "array",
        given.axes,
        given.patch_size,
        given.batch_size,
        num_epochs=-(-steps // per_epoch),
        use_n2v2=method == "n2v2",
    )
    mean, std = float(noisy.mean()), float(noisy.std())
    stack = torch.from_numpy((noisy.astype("float32") - mean) / std)[:, None]

    def keep(module: Any) -> None:
        module.model.eval()
        with torch.no_grad():
            clean = [_denoised(module.model, image) for image in stack]
        module.model.train()
        np.save(Path(folder) / f"{len(clock.seconds)}.npy", np.stack(clean))

    clock = Clock(marks, keep)
    _done["it"] = CAREamist(config, work_dir=Path(folder), callbacks=[clock])
    _done["it"].train(train_data=given.noisy)
    return clock.seconds


def _denoised(network: Any, image: torch.Tensor) -> np.ndarray[Any, Any]:
    """A whole image ``(1, (Z), Y, X)``, reflected to sizes that its two poolings take."""
    padding = [n for size in reversed(image.shape[1:]) for n in (0, -size % 4)]
    clean = network(torch.nn.functional.pad(image[None], padding, "reflect"))[0, 0]
    return clean[tuple(slice(size) for size in image.shape[1:])].numpy()


def denoise(data: str, name: str, folder: str, tta: int) -> float:
    """Write ``final-1.npy``, the trained model's pictures; the seconds that took."""
    noisy = pairs(data, name).noisy
    start = time.perf_counter()
    clean = _done["it"].predict(pred_data=noisy)
    seconds = time.perf_counter() - start
    clean = clean[0] if isinstance(clean, tuple) else clean
    np.save(Path(folder) / f"final-{tta}.npy", np.concatenate([*clean]).squeeze())
    return seconds


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    serve(train, denoise)
