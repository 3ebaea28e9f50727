"""Kinds of images, without noise and from 0 to about 1."""

import numpy as np
from scipy.ndimage import gaussian_filter

SIDE = 160
Y, X = np.mgrid[:SIDE, :SIDE]


def _spots(density, sigma):
    rng = np.random.default_rng(0)
    scene = (rng.random((SIDE, SIDE)) < density) * rng.random((SIDE, SIDE))
    scene = gaussian_filter(scene, sigma)
    return scene / scene.max()


def _lines():
    scene = np.zeros((SIDE, SIDE))
    for start, slope in ((20, 0.3), (60, -0.2), (90, 0.8), (140, 0.1), (10, 0.9)):
        row = (start + slope * np.arange(SIDE)).astype(int) % SIDE
        scene[row, np.arange(SIDE)] = 1
    scene = gaussian_filter(scene, 1.2)
    return scene / scene.max()


def _cells():
    rng = np.random.default_rng(2)
    scene = np.zeros((SIDE, SIDE))
    places = zip(*rng.integers(0, SIDE, (2, 14)), rng.uniform(8, 18, 14), strict=True)
    for y, x, radius in places:
        scene += (np.hypot(Y - y, X - x) < radius) * rng.uniform(0.4, 1)
    return gaussian_filter(scene, 1.5) / 2


def _texture():
    scene = gaussian_filter(np.random.default_rng(3).normal(size=(SIDE, SIDE)), 2)
    return 0.5 + scene / np.ptp(scene)


SCENES = {
    "spots": _spots(0.01, 1.5),
    "lines": _lines(),
    "cells": _cells(),
    "texture": _texture(),
    "gradient": (X + 2 * Y) / (3.0 * SIDE),
    "sparse": _spots(0.0005, 2.0),
    "checks": gaussian_filter(np.sign(np.sin(X / 7) * np.sin(Y / 9)) / 2 + 0.5, 0.8),
    "waves": 0.5 + 0.5 * np.sin(np.hypot(Y - 60, X - 90) / 3),
    "channels": np.stack([_cells(), _lines()]),
    "stack": np.stack([gaussian_filter(_cells(), z / 2) for z in (3, 2, 1, 0, 1, 2)]),
}
AXES = {"channels": "CYX", "stack": "ZYX"}
