"""Simulated images whose noise is known."""

import numpy as np
import pytest


def smooth(image, kernel):
    """Convolve along (Y, X) with small kernels, wrapping around."""
    for axis, weights in enumerate(kernel):
        half = len(weights) // 2
        image = sum(w * np.roll(image, k - half, axis - 2) for k, w in enumerate(weights))
    return image


@pytest.fixture
def cells():
    """A picture of blurred blobs and lines on a dark ground, 256 x 256, 0 to about 1."""
    rng = np.random.default_rng(5)
    scene = (rng.random((256, 256)) < 0.004).astype(float)
    scene[40:44, 30:220] = 0.15
    scene[60:230, 120:123] = 0.15
    blur = np.exp(-(np.arange(-8, 9) ** 2) / (2 * 2.0**2))
    scene = smooth(scene, (blur, blur))
    return scene / scene.max()


@pytest.fixture
def noise_of():
    """Draw noise of standard deviation 1 that is smoothed along (Y, X) by two kernels."""

    def draw(along_y=(1,), along_x=(1,), shape=(256, 256), seed=0):
        white = np.random.default_rng(seed).normal(size=shape)
        drawn = smooth(white, (along_y, along_x))
        return drawn / drawn.std()

    return draw


@pytest.fixture
def blurred():
    """Gaussian blur, as a denoiser that smooths too much."""

    def blur(image, sigma):
        reach = int(4 * sigma)
        weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
        weights /= weights.sum()
        return smooth(image, (weights, weights))

    return blur
