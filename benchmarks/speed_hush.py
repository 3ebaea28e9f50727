"""The napari-hush part of `speed.py`, in a separate process."""

from __future__ import annotations

import gc
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from generating import noise
from measuring import PeakMemory, serve
from quality_images import pairs

from napari_hush import CAREamist
from napari_hush.config import create_n2v_configuration
from napari_hush.events import Event, StepsDone, TrainingStarted
from napari_hush.lightning import new_network
from napari_hush.models import choose_device, choose_precision, keep_freed_memory
from napari_hush.quality import si_psnr

_made: dict[str, Any] = {}
"""What one task made for the next ones."""


def configuration(steps: int, batch: int, precision: str, **more: Any) -> Any:
    """The defaults: U-Net of depth 2 with 32 filters, patches of 64 x 64."""
    made = create_n2v_configuration(
        "speed", "array", "YX", [64, 64], batch, num_epochs=1, num_steps=steps, **more
    )
    training = made.training_config.replace(precision=precision)
    return made.replace(training_config=training)


class Clock:
    """Notes when steps were reported; a callable for ``on_progress``."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.steps: list[int] = []
        self.precision = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, TrainingStarted):
            self.precision = f"{event.precision} on {event.device}"
        if isinstance(event, StepsDone):
            self.times.append(time.perf_counter())
            self.steps.append((self.steps or [0])[-1] + len(event.losses))


def train(steps: int, batch: int, precision: str = "auto", side: int = 2048) -> Any:
    """Train on an array; patches per second between the first and the last report."""
    clock = Clock()
    careamist = CAREamist(configuration(steps, batch, precision), on_progress=clock)
    careamist.train(train_source=noise((side, side)).astype("float32"))
    _made["careamist"] = careamist
    steps_timed = clock.steps[-1] - clock.steps[0]
    seconds = clock.times[-1] - clock.times[0]
    return {"patches/s": steps_timed * batch / seconds, "precision": clock.precision}


def bare(steps: int, batch: int, precision: str = "auto") -> Any:
    """The same network, precision and batch in the shortest loop, on random tensors."""
    config = configuration(steps, batch, precision)
    device = choose_device("auto")
    bf16 = choose_precision(config.training_config.precision, device) == "bf16"
    network = new_network(config).to(device)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    x = torch.randn(batch, 1, 64, 64, device=device)
    with keep_freed_memory():
        for step in range(steps + 3):
            if step == 3:  # the first ones choose kernels
                _wait()
                start = time.perf_counter()
            optimizer.zero_grad()
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                loss = (network(x) - x).square().mean()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        _wait()
    return {"patches/s": steps * batch / (time.perf_counter() - start)}


def predict(side: int, precision: str = "auto", tile: int | None = None) -> Any:
    """Denoise an array with the model of `train`; megapixels per second, end to end."""
    careamist = _with(precision)
    image = noise((side, side)).astype("float32")
    start = time.perf_counter()
    _made["result"] = careamist.predict(image, tile_size=tile and [tile, tile])
    return {"Mpixel/s": side**2 / 1e6 / (time.perf_counter() - start)}


def seams(side: int, precision: str) -> float:
    """PSNR in dB between the image in tiles and as one piece, over its range."""
    predict(side, precision)
    tiled = _made.pop("result").astype("float64")
    predict(side, precision, side)
    whole = _made.pop("result").astype("float64")
    error = np.square(tiled - whole).mean()
    return float(10 * np.log10(np.ptp(whole) ** 2 / error)) if error else float("inf")


def peak(side: int) -> Any:
    """Most memory that denoising takes beyond image and result."""
    image = noise((side, side)).astype("float32")
    out = np.ones((side, side), np.float32)  # ones: its pages are there
    _made["careamist"].predict(image[:600, :600])
    gc.collect()
    with PeakMemory() as memory:
        start = time.perf_counter()
        _made["careamist"].predict(image, out=out)
        seconds = time.perf_counter() - start
    return {"grown": memory.grown, "seconds": seconds}


def threads(count: int) -> None:
    """Compute with so many threads from now on."""
    torch.set_num_threads(count)


def precisions(data: str, name: str, steps: int) -> Any:
    """SI-PSNR in dB of one trained model's pictures, in both precisions."""
    images = pairs(data, name)
    config = configuration(steps, 16, "auto")
    config = config.replace(data_config=config.data_config.replace(axes="SYX"))
    _made["careamist"] = CAREamist(config)
    _made["careamist"].train(train_source=images.noisy)
    found = {}
    for precision in ("32", "bf16"):
        clean = _with(precision).predict(images.noisy)
        both = zip(clean, images.truth, strict=True)
        found[precision] = float(np.mean([si_psnr(c, t) for c, t in both]))
    return found


def _with(precision: str) -> CAREamist:
    """The trained model, denoising in `precision`."""
    model = _made["careamist"].model
    training = model.config.training_config.replace(precision=precision)
    config = model.config.replace(training_config=training)
    return CAREamist(replace(model, config=config))


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    serve(train, bare, predict, seams, peak, threads, precisions)
