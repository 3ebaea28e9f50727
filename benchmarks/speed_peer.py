"""The CAREamics part of `speed.py`, in a separate process and environment."""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from typing import Any

import lightning.pytorch as L
import numpy as np
from careamics import CAREamist
from careamics.config.factories import create_n2v_config
from generating import noise
from measuring import serve

_made: dict[str, Any] = {}
"""What `train` made for `predict`."""


class Clock(L.Callback):
    """Notes when steps end."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        """Note the time."""
        self.times.append(time.perf_counter())


def train(steps: int, batch: int, side: int = 2048) -> Any:
    """Train on an array with its defaults; patches per second after the first steps."""
    clock = Clock()
    per_epoch = -(-((side // 64) ** 2) // batch)
    config = create_n2v_config(
        "speed", "array", "YX", [64, 64], batch, num_epochs=-(-steps // per_epoch)
    )
    careamist = CAREamist(config, work_dir=tempfile.mkdtemp(), callbacks=[clock])
    careamist.train(train_data=noise((side, side)).astype("float32"))
    _made["careamist"] = careamist
    # Without its validation between epochs: the median of single steps.
    return {"patches/s": batch / float(np.median(np.diff(clock.times)[5:]))}


def predict(side: int, tile: int) -> Any:
    """Denoise an array in tiles that share 48 pixels; megapixels per second."""
    image = noise((side, side)).astype("float32")
    start = time.perf_counter()
    _made["careamist"].predict(
        pred_data=image, tile_size=(tile, tile), tile_overlap=(48, 48), batch_size=1
    )
    return {"Mpixel/s": side**2 / 1e6 / (time.perf_counter() - start)}


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    serve(train, predict)
