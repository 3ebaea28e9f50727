import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from napari_hush import n2v
from napari_hush.config import N2VManipulateConfig


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("spatial", [(64, 64), (16, 48), (8, 32, 32)])
@pytest.mark.parametrize("percentage", [0.5, 1.5, 5.0])
def test_the_percentage_is_kept(spatial, percentage, generator):
    pixels, weights = n2v.choose_pixels(2000, spatial, percentage, generator)
    found = weights.sum() / (2000 * np.prod(spatial)) * 100
    assert found == pytest.approx(percentage, rel=0.02)
    assert pixels.min() >= 0
    assert pixels.max() < np.prod(spatial)
    assert (weights[:, 0] == 1).all()


def test_every_pixel_is_equally_likely(generator):
    pixels, weights = n2v.choose_pixels(20_000, (24, 24), 3.0, generator)
    counts = torch.bincount(pixels[weights > 0], minlength=576)
    assert chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("roi", [3, 5, 11])
def test_every_offset_is_equally_likely_and_the_centre_never(roi, generator):
    size = 64
    centre = torch.full((1000, 1000), 32 * size + 32)  # a million draws
    drawn = n2v.choose_neighbours(centre, (size, size), roi, generator)
    dy, dx = drawn // size - 32, drawn % size - 32
    half = roi // 2
    assert dy.abs().max() == dx.abs().max() == half
    counts = torch.bincount(((dy + half) * roi + dx + half).ravel(), minlength=roi**2)
    assert counts[roi**2 // 2] == 0
    others = np.delete(counts.numpy(), roi**2 // 2)
    assert chisquare(others).pvalue > 1e-4


@pytest.mark.parametrize("spatial", [(8, 8), (9, 30), (8, 12, 9)])
def test_at_the_border_too_the_pixel_itself_is_never_drawn(spatial, generator):
    every = torch.arange(int(np.prod(spatial))).repeat(500, 1)
    drawn = n2v.choose_neighbours(every, spatial, 11, generator)
    assert (drawn != every).all()
    assert drawn.min() >= 0
    assert drawn.max() < np.prod(spatial)


def test_the_network_never_sees_a_masked_pixel(generator):
    """Every value is unique, so that none can stand at its own place by chance."""
    batch = torch.randperm(4 * 2 * 32 * 32).float().reshape(4, 2, 32, 32)
    masked = n2v.mask(batch, N2VManipulateConfig(masked_pixel_percentage=5), generator)
    seen = masked.patches.reshape(8, -1)
    flat = batch.reshape(8, -1)
    assert (seen.gather(1, masked.pixels) != masked.values).all()
    torch.testing.assert_close(flat.gather(1, masked.pixels), masked.values)
    untouched = torch.ones_like(flat, dtype=torch.bool).scatter(1, masked.pixels, False)
    assert torch.equal(seen[untouched], flat[untouched])
    window = (seen != flat).float().mean()
    assert window == pytest.approx(0.05, rel=0.1)


def test_replacements_come_from_the_window(generator):
    yx = torch.stack(torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij"))
    for coordinate in yx:
        masked = n2v.mask(
            coordinate[None, None], N2VManipulateConfig(roi_size=5), generator
        )
        moved = (masked.patches.ravel() - coordinate.ravel()).abs()
        assert moved.max() <= 4  # two pixels, or up to four where the border moves it


def test_the_loss_looks_at_masked_pixels_only(generator):
    batch = torch.randn(3, 1, 16, 16)
    masked = n2v.mask(batch, N2VManipulateConfig(), generator)
    prediction = batch.clone()
    assert n2v.loss(prediction, masked) == 0
    hidden = torch.zeros(3, 256).scatter(1, masked.pixels, 1.0).reshape(batch.shape)
    assert n2v.loss(prediction + 5 * (1 - hidden), masked) == 0
    assert n2v.loss(prediction + 2 * hidden, masked) == pytest.approx(4)


@pytest.mark.parametrize("level", [0.0, 0.01, 1.0])
def test_equal_values_are_masked_by_position_so_the_loss_is_never_nan(level, generator):
    """Masks by value lose pixels whose replacement happens to be equal, up to 0 / 0."""
    batch = torch.poisson(torch.full((8, 1, 32, 32), level))
    masked = n2v.mask(batch, N2VManipulateConfig(), generator)
    assert masked.weights.sum() == pytest.approx(8 * 1024 * 0.015, rel=0.3)
    assert torch.isfinite(n2v.loss(torch.zeros_like(batch), masked))


def test_same_generator_state_same_masks():
    batch = torch.randn(2, 1, 16, 16)
    a, b = (
        n2v.mask(batch, N2VManipulateConfig(), torch.Generator().manual_seed(3)).patches
        for _ in range(2)
    )
    assert torch.equal(a, b)
