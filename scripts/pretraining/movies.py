"""Simulated movies with ground truth: objects that move and blink over a still scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pretraining.structures import Density, paint, scene

if TYPE_CHECKING:
    from numpy.random import Generator

    from pretraining.camera import Detector, Optics


@dataclass(frozen=True)
class Motion:
    """What changes from frame to frame.

    Attributes
    ----------
    speed : float
        Root mean square of the way that an object goes in a frame, in pixels.
    persistence : float
        From 0, a random walk, to 1, straight ahead at constant speed.
    drift : float
        Pixels per frame by which all moves together, as with a stage that drifts.
    blinking : float
        Probability per frame that an object goes off or on again, 0 to 1.
    bleaching : float
        Share of the light that is lost per frame, 0 to 1.
    objects : int
        How many of them there are.
    radius : float
        Their mean radius in pixels.
    """

    speed: float = 1.0
    persistence: float = 0.7
    drift: float = 0.0
    blinking: float = 0.0
    bleaching: float = 0.0
    objects: int = 20
    radius: float = 3.0


@dataclass(frozen=True)
class Movie:
    """Densities ``(T, Y, X)`` of a movie, as `scene` gives them, and where objects are."""

    density: Density
    inside: NDArray[np.bool_]
    """Whether a pixel is inside an object that is on."""

    def filmed(
        self, optics: Optics, detector: Detector, rng: Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Noisy frames and what they are expected to be, in gray values."""
        light = np.stack([optics.image(frame) for frame in self.density])
        return detector.exposed(light, rng), detector.expected(light)


def movie(
    rng: Generator, shape: tuple[int, int, int], motion: Motion, kind: str | None = None
) -> Movie:
    """Simulate a movie of `shape` ``(T, Y, X)`` over a scene of `kind`, by default any.

    Objects are ellipses of a fifth to once the brightness of the scene. One that leaves at
    a border comes back at the opposite one.
    """
    frames, *size = shape
    angle = rng.uniform(0, 2 * np.pi)
    heading = motion.drift * np.array([np.sin(angle), np.cos(angle)])
    drifts = np.arange(frames)[:, None] * heading
    margin = int(np.ceil(np.abs(drifts).max()))
    seen = tuple(slice(margin, margin + length) for length in size)
    still = scene(rng, tuple(length + 2 * margin for length in size), kind)
    density = np.stack(
        [ndimage.shift(still, drift, mode="nearest")[seen] for drift in drifts]
    )
    inside = np.zeros(shape, bool)
    for _ in range(motion.objects):
        centers = (rng.uniform(0, size) + drifts + _path(rng, frames, motion)) % size
        radii = motion.radius * rng.uniform(0.7, 1.3, 2)
        value, turn = rng.uniform(0.2, 1.0), int(rng.integers(2**32))
        for time in np.flatnonzero(_states(rng, frames, motion.blinking)):
            alone = np.zeros(size)
            paint(np.random.default_rng(turn), alone, centers[time], radii, value)
            density[time] = np.maximum(density[time], alone)
            inside[time] |= alone > value / 2
    fading = (1 - motion.bleaching) ** np.arange(frames)
    return Movie(np.maximum(density, 0) * fading[:, None, None], inside)


def random_motion(rng: Generator) -> Motion:
    """Draw a motion: still in a fifth, otherwise 0.05 to 5 pixels per frame."""
    return Motion(
        speed=(rng.random() < 0.8) * 10 ** rng.uniform(-1.3, 0.7),
        persistence=rng.uniform(0, 1),
        drift=float(rng.choice([0, 0, rng.uniform(0, 0.5)])),
        blinking=float(rng.choice([0, rng.uniform(0, 0.5)])),
        bleaching=float(rng.choice([0, rng.uniform(0, 0.03)])),
        objects=int(rng.integers(3, 60)),
        radius=10 ** rng.uniform(0, 1.1),
    )


def _path(rng: Generator, frames: int, motion: Motion) -> NDArray[Any]:
    """Way of an object from the first frame on, ``(T, 2)`` in pixels."""
    memory = motion.persistence
    steps = rng.normal(0, motion.speed / np.sqrt(2), (frames, 2))
    for time in range(1, frames):
        steps[time] = memory * steps[time - 1] + np.sqrt(1 - memory**2) * steps[time]
    steps[0] = 0
    return np.cumsum(steps, axis=0)


def _states(rng: Generator, frames: int, blinking: float) -> NDArray[np.bool_]:
    """In which frames an object is on; at first, and on average, half of them are."""
    if not blinking:
        return np.ones(frames, bool)
    switches = rng.random(frames) < blinking
    switches[0] = rng.random() < 0.5
    return np.cumsum(switches) % 2 == 0
