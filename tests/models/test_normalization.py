import numpy as np
import pytest
import torch

from napari_hush.config import (
    MeanStdConfig,
    MinMaxConfig,
    NoNormalizationConfig,
    QuantileConfig,
)
from napari_hush.dataset import Statistics
from napari_hush.dataset.statistics import fit_normalization
from napari_hush.errors import DataError
from napari_hush.models.normalization import Normalization


@pytest.fixture
def found():
    rng = np.random.default_rng(0)
    statistics = Statistics()
    pixels = np.stack([rng.normal(100, 10, 5000), rng.normal(300, 40, 5000)])
    statistics.add(pixels)
    statistics.pixels = pixels
    return statistics


def test_by_mean_and_standard_deviation(found):
    scaling = fit_normalization(MeanStdConfig(), found, "the data")
    np.testing.assert_allclose(scaling.means, found.pixels.mean(axis=1))
    np.testing.assert_allclose(scaling.stds, found.pixels.std(axis=1))
    together = fit_normalization(MeanStdConfig(per_channel=False), found, "the data")
    np.testing.assert_allclose(together.means, found.pixels.mean())
    np.testing.assert_allclose(together.stds, found.pixels.std())


def test_by_quantiles_and_extremes(found):
    scaling = fit_normalization(QuantileConfig(lower=0.1, upper=0.8), found, "the data")
    low, high = np.quantile(found.pixels, (0.1, 0.8), axis=1)
    np.testing.assert_allclose(scaling.means, low)
    np.testing.assert_allclose(scaling.stds, high - low)
    widest = fit_normalization(MinMaxConfig(per_channel=False), found, "the data")
    np.testing.assert_allclose(widest.means, found.pixels.min())
    np.testing.assert_allclose(widest.stds, np.ptp(found.pixels))


def test_not_at_all(found):
    batch = torch.randn(2, 2, 4, 4)
    scaling = fit_normalization(NoNormalizationConfig(), found, "the data")
    torch.testing.assert_close(scaling.normalize(batch), batch)


@pytest.mark.parametrize("config", [MeanStdConfig(), MinMaxConfig(), QuantileConfig()])
def test_nothing_to_learn(config):
    flat = Statistics()
    flat.add(np.full((1, 300), 7.0))
    with pytest.raises(DataError, match="In the data the intensity is 7 everywhere"):
        fit_normalization(config, flat, "the data")
    two = Statistics()
    two.add(np.stack([np.arange(300.0), np.full(300, 3.0)]))
    with pytest.raises(DataError, match="In channel 1 of the data the intensity is 3"):
        fit_normalization(config, two, "the data")


def test_outliers_alone_are_nothing_to_learn():
    sparse = Statistics()
    sparse.add(np.array([[7.0] * 999 + [8.0]]))
    with pytest.raises(DataError, match="is 7 nearly everywhere"):
        fit_normalization(QuantileConfig(), sparse, "the data")


def test_there_and_back():
    scaling = Normalization((100.0, -5.0), (20.0, 0.5))
    batch = torch.randn(3, 2, 8, 8) * 20 + 100
    normal = scaling.normalize(batch)
    torch.testing.assert_close(normal[:, 0], (batch[:, 0] - 100) / 20)
    torch.testing.assert_close(scaling.denormalize(normal), batch)
    array = scaling.normalize_array(batch.numpy().copy())
    np.testing.assert_allclose(array, normal, atol=1e-6)


def test_another_number_of_channels():
    with pytest.raises(DataError, match="has 3 channels but the statistics are of 1"):
        Normalization((0.0,), (1.0,)).normalize(torch.zeros(1, 3, 8, 8))


def test_models_of_version_0_1_keep_their_formula():
    batch = torch.full((1, 1, 2, 2), 3.0)
    text = '{"means": [1.0], "stds": [2e-06]}'
    former = Normalization.from_json(text, 1)
    torch.testing.assert_close(former.normalize(batch), (batch - 1) / 3e-6)
    assert former.as_json() == text
    now = Normalization((1.0,), (2e-6,))
    torch.testing.assert_close(now.normalize(batch), (batch - 1) / 2e-6)
    assert Normalization.from_json(now.as_json(), 1) == now
