"""The napari-hush part of `speed.py`, in a separate process."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from generating import noise
from measuring import PeakMemory, serve
from quality_images import pairs
from torch.utils.flop_counter import FlopCounterMode

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


def bare(steps: int, batch: int, precision: str = "auto", compiled: bool = False) -> Any:
    """The same network, precision and batch in the shortest loop, on random tensors.

    With `compiled`, by ``torch.compile``, whose seconds are of the first steps.
    """
    began = time.perf_counter()
    step, _ = _bare_step(batch, precision, compiled)
    with keep_freed_memory():
        for number in range(steps + 3):
            if number == 3:  # the first ones choose kernels
                _wait()
                start = time.perf_counter()
            step()
        _wait()
    speed = steps * batch / (time.perf_counter() - start)
    return {"patches/s": speed, "seconds before": start - began}


def _bare_step(batch: int, precision: str, compiled: bool = False) -> Any:
    """A step of `bare` as a function, and its network."""
    config = configuration(1, batch, precision)
    device = choose_device("auto")
    bf16 = choose_precision(config.training_config.precision, device) == "bf16"
    network = new_network(config).to(device)
    called: Any = torch.compile(network) if compiled else network
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    x = torch.randn(batch, 1, 64, 64, device=device)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = (called(x) - x).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step, network


def profile(batch: int, side: int, precision: str = "auto", steps: int = 10) -> Any:
    """The ten kernels that take longest, of training and of denoising with that of `train`.

    Per kernel its name, share of the time, and whether it does convolutions or products of
    matrices; others are bound by memory.
    """
    step, _ = _bare_step(batch, precision)
    careamist, image = _with(precision), noise((side, side)).astype("float32")

    def training() -> None:
        for _ in range(steps):
            step()

    found = {}
    for name, work in (("train", training), ("predict", lambda: careamist.predict(image))):
        work()
        kinds = [torch.profiler.ProfilerActivity.CPU]
        on_gpu = torch.cuda.is_available()
        if on_gpu:
            kinds.append(torch.profiler.ProfilerActivity.CUDA)
        with torch.profiler.profile(activities=kinds) as seen:
            work()
            _wait()
        attribute = "self_device_time_total" if on_gpu else "self_cpu_time_total"
        times = {e.key: getattr(e, attribute) for e in seen.key_averages()}
        whole = sum(times.values())
        longest = sorted(times, key=lambda key: -times[key])
        shares = [(key[:60], times[key] / whole, _computes(key)) for key in longest]
        memory_bound = sum(share for _, share, computes in shares if not computes)
        found[name] = {"kernels": shares[:10], "memory-bound": memory_bound}
    return found


def _computes(kernel: str) -> bool:
    words = ("conv", "gemm", "mm_", "cutlass", "xmma", "sm90", "sm80", "wgrad", "dgrad")
    return any(word in kernel.lower() for word in words) and "batch_norm" not in kernel


def roofline(batch: int, precision: str = "auto") -> Any:
    """Patches per second that arithmetic and memory of the device would allow.

    Counted are the operations of all convolutions, forward and backward, and the bytes of
    the inputs and outputs of all layers, each read or written once forward and twice
    backward. Peaks are measured by a product of matrices and by a copy.
    """
    device = choose_device("auto")
    bf16 = choose_precision(precision, device) == "bf16"
    dtype = torch.bfloat16 if bf16 else torch.float32
    step, network = _bare_step(batch, precision)
    moved: list[int] = []

    def note(layer: torch.nn.Module, given: Any, result: Any) -> None:
        moved.append(given[0].numel() + result.numel())

    layers = [layer for layer in network.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    with FlopCounterMode(display=False) as counter:
        step()
    for hook in hooks:
        hook.remove()
    n = 8192 if device.type == "cuda" else 1024
    a = torch.randn(n, n, device=device, dtype=dtype)
    operations = 2 * n**3 / _best_seconds(lambda: a @ a)
    copied = 2 * a.nbytes / _best_seconds(lambda: a.clone())
    compute = counter.get_total_flops() / operations
    memory = 3 * sum(moved) * dtype.itemsize / copied
    return {
        "TFLOP/s": operations / 1e12,
        "GB/s": copied / 1e9,
        "bound by": "memory" if memory > compute else "arithmetic",
        "patches/s": batch / max(compute, memory),
    }


def _best_seconds(work: Callable[[], Any]) -> float:
    times = []
    for _ in range(10):
        _wait()
        start = time.perf_counter()
        work()
        _wait()
        times.append(time.perf_counter() - start)
    return min(times)


def why_not_compiled() -> str:
    """Why ``torch.compile`` does not work here; empty if it does."""
    try:
        torch.compile(torch.sin)(torch.ones(2, device=choose_device("auto")))
    except Exception as error:
        return str(error).split("\n")[0]
    return ""


def device() -> str:
    """Name of the device that is computed on."""
    found = choose_device("auto")
    return torch.cuda.get_device_name(found) if found.type == "cuda" else str(found)


def device_memory() -> float:
    """Most memory of the GPU in use since the last call, in GB; 0 without one."""
    if not torch.cuda.is_available():
        return 0.0
    most = torch.cuda.max_memory_allocated() / 1e9
    torch.cuda.reset_peak_memory_stats()
    return most


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
    tasks = (train, bare, predict, seams, peak, threads, precisions)
    serve(*tasks, profile, roofline, why_not_compiled, device, device_memory)
