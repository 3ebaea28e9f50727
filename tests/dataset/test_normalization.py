import numpy as np
import pytest
import torch

from napari_hush.dataset import Normalization, measure
from napari_hush.dataset import normalization as module
from napari_hush.errors import DataError


@pytest.mark.parametrize(
    ("dtype", "offset", "spread"),
    [
        ("uint8", 100, 20),
        ("uint16", 30_000, 500),
        ("uint32", 3_000_000, 40),
        ("int16", -200, 90),
        ("float32", 0.001, 0.0001),
        ("float64", 3e6, 0.5),
    ],
)
def test_statistics_are_numpys_in_float64(dtype, offset, spread, monkeypatch):
    monkeypatch.setattr(module, "_BAND", 700)  # many bands
    rng = np.random.default_rng(0)
    images = [rng.normal(offset, spread, (2, 37, n)).astype(dtype) for n in (50, 61)]
    found = measure([(image, "a") for image in images], {}, (8, 8))
    joined = np.concatenate([i.reshape(2, -1) for i in images], axis=1).astype(np.float64)
    np.testing.assert_allclose(found.means, joined.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.stds, joined.std(axis=1), rtol=1e-6)


def test_held_out_windows_do_not_count(monkeypatch):
    monkeypatch.setattr(module, "_BAND", 100)
    rng = np.random.default_rng(0)
    image = rng.normal(5, 2, (1, 40, 40))
    keep = np.ones((40, 40), bool)
    keep[8:24, 16:32] = False
    image[0, ~keep] = 1e6
    found = measure([(image, "a")], {0: np.array([[8, 16]])}, (16, 16))
    np.testing.assert_allclose(found.means, image[0, keep].mean())
    np.testing.assert_allclose(found.stds, image[0, keep].std())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers(value):
    image = np.zeros((1, 16, 16), "float32")
    image[0, 3, 4] = value
    with pytest.raises(DataError, match=r"1 or more pixels of cells\.tif are NaN"):
        measure([(image, "cells.tif")], {}, (8, 8))


def test_nothing_to_learn():
    with pytest.raises(DataError, match="The training data is 7 everywhere"):
        measure([(np.full((1, 16, 16), 7, "uint8"), "a")], {}, (8, 8))
    image = np.random.default_rng(0).random((2, 16, 16))
    image[1] = 3
    with pytest.raises(DataError, match="Channel 1 of the training data is 3"):
        measure([(image, "a")], {}, (8, 8))


def test_there_and_back():
    scaling = Normalization((100.0, -5.0), (20.0, 0.5))
    batch = torch.randn(3, 2, 8, 8) * 20 + 100
    normal = scaling.normalize(batch)
    torch.testing.assert_close(normal[:, 0], (batch[:, 0] - 100) / 20)
    torch.testing.assert_close(scaling.denormalize(normal), batch)


def test_another_number_of_channels():
    with pytest.raises(DataError, match="has 3 channels but the statistics are of 1"):
        Normalization((0.0,), (1.0,)).normalize(torch.zeros(1, 3, 8, 8))
