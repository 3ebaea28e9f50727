"""How long a run will take and how much memory, before it starts. No Qt here.

The work of a U-Net grows with the pixels of a step and the square of its filters; how much
of it a device does per second is measured once, or taken from the last run on it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_hush.axes import spatial_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_hush.config import Configuration

__all__ = ["Estimate", "estimate", "measure_speed", "speed_of_run", "steps_per_epoch"]

KEPT_PER_FILTER = 14
"""Tensors of the first level's size that are alive in training, per filter: what the
backward pass needs, counted over all levels of a U-Net in 2D."""
BYTES = 4
CALIBRATION_STEPS = 5
CALIBRATION_BATCH = 4


@dataclass(frozen=True)
class Estimate:
    """What a run will cost."""

    seconds: float | None
    """None as long as the device's speed is not known."""
    gigabytes: float
    """For network, activations and one batch; not for the images."""


def estimate(
    configuration: Configuration, shapes: Sequence[tuple[int, ...]], speed: float | None
) -> Estimate:
    """Estimate a run on images of `shapes`, in the configuration's axes.

    Parameters
    ----------
    configuration : Configuration
        What will be trained.
    shapes : sequence of tuple of int
        Of all training images.
    speed : float, optional
        What `measure_speed` or `speed_of_run` said of the device.
    """
    training = configuration.training_config
    steps = training.num_epochs * steps_per_epoch(configuration, shapes)
    work = steps * configuration.data_config.batch_size * _work_per_patch(configuration)
    network = configuration.algorithm_config.model
    pixels = configuration.data_config.batch_size * math.prod(
        configuration.data_config.patch_size
    )
    activations = pixels * network.num_channels_init * KEPT_PER_FILTER * BYTES
    if network.independent_channels:
        activations *= network.in_channels
    return Estimate(work / speed if speed else None, activations / 1e9)


def steps_per_epoch(configuration: Configuration, shapes: Sequence[tuple[int, ...]]) -> int:
    """Optimizer steps of an epoch: as set, or one pass over windows side by side."""
    if configuration.training_config.num_steps is not None:
        return configuration.training_config.num_steps
    data = configuration.data_config
    patches = 0
    for shape in shapes:
        size = dict(zip(data.axes, shape, strict=True))
        windows = math.prod(
            -(-size[letter] // patch)
            for letter, patch in zip(spatial_axes(data.axes), data.patch_size, strict=True)
        )
        patches += windows * size.get("S", 1) * size.get("T", 1)
    return max(1, -(-patches // data.batch_size))


def speed_of_run(configuration: Configuration, patches_per_second: float) -> float:
    """What a run tells of its device: work per second."""
    return patches_per_second * _work_per_patch(configuration)


def measure_speed(configuration: Configuration) -> float:
    """Train a throw-away network for a few steps; returns work per second.

    Takes part of a second, in the thread that calls. The fastest step counts: in the first
    one libraries choose their kernels, and others may be held up by other work.
    """
    import torch

    from napari_hush.models import UNet, choose_device

    device = choose_device(configuration.training_config.device)
    network_config = configuration.algorithm_config.model
    network = UNet(network_config).to(device).train()
    size = configuration.data_config.patch_size
    shape = (CALIBRATION_BATCH, network_config.in_channels, *size)
    # Noise, since processors are slow with the tiny numbers that a flat image leads to.
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
    """Multiplications of a patch, up to a factor that is the same for all."""
    network = configuration.algorithm_config.model
    dims = network.conv_dims
    # Each level has 2^dims times fewer pixels and, from level to level, 4 times the work
    # per pixel: in 2D all cost the same, in 3D each half of the one above.
    levels = sum((4 / 2**dims) ** level for level in range(network.depth + 1))
    channels = network.in_channels if network.independent_channels else 1
    pixels = math.prod(configuration.data_config.patch_size)
    return pixels * channels * network.num_channels_init**2 * 3**dims * levels
