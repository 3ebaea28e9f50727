"""Train networks on simulated images alone, repeatable from a seed and resumable.

Two goals: a denoiser, which sees every pixel and its noise, and starting weights for
blind-spot methods, which are trained as Noise2Void is, but with the clean values of the
masked pixels as answers.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy import ndimage
from torch import Tensor, nn

from napari_hush import n2v
from napari_hush.config import N2VManipulateConfig, UNetConfig
from napari_hush.errors import ConfigurationError
from napari_hush.lightning.checkpoint import optimizer_tensors, restore_optimizer
from napari_hush.lightning.ema import EMAWeights
from napari_hush.models.built_in import REACH, blurred, within_squares
from napari_hush.models.weights import inflated, new_network
from napari_hush.system.atomic_write import whole_file
from pretraining.camera import random_detector, random_optics
from pretraining.structures import scene

if TYPE_CHECKING:
    from napari_hush.models import UNet
    from napari_hush.models.device import Precision

FINE = 9
"""Pixels along each side of the mean that detail is the difference from."""


@dataclass(frozen=True)
class Recipe:
    """All that decides the bits of a network, besides the machine.

    Attributes
    ----------
    goal : {"denoiser", "blind"}
        What it learns: the clean value of each pixel, or of masked pixels.
    network : dict
        Settings of `UNetConfig`.
    steps, batch_size, patch_size : int
        Length of the training, patches of a step, pixels along each side of a patch. With
        a `time_context` of the network the planes of a patch are its frames.
    scene_size : tuple of int
        Shape of the simulated scenes ``((Z), Y, X)``.
    scenes, new_every : int
        Scenes at hand, and steps after which the oldest is replaced.
    frozen_from : float
        Share of the steps after which means and variances of batch normalization stay, so
        that the network learns with those it is used with.
    rate : float
        Highest learning rate of Adam; it rises over `warm_up` steps and falls to 0 as half
        a cosine.
    lines : bool
        Whether some images have line noise, and lines are masked (`blind`).
    seed : int
    precision : {"32", "bf16"}
        Arithmetic of the network.
    start : str or None
        SHA-256 of the file of weights that it goes on from; None for random ones.
    """

    goal: Literal["denoiser", "blind"] = "denoiser"
    network: dict[str, Any] | None = None
    steps: int = 20_000
    batch_size: int = 16
    patch_size: tuple[int, ...] = (64, 64)
    scene_size: tuple[int, ...] = (256, 256)
    scenes: int = 200
    new_every: int = 4
    rate: float = 1e-3
    warm_up: int = 500
    ema: float = 0.999
    frozen_from: float = 0.5
    lines: bool = False
    seed: int = 0
    precision: Precision = "bf16"
    start: str | None = None

    @property
    def context(self) -> int:
        """Planes before and after one that the network sees of a volume."""
        return int((self.network or {}).get("time_context", 0))

    def rate_at(self, step: int) -> float:
        """The learning rate of `step`."""
        rise = min(1.0, (step + 1) / self.warm_up)
        return self.rate * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))


@dataclass(frozen=True)
class Scene:
    """An expected image, about 1 at its brightest, and what of it is normalized away."""

    image: NDArray[np.float32]
    mean: float
    variance: float
    """Of all pixels, or for a denoiser within squares of 32 pixels."""
    base: NDArray[np.float32]
    """What becomes 0: the blurred image, or where it is not blurred its mean."""


class Scenes:
    """Simulated scenes in turn: which are at hand depends on the step alone."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._made: dict[int, Scene] = {}

    def at(self, step: int) -> list[Scene]:
        """The scenes of `step`."""
        first = step // self._recipe.new_every
        numbers = range(first, first + self._recipe.scenes)
        self._made = {n: self._made.get(n) or self._make(n) for n in numbers}
        return list(self._made.values())

    def _make(self, number: int) -> Scene:
        rng = np.random.default_rng([self._recipe.seed, 1, number])
        image = random_optics(rng).image(scene(rng, self._recipe.scene_size))
        image, mean = image.astype(np.float32), float(image.mean())
        if self._recipe.goal == "blind":
            return Scene(image, mean, float(image.var()), np.full_like(image, mean))
        values = torch.from_numpy(image)[None]
        fine = float(within_squares(values)) / image.size
        return Scene(image, mean, fine, blurred(values[None], REACH)[0, 0].numpy())


@dataclass(frozen=True)
class Batch:
    """Normalized patches ``(B, 1, (Z), Y, X)`` and what is known of each.

    If planes are frames, the noisy ones are channels and a clean one is the middle plane.
    """

    noisy: Tensor
    clean: Tensor
    noise: Tensor
    """Share of the noise in the variance of its image, 0 to 1, ``(B,)``."""
    detail: Tensor
    """Variance of what is finer than 9 pixels, in units of that of its image, ``(B,)``."""
    spread: Tensor
    """Standard deviation of its image in units of the patch, about 1, ``(B,)``."""

    def reachable(self, floor: float) -> Tensor:
        """About the squared error that can be reached in each patch, ``(B,)``.

        That of a Wiener filter for detail that fills a tenth of all frequencies, and
        `floor` in units of the variances of detail and noise.
        """
        detail, noise = self.detail, self.noise
        error = 0.1 * detail * noise / (detail + 0.1 * noise).clamp(min=1e-9)
        return self.spread.square() * (error + floor * (detail + noise) + 5e-4)


def draw(recipe: Recipe, scenes: list[Scene], step: int) -> Batch:
    """Draw the batch of `step`: each patch of another scene, with another detector.

    Mean and standard deviation are those of the whole scene, and then vary at random: an
    image may show more background, or fewer structures, than a scene does. A denoiser sees
    what is finer than its blur (`DenoiserUNet`).
    """
    rng = np.random.default_rng([recipe.seed, 2, step])
    noisy, clean, noise, details, spreads = [], [], [], [], []
    for _ in range(recipe.batch_size):
        chosen = scenes[rng.integers(len(scenes))]
        detector = random_detector(rng, lines=recipe.lines and bool(rng.random() < 0.7))
        spread = detector.gain * detector.photons
        of_noise = float(np.mean(detector.variance(np.array(chosen.mean))))
        deviation = math.sqrt(spread**2 * chosen.variance + of_noise) or 1.0
        box = _box(rng, chosen.image.shape, recipe.patch_size)
        if recipe.context:
            planes, order = _planes(rng, len(chosen.image), recipe.context)
            box = planes, *box[1:]
        crop, base = chosen.image[box], detector.offset + spread * chosen.base[box]
        pair = np.stack([detector.exposed(crop, rng), detector.expected(crop)])
        fine = pair[1] - ndimage.uniform_filter(pair[1], FINE)
        size = math.exp(rng.normal(0, 0.4))
        shift = rng.normal(0, 0.3) if recipe.goal == "blind" else 0.0
        pair = size * ((pair - base) / deviation + shift)
        pair = _turned(rng, pair, lines=recipe.lines)
        if recipe.context:
            pair = pair[:, order]
        noisy.append(pair[0])
        clean.append(pair[1])
        noise.append(of_noise / deviation**2)
        details.append(float(fine.var()) / deviation**2)
        spreads.append(size)
    first, second = (
        torch.from_numpy(np.stack(part)[:, None]).float() for part in (noisy, clean)
    )
    if recipe.context:
        first, second = first[:, 0], second[:, :, recipe.context]
    facts = (torch.tensor(part) for part in (noise, details, spreads))
    return Batch(first, second, *facts)


def _box(
    rng: np.random.Generator, shape: tuple[int, ...], size: tuple[int, ...]
) -> tuple[slice, ...]:
    firsts = [int(rng.integers(a - b + 1)) for a, b in zip(shape, size, strict=True)]
    return tuple(slice(a, a + b) for a, b in zip(firsts, size, strict=True))


def _planes(
    rng: np.random.Generator, depth: int, context: int
) -> tuple[slice, NDArray[np.int64]]:
    """Planes of a stack with wide or narrow steps, and their order as a network sees them.

    In a tenth of patches the middle plane is near the border, where planes are reflected.
    """
    last = 2 * context
    step = int(rng.integers(1, 1 + min(6, (depth - 1) // last)))
    first = int(rng.integers(depth - step * last))
    order = np.arange(last + 1)
    if rng.random() < 0.1:
        border = int(rng.integers(1, context + 1))
        order = border + abs(order - border)
    return slice(first, first + step * last + 1, step), order[:: rng.choice([-1, 1])]


def _turned(rng: np.random.Generator, pair: NDArray[Any], *, lines: bool) -> NDArray[Any]:
    turns, flips = int(rng.integers(4)), bool(rng.integers(2))
    if lines:
        turns -= turns % 2  # lines stay along X
    pair = np.rot90(pair, turns, (-2, -1))
    return np.ascontiguousarray(pair[..., ::-1] if flips else pair)


def loss_of(
    recipe: Recipe, batch: Batch, predict: Callable[[Tensor], Tensor], step: int
) -> Tensor:
    """Logarithm of 1 plus the squared error divided by about what can be reached.

    Otherwise the noisiest images would decide all, since their errors are largest, what is
    left of the noise on smooth parts would hardly count, and few patches with many hot
    pixels would outweigh all others.
    """
    if recipe.goal == "denoiser":
        error = (predict(batch.noisy) - batch.clean).square().flatten(1).mean(1)
        return (error / batch.reachable(0.002)).log1p().mean()
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
    config = N2VManipulateConfig(struct_mask_axis="horizontal" if recipe.lines else "none")
    masked = n2v.mask(batch.noisy, config, generator)
    answers = batch.clean.flatten(1).gather(1, masked.pixels)
    found = predict(masked.patches).flatten(1).gather(1, masked.pixels)
    error = masked.weights * (found - answers).square()
    error = error.sum(1) / masked.weights.sum(1).clamp(min=1)
    return (error / batch.reachable(0.02)).log1p().mean()


class _Training:
    """Networks, optimizer and step of a pretraining, kept in one file."""

    def __init__(self, recipe: Recipe, device: str, start: Path | None) -> None:
        self._recipe, self._device = recipe, device
        self.network = new_network(UNetConfig(**recipe.network or {}), recipe.seed)
        if start is not None:
            load_weights(self.network, load_file(start))
        self.network.to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), recipe.rate)
        self.average = EMAWeights(self.network, recipe.ema)
        self.step = 0

    def take_step(self, scenes: list[Scene]) -> float:
        """Take one optimizer step and return its loss."""
        recipe, step = self._recipe, self.step
        self.network.train()
        if step >= recipe.frozen_from * recipe.steps:
            for layer in self.network.modules():
                layer.train(not isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d))
        batch = draw(recipe, scenes, step)
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate_at(step)
        self.optimizer.zero_grad(set_to_none=True)
        loss = loss_of(recipe, batch, self._predict, step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.average.update(step)
        self.step += 1
        return loss.item()

    def _predict(self, patches: Tensor) -> Tensor:
        flat = patches.ndim == 4
        layout = torch.channels_last if flat else torch.channels_last_3d
        half = self._recipe.precision == "bf16"
        with torch.autocast(self._device, torch.bfloat16, enabled=half):
            patches = patches.to(self._device).contiguous(memory_format=layout)
            found: Tensor = self.network(patches)
        return found.float().cpu()

    def save(self, path: Path) -> None:
        parts = {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer),
        }
        tensors = {
            f"{part}/{name}": value.contiguous().clone()
            for part, named in parts.items()
            for name, value in named.items()
        }
        header = {"recipe": _text(self._recipe), "step": str(self.step)}
        with whole_file(path) as unfinished:
            save_file(tensors, unfinished, header)

    def restore(self, path: Path) -> None:
        parts: dict[str, dict[str, Tensor]] = {
            "network": {},
            "average": {},
            "optimizer": {},
        }
        with safe_open(path, "pt") as file:
            header = file.metadata()
            for name in file.keys():  # noqa: SIM118 - not a mapping
                part, rest = name.split("/", 1)
                parts[part][rest] = file.get_tensor(name)
        if json.loads(header["recipe"]) != json.loads(_text(self._recipe)):
            raise ConfigurationError(
                f"{str(path)!r} is the state of another recipe; give another folder."
            )
        self.network.load_state_dict(parts["network"])
        self.average.network.load_state_dict(parts["average"])
        groups = self.optimizer.state_dict()["param_groups"]
        restore_optimizer(self.optimizer, groups, parts["optimizer"])
        self.step = int(header["step"])


def load_weights(network: UNet, weights: Mapping[str, Tensor]) -> None:
    """Load `weights` of the same architecture, or of the same one in 2D or for one frame.

    Raises a ConfigurationError if they are of another architecture.
    """
    found = inflated(weights, network)
    for name, own in network.state_dict().items():
        if name not in found or found[name].shape != own.shape:
            raise ConfigurationError(
                f"The weights to go on from are of another architecture ({name}); give "
                "those of a network with the settings of the recipe."
            )
    network.load_state_dict(found)


class _Curve:
    """``step,loss,seconds`` of each hundred steps; what a resumed training repeats goes."""

    def __init__(self, path: Path, first: int) -> None:
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if int(line.split(",")[0]) <= first]
        path.write_text("".join(f"{line}\n" for line in kept))
        before = float(kept[-1].split(",")[2]) if kept else 0.0
        self._path, self._losses = path, list[float]()
        self._start = time.monotonic() - before

    def add(self, step: int, loss: float) -> None:
        self._losses.append(loss)
        if step % 100 == 0:
            seconds = time.monotonic() - self._start
            line = f"{step},{np.mean(self._losses):.5f},{seconds:.0f}\n"
            with self._path.open("a") as file:
                file.write(line)
            print(line, end="", flush=True)
            self._losses.clear()


def pretrain(
    recipe: Recipe,
    folder: Path,
    *,
    start: Path | None = None,
    device: str = "cpu",
    keep_every: int = 500,
    should_stop: Callable[[], bool] = lambda: False,
) -> Path | None:
    """Train by `recipe`, or go on where ``folder/state.safetensors`` ends.

    `start` is a file of weights to begin with, whose hash is kept in the recipe; those of
    a 2D network serve a 3D one as well.

    Returns the path of the averaged weights, ``folder/weights.safetensors``, with the
    recipe in their header; or None if `should_stop` ended it, which is asked after each
    step and loses none. ``folder/curve.csv`` has the mean loss of each hundred steps (after
    an interruption: of those since) and the seconds by then. Raises ConfigurationError if
    the folder is that of another recipe.
    """
    if start is not None:
        digest = hashlib.sha256(start.read_bytes()).hexdigest()
        recipe = replace(recipe, start=digest)
    folder.mkdir(parents=True, exist_ok=True)
    state, training = folder / "state.safetensors", _Training(recipe, device, start)
    if state.exists():
        training.restore(state)
    scenes, curve = Scenes(recipe), _Curve(folder / "curve.csv", training.step)
    while training.step < recipe.steps:
        curve.add(training.step + 1, training.take_step(scenes.at(training.step)))
        stopped = should_stop()
        if stopped or training.step % keep_every == 0 or training.step == recipe.steps:
            training.save(state)
        if stopped and training.step < recipe.steps:
            return None
    weights = folder / "weights.safetensors"
    averaged = training.average.network.state_dict()
    with whole_file(weights) as unfinished:
        save_file(
            {name: value.contiguous() for name, value in averaged.items()},
            unfinished,
            {"recipe": _text(recipe)},
        )
    return weights


def _text(recipe: Recipe) -> str:
    return json.dumps(asdict(recipe))
