"""Simulated structures: densities that a seed repeats."""

import numpy as np
import pytest
from pretraining import KINDS, scene

SHAPES = [(96, 112), (12, 40, 48)]


def made(kind, shape, first=0):
    """Three densities: a single one may show nothing, as a field without cells."""
    return np.stack(
        [KINDS[kind](np.random.default_rng(first + n), shape) for n in range(3)]
    )


@pytest.mark.parametrize("shape", SHAPES, ids=("2D", "3D"))
@pytest.mark.parametrize("kind", KINDS)
class TestEachKind:
    def test_densities_are_finite_and_not_negative(self, kind, shape):
        density = made(kind, shape)
        assert density.shape == (3, *shape)
        assert density.dtype == np.float64
        assert np.isfinite(density).all()
        assert density.min() >= 0
        assert density.max() > 0

    def test_a_seed_repeats_it_and_another_does_not(self, kind, shape):
        first = made(kind, shape)
        np.testing.assert_array_equal(first, made(kind, shape))
        assert (first != made(kind, shape, 5)).any()

    def test_scenes_reach_from_0_to_about_1(self, kind, shape):
        found = scene(np.random.default_rng(2), shape, kind)
        assert found.min() >= 0
        assert found.max() <= 1.5**1.5
        # Few pixels are brighter than the 99.9th percentile, which is 1.
        assert found.max() == 0 or abs(np.quantile(found, 0.999) - 1) < 0.01


def test_all_kinds_are_drawn_and_some_scenes_have_two(monkeypatch):
    drawn = []
    for name in KINDS:
        monkeypatch.setitem(KINDS, name, lambda rng, shape, n=name: drawn.append(n) or 1.0)
    rng = np.random.default_rng(0)
    for _ in range(400):
        scene(rng, (1, 1))
    counts = np.array([drawn.count(name) for name in KINDS])
    assert len(drawn) / 400 == pytest.approx(1.35, abs=0.06)
    assert counts.min() > 20


def test_membranes_are_brighter_than_the_inside_of_cells():
    wall = KINDS["membranes"](np.random.default_rng(3), (96, 96))
    assert np.median(wall) < 0.3 * np.quantile(wall, 0.98)


def test_sections_are_dark_structures_on_gray():
    gray = KINDS["sections"](np.random.default_rng(3), (96, 96))
    assert np.median(gray) - gray.min() > 2 * (gray.max() - np.median(gray))


def test_power_of_fractals_falls_with_frequency():
    image = KINDS["fractal"](np.random.default_rng(0), (128, 128))
    power = np.abs(np.fft.fft2(image - image.mean())) ** 2
    low, middle = power[1:6, 1:6].mean(), power[30:50, 30:50].mean()
    assert low > 30 * middle
