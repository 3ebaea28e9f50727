"""Estimates of the time and memory of a run before it starts. No Qt here.

A step of training takes a time that no network is below, the overhead, and its work at the
rate of the device. Both come from a table until a short benchmark has measured them. Runs
correct the time of their kind of network, up or down.
"""

from __future__ import annotations

import math
import os
import shutil
import statistics
import sys
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Self

from napari_hush.axes import spatial_axes
from napari_hush.system.memory import total_memory
from napari_hush.widgets.user_settings import load_setting, save_setting

if TYPE_CHECKING:
    from napari_hush.config import Configuration, DataConfig, UNetConfig
    from napari_hush.config.training import Preset

KEPT_PER_FILTER = 14
"""Activations kept for the backward pass per initial filter, over all levels of a 2D
U-Net, in tensors of the size of the first level."""
BYTES = 4
FORWARD = 1 / 3
"""Work of a forward pass, per that of a training step."""
FREE_FILTERS = {2: 32, 3: 64}
"""Filters of a level whose multiplications take as long as moving its pixels, in 2D and
3D."""
N2V2 = 1.2
"""Time of a network with the pooling of N2V2, per that of one without."""
STEP_OVERHEAD = 8.0
"""Overhead of a step of training, per time of a step of a bare, tiny network."""
_BUILT_IN = {"depth": 2, "num_channels_init": 32, "independent_channels": True}
_BUILT_IN_HALO = 122
"""Pixels beyond both ends together for which the built-in denoiser computes, about."""
TILE = 512
"""Side of the tiles of images in pixels, about."""
MOST_HOURS = 100
"""Longer runs are not meant."""
CALIBRATION_STEPS = 5
CALIBRATION_BATCH = 4
CALIBRATION_SECONDS = 1.0
"""Time after which no further step is measured."""
FARTHEST = 4.0
"""A run that takes more times as long as expected, or as short, was not alone."""
LEAST_STEPS = 20
"""Steps from which a run says how fast its device is; the first ones are slow."""

_CPU_RATE = 6.5e9  # of a hardware thread of a server of 2022
_RATES = {"cuda": 3e11, "mps": 6e10}
_OVERHEADS = {"cpu": 0.012, "cuda": 0.004, "mps": 0.01}
_CORES = 32  # more do not help


@dataclass(frozen=True)
class Estimate:
    """Expected cost of a training run."""

    seconds: float
    """Validation included."""
    gigabytes: float
    """Network, activations and one batch, without the images."""


@dataclass(frozen=True)
class Speed:
    """How fast a device trains."""

    rate: float
    """Work per second, in the unit of `_work`."""
    overhead: float
    """Seconds of a step, whatever the network."""
    ratios: Mapping[str, float] = field(default_factory=dict)
    """Time of the last runs, per that expected from `rate` and `overhead`, by `_kind`."""

    @classmethod
    def load(cls, device: str) -> Speed:
        """The speed of `device`, of a configuration: measured, or else from a table."""
        saved = load_setting("speeds", {}).get(device)
        return cls(**saved) if is_measured(device) else _from_table(device)

    def save(self, device: str) -> None:
        """Keep the speed of `device` for `load`."""
        save_setting("speeds", {**load_setting("speeds", {}), device: asdict(self)})

    def corrected(self, configuration: Configuration, ratio: float) -> Self:
        """After a run that took `ratio` times as long as `rate` and `overhead` say.

        Half of the difference to earlier runs of that kind counts, and a factor of at most
        `FARTHEST`, since other programs make some runs slow.
        """
        kind = _kind(configuration)
        ratio = min(max(ratio, 1 / FARTHEST), FARTHEST)
        known = self.ratios.get(kind, ratio)
        return replace(self, ratios={**self.ratios, kind: math.sqrt(known * ratio)})

    def ratio(self, configuration: Configuration) -> float:
        """That of runs of this kind; else the median of other kinds, if there are any."""
        known = self.ratios.get(_kind(configuration))
        return known or statistics.median(self.ratios.values() or [1.0])


def note_run(
    configuration: Configuration, speed: Speed, expected: float, taken: float
) -> None:
    """Correct the estimates for runs like one that `speed` let expect to take `expected`.

    It took `taken`. Both are in seconds, and may be the time of a step. `speed` replaces
    the one that is kept.
    """
    ratio = speed.ratio(configuration) * taken / expected
    speed.corrected(configuration, ratio).save(configuration.training_config.device)


def is_measured(device: str) -> bool:
    """Whether a benchmark has measured `device`."""
    return isinstance(load_setting("speeds", {}).get(device), dict)


def estimate(
    configuration: Configuration,
    shapes: Sequence[tuple[int, ...]],
    speed: Speed,
    val_shapes: Sequence[tuple[int, ...]] = (),
) -> Estimate:
    """Estimate a run on images of `shapes`, in the axes of the configuration.

    `val_shapes` are those of separate validation images.
    """
    network, data = configuration.algorithm_config.model, configuration.data_config
    validated = _patches(data, val_shapes)
    if not val_shapes:
        validated = round(_patches(data, shapes) * data.val_percentage)
    validated = min(validated, data.max_val_patches)
    steps = steps_per_epoch(configuration, shapes)
    training = configuration.training_config
    micro, often = training.accumulate_grad_batches, training.check_val_every_n_epoch
    validated = math.ceil(validated / often)
    patches = steps * micro * data.batch_size + validated * FORWARD
    batches = steps * micro + math.ceil(validated / data.batch_size) * FORWARD
    work = _work(network, math.prod(data.patch_size)) * patches
    epoch = work / speed.rate + batches * speed.overhead
    seconds = training.num_epochs * epoch
    pixels = data.batch_size * math.prod(data.patch_size)
    activations = pixels * network.num_channels_init * KEPT_PER_FILTER * BYTES
    if network.independent_channels:
        activations *= network.in_channels
    return Estimate(seconds * speed.ratio(configuration), activations / 1e9)


def fitted_length(
    preset: Preset,
    configuration: Configuration,
    shapes: Sequence[tuple[int, ...]],
    speed: Speed,
    val_shapes: Sequence[tuple[int, ...]] = (),
) -> dict[str, int]:
    """Epochs and steps, of those that `preset` can have, that take its time at most."""

    def seconds(length: dict[str, int]) -> float:
        training = configuration.training_config.replace(**length)
        timed = configuration.replace(training_config=training)
        return estimate(timed, shapes, speed, val_shapes).seconds

    lengths = preset.lengths()
    return lengths[max(0, bisect_right(lengths, preset.seconds, key=seconds) - 1)]


def denoising_seconds(
    configuration: Configuration, axes: str, shape: Sequence[int], speed: Speed
) -> float:
    """Expected time to denoise an image of `shape` and `axes`.

    The configuration is that of the model, whose other settings are the default ones.
    """
    algorithm = configuration.algorithm_config
    network = algorithm.model
    spatial = [letter for letter in "ZYX" if letter in axes][-network.conv_dims :]
    sizes = {letter: n for letter, n in zip(axes, shape, strict=True) if letter != "C"}
    tiles = math.prod(sizes.values()) / math.prod(sizes[letter] for letter in spatial)
    halos = [(network, 2 ** (network.depth + 3) - 6)]
    if algorithm.takes_built_in_share:
        halos.append((network.replace(**_BUILT_IN), _BUILT_IN_HALO))
    pixels = [tiles * math.prod(sizes[letter] for letter in spatial)] * len(halos)
    for letter in spatial[-2:]:
        side = min(sizes[letter], TILE)
        # The decoder leaves out half of the halo.
        pixels = [n * (1 + halo / side) for n, (_, halo) in zip(pixels, halos, strict=True)]
        tiles *= sizes[letter] / side
    work = sum(_work(one, n) for n, (one, _) in zip(pixels, halos, strict=True))
    seconds = FORWARD * work / speed.rate + tiles * len(halos) * speed.overhead
    return seconds * speed.ratio(configuration)


def steps_per_epoch(configuration: Configuration, shapes: Sequence[tuple[int, ...]]) -> int:
    """Optimizer steps per epoch: as set, or one pass over non-overlapping patches."""
    training, data = configuration.training_config, configuration.data_config
    batch = data.batch_size * training.accumulate_grad_batches
    return training.steps_of(-(-_patches(data, shapes) // batch))


def measure_speed(configuration: Configuration) -> Speed:
    """Train a network, and a tiny one, for a few steps each.

    Takes part of a second on an idle machine. The first step is slow, because libraries
    choose their kernels in it.
    """
    config = configuration.algorithm_config.model
    size = configuration.data_config.patch_size
    device = configuration.training_config.device
    seconds, busy = _step(config, CALIBRATION_BATCH, size, device)
    tiny = config.replace(num_channels_init=8)
    _, least = _step(tiny, 1, tuple(2 * n for n in config.multiple), device)
    # A tiny network is slowed by other programs more than training is: its threads wait
    # for each other most of the time.
    slowed = max(1.0, seconds / max(busy, 1e-6))
    work = CALIBRATION_BATCH * _work(config, math.prod(size))
    return Speed(work / max(seconds, 1e-6), STEP_OVERHEAD * least * slowed)


def _step(
    config: UNetConfig, batch: int, size: tuple[int, ...], device: str
) -> tuple[float, float]:
    """Seconds of a forward and a backward pass on a batch of noise, the fastest of some.

    The second number is how long this thread computes, on average.
    """
    import torch

    from napari_hush.models import UNet, choose_device

    where = choose_device(device)
    network = UNet(config).to(where).train()
    shape = (batch, config.in_channels * config.frames, *size)
    # Noise: a constant image leads to subnormal numbers, which are slow on the CPU.
    pixels = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(where)
    taken: list[float] = []
    began, computed = time.perf_counter(), 0.0
    while len(taken) < 2 or (
        len(taken) < CALIBRATION_STEPS and time.perf_counter() - began < CALIBRATION_SECONDS
    ):
        if len(taken) == 1:  # the first step is slow
            computed = time.thread_time()
        started = time.perf_counter()
        network(pixels).square().mean().backward()
        if where.type == "cuda":
            torch.cuda.synchronize(where)
        taken.append(time.perf_counter() - started)
    return min(taken[1:]), (time.thread_time() - computed) / len(taken[1:])


def _from_table(device: str) -> Speed:
    """A guess without importing torch, which takes seconds."""
    kind = device.partition(":")[0]
    if kind == "auto" and shutil.which("nvidia-smi"):
        kind = "cuda"
    elif kind == "auto":
        kind = (
            "mps" if sys.platform == "darwin" and os.uname().machine == "arm64" else "cpu"
        )
    cores = min(os.cpu_count() or 1, _CORES)
    return Speed(_RATES.get(kind, _CPU_RATE * cores), _OVERHEADS[kind])


def _kind(configuration: Configuration) -> str:
    """Key of the correction of the estimate of a run: the kind of its network."""
    network = configuration.algorithm_config.model
    pooling = " N2V2" * network.n2v2
    return f"{network.conv_dims}D {network.num_channels_init} x {network.depth}{pooling}"


def _patches(data: DataConfig, shapes: Sequence[tuple[int, ...]]) -> int:
    """Patches in images of `shapes`, side by side."""
    patches = 0
    for shape in shapes:
        size = dict(zip(data.axes, shape, strict=True))
        sides = zip(spatial_axes(data.axes), data.patch_size, strict=True)
        windows = math.prod(-(-size[letter] // patch) for letter, patch in sides)
        patches += windows * size.get("S", 1) * size.get("T", 1)
    return patches


def _work(network: UNetConfig, pixels: float) -> float:
    """Work of a training step on `pixels`: multiplications, and moving of the pixels.

    Each level has fewer pixels than the one above and twice its filters. A level with few
    filters waits for memory, so that its work is not much less.
    """
    free = FREE_FILTERS[network.conv_dims]
    levels, share = 0.0, 1.0
    for level in range(network.depth + 1):
        filters = network.num_channels_init * 2**level
        levels += share * filters * (filters + free)
        if level < network.depth:
            share /= 2 ** sum(axis[level] for axis in network.pooling)
    channels = network.in_channels if network.independent_channels else 1
    blurred = N2V2 if network.n2v2 else 1.0
    return pixels * channels * 3**network.conv_dims * levels * blurred


def absurdity(cost: Estimate) -> str:
    """Problem of a run that takes days, or more memory than there is; or empty."""
    hours = cost.seconds / 3600
    if hours <= MOST_HOURS and cost.gigabytes <= total_memory() / 1e9:
        return ""
    return (
        f"Training would take {hours:,.0f} hours and {cost.gigabytes:,.0f} GB of memory; "
        "check the axes and the settings."
    )
