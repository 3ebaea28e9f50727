"""Estimates of the time and memory of a run before it starts. No Qt here.

The work of a U-Net grows with the pixels of a step and the square of its filters. The work
per second of a device comes from a short benchmark or from the last run on it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_hush.axes import spatial_axes

if TYPE_CHECKING:
    from napari_hush.config import Configuration, DataConfig

KEPT_PER_FILTER = 14
"""Activations kept for the backward pass per initial filter, over all levels of a 2D
U-Net, in tensors of the size of the first level."""
BYTES = 4
VALIDATION = 1 / 3
"""Work of a validated patch, without a backward pass, per that of a training patch."""
CALIBRATION_STEPS = 5
CALIBRATION_BATCH = 4


@dataclass(frozen=True)
class Estimate:
    """Expected cost of a run."""

    seconds: float | None
    """None while the speed of the device is not known."""
    gigabytes: float
    """Network, activations and one batch, without the images."""


def estimate(
    configuration: Configuration,
    shapes: Sequence[tuple[int, ...]],
    speed: float | None,
    val_shapes: Sequence[tuple[int, ...]] = (),
) -> Estimate:
    """Estimate a run on images of `shapes`, in the axes of the configuration.

    `speed` is the result of `measure_speed` or `speed_of_run` for the device. `val_shapes`
    are those of separate validation images.
    """
    network, data = configuration.algorithm_config.model, configuration.data_config
    validated = _patches(data, val_shapes)
    if not val_shapes:
        validated = round(_patches(data, shapes) * data.val_percentage)
    trained = steps_per_epoch(configuration, shapes) * data.batch_size
    patches = trained + min(validated, data.max_val_patches) * VALIDATION
    epochs = configuration.training_config.num_epochs
    work = epochs * patches * _work_per_patch(configuration)
    pixels = data.batch_size * math.prod(data.patch_size)
    activations = pixels * network.num_channels_init * KEPT_PER_FILTER * BYTES
    if network.independent_channels:
        activations *= network.in_channels
    return Estimate(work / speed if speed else None, activations / 1e9)


def steps_per_epoch(configuration: Configuration, shapes: Sequence[tuple[int, ...]]) -> int:
    """Optimizer steps per epoch: as set, or one pass over non-overlapping patches."""
    if configuration.training_config.num_steps is not None:
        return configuration.training_config.num_steps
    data = configuration.data_config
    return max(1, -(-_patches(data, shapes) // data.batch_size))


def _patches(data: DataConfig, shapes: Sequence[tuple[int, ...]]) -> int:
    """Patches in images of `shapes`, side by side."""
    patches = 0
    for shape in shapes:
        size = dict(zip(data.axes, shape, strict=True))
        sides = zip(spatial_axes(data.axes), data.patch_size, strict=True)
        windows = math.prod(-(-size[letter] // patch) for letter, patch in sides)
        patches += windows * size.get("S", 1) * size.get("T", 1)
    return patches


def speed_of_run(configuration: Configuration, patches_per_second: float) -> float:
    """Work per second of the device of a run."""
    return patches_per_second * _work_per_patch(configuration)


def measure_speed(configuration: Configuration) -> float:
    """Train a network for a few steps; returns work per second of the fastest one.

    Takes part of a second. The first step is slow, because libraries choose their kernels
    in it, and others may share the processor.
    """
    import torch

    from napari_hush.models import UNet, choose_device

    device = choose_device(configuration.training_config.device)
    network_config = configuration.algorithm_config.model
    network = UNet(network_config).to(device).train()
    size = configuration.data_config.patch_size
    shape = (CALIBRATION_BATCH, network_config.in_channels, *size)
    # Noise: a constant image leads to subnormal numbers, which are slow on the CPU.
    batch = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
    fastest = math.inf
    for _ in range(CALIBRATION_STEPS):
        started = time.perf_counter()
        network(batch).square().mean().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        fastest = min(fastest, time.perf_counter() - started)
    return speed_of_run(configuration, CALIBRATION_BATCH / fastest)


def _work_per_patch(configuration: Configuration) -> float:
    """Multiplications per patch, up to a constant factor."""
    network = configuration.algorithm_config.model
    dims = network.conv_dims
    # Each level has 2^dims times fewer pixels than the one above and 4 times the work per
    # pixel: in 2D all levels cost the same, in 3D each costs half of the one above.
    levels = sum((4 / 2**dims) ** level for level in range(network.depth + 1))
    channels = network.in_channels if network.independent_channels else 1
    pixels = math.prod(configuration.data_config.patch_size)
    return pixels * channels * network.num_channels_init**2 * 3**dims * levels
