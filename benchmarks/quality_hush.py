"""The napari-hush part of `quality.py`, in a separate process."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as L
from measuring import serve
from quality_clock import Marks
from quality_images import pairs

from napari_hush import CAREamist
from napari_hush.config import create_n2n_configuration, create_n2v_configuration
from napari_hush.config.training import until_good
from napari_hush.io import open_images
from napari_hush.prediction import fit_built_in_share, fit_own_value

PER_EPOCH = 20
"""Steps of an epoch where training may stop after each of them."""
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
    method: str,
    stops: bool = False,
    **settings: Any,
) -> list[float]:
    """Train for `steps` and keep results after `marks`; the seconds until each.

    A result is what the model would give if training ended there. Noise2Noise learns from
    each image and the next. With `stops`, training ends where *Denoise now* ends it.
    """
    given = pairs(data, name)
    paired = method == "n2n"
    make = create_n2n_configuration if paired else create_n2v_configuration
    if not paired:
        settings["use_n2v2"] = method == "n2v2"
    size = given.patch_size, given.batch_size
    epochs = steps // PER_EPOCH if stops else 1
    lasts = {"num_epochs": epochs, "num_steps": steps // epochs}
    config = make("quality", "array", given.axes, *size, **lasts, seed=seed, **settings)
    if stops:
        config = config.replace(training_config=until_good(config.training_config))
    images = open_images(given.noisy, "array", given.axes)

    def keep(module: Any) -> None:
        model = module.model()
        model.network.to("cpu")
        model = replace(model, own_value=fit_own_value(model, images))
        model = replace(model, built_in_share=fit_built_in_share(model, images))
        clean = CAREamist(model, enable_progress_bar=False).predict(
            given.noisy, check=False
        )
        np.save(Path(folder) / f"{len(clock.seconds)}.npy", clean)

    clock = Clock(marks, keep)
    _done["it"] = CAREamist(config, callbacks=[clock])
    target = {"train_target": np.roll(given.noisy, 1, axis=0)} if paired else {}
    _done["it"].train(train_source=given.noisy, **target)
    return clock.seconds


def trained_steps() -> int:
    """Steps of the trained model."""
    return _done["it"].model.steps


def built_in(data: str, name: str, folder: str) -> list[float]:
    """Write ``1.npy``, what the built-in denoiser gives; the seconds that took."""
    given = pairs(data, name)
    start = time.perf_counter()
    clean = CAREamist("built-in").predict(given.noisy, axes=given.axes)
    seconds = time.perf_counter() - start
    np.save(Path(folder) / "1.npy", clean)
    return [seconds]


def denoise(data: str, name: str, folder: str, tta: int) -> float:
    """Write ``final-TTA.npy``, the trained model's pictures; the seconds that took."""
    noisy = pairs(data, name).noisy
    start = time.perf_counter()
    clean = _done["it"].predict(noisy, tta=tta)
    seconds = time.perf_counter() - start
    np.save(Path(folder) / f"final-{tta}.npy", clean)
    return seconds


if __name__ == "__main__":
    serve(train, trained_steps, denoise, built_in)
