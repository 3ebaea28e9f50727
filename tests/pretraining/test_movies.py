"""Simulated movies: objects move, blink, drift and bleach as told."""

import numpy as np
import pytest
from pretraining.camera import Detector, Optics
from pretraining.movies import Motion, movie, random_motion

SHAPE = (24, 64, 72)


def centers(film):
    """Position of the only object in each frame, ``(T, 2)``."""
    y, x = np.indices(SHAPE[1:])
    found = [((f * y).sum() / f.sum(), (f * x).sum() / f.sum()) for f in film.inside]
    return np.array(found)


def ways(film):
    """How far the only object goes between frames; jumps across a border left out."""
    steps = np.diff(centers(film), axis=0)
    return steps[np.abs(steps).max(1) < 20]


def lone(**changes):
    return Motion(**{"objects": 1, "radius": 5.0} | changes)


def test_densities_are_finite_and_not_negative():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        film = movie(rng, (6, 40, 48), random_motion(rng))
        assert film.density.shape == film.inside.shape == (6, 40, 48)
        assert np.isfinite(film.density).all()
        assert 0 <= film.density.min() < film.density.max() < 2


def test_a_seed_repeats_it():
    first, again, other = (
        movie(np.random.default_rng(seed), (4, 32, 32), Motion()) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.density, again.density)
    assert (first.density != other.density).any()


def test_without_motion_all_frames_are_the_same():
    film = movie(np.random.default_rng(0), SHAPE, Motion(speed=0))
    np.testing.assert_array_equal(film.density, film.density[:1].repeat(24, 0))


@pytest.mark.parametrize("persistence", [0.0, 0.8])
@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_objects_are_as_fast_as_told(speed, persistence):
    motion = lone(speed=speed, persistence=persistence)
    films = [movie(np.random.default_rng(n), SHAPE, motion, "flat") for n in range(12)]
    squares = np.concatenate([(ways(film) ** 2).sum(1) for film in films])
    assert np.sqrt(squares.mean()) == pytest.approx(speed, rel=0.25)


def test_persistent_objects_go_straight_ahead():
    steps = ways(movie(np.random.default_rng(3), SHAPE, lone(persistence=1), "flat"))
    assert np.abs(steps - np.median(steps, axis=0)).max() < 0.5


def test_drift_moves_scene_and_objects_together():
    film = movie(np.random.default_rng(1), SHAPE, lone(speed=0, drift=0.5), "fractal")
    assert np.hypot(*ways(film).T).mean() == pytest.approx(0.5, rel=0.1)
    # 10 frames later all is 5 pixels further: the spectra differ by that phase.
    first, later = (np.fft.fft2(film.density[t] - film.density[t].mean()) for t in (0, 10))
    peak = np.fft.ifft2(first.conj() * later).real.argmax()
    moved = np.array(np.unravel_index(peak, SHAPE[1:]))
    moved = np.where(moved > 20, moved - SHAPE[1:], moved)
    assert np.hypot(*moved) == pytest.approx(5, abs=1)


def test_objects_blink():
    motion = lone(speed=0, blinking=0.2)
    size = (60, 16, 16)
    films = [movie(np.random.default_rng(n), size, motion, "flat") for n in range(15)]
    is_on = np.stack([film.inside.any((1, 2)) for film in films])
    assert is_on.mean() == pytest.approx(0.5, abs=0.1)
    assert np.diff(is_on, axis=1).mean() == pytest.approx(0.2, abs=0.04)


def test_light_bleaches():
    film = movie(np.random.default_rng(0), SHAPE, Motion(speed=0, bleaching=0.05))
    sums = film.density.sum((1, 2))
    np.testing.assert_allclose(sums[1:] / sums[:-1], 0.95)


def test_frames_are_filmed_one_by_one():
    film = movie(np.random.default_rng(0), (3, 40, 40), Motion())
    optics, detector = Optics(psf_width=3), Detector(photons=100, gain=2, offset=10)
    noisy, truth = film.filmed(optics, detector, np.random.default_rng(1))
    np.testing.assert_allclose(truth[1], detector.expected(optics.image(film.density[1])))
    error = (noisy - truth) ** 2
    assert error.mean() == pytest.approx((2 * (truth - 10)).mean(), rel=0.1)
