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


def test_where_all_of_its_window_is_hidden_a_pixel_is_drawn_itself(generator):
    """Both neighbors are hidden in a row of windows of three; at the ends one is left."""
    every = torch.arange(8).repeat(50, 1)
    drawn = n2v.choose_neighbours(every, (1, 8), 3, generator, ((0, -1), (0, 1)))
    assert torch.equal(drawn, torch.tensor([2, 1, 2, 3, 4, 5, 6, 5]).repeat(50, 1))


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


@pytest.mark.parametrize("strategy", ["uniform", "median"])
@pytest.mark.parametrize("axis", ["none", "horizontal"])
def test_a_part_of_a_batch_is_masked_as_in_the_whole(strategy, axis):
    config = N2VManipulateConfig(
        masked_pixel_percentage=5, strategy=strategy, struct_mask_axis=axis, roi_size=5
    )
    batch = torch.rand(7, 2, 16, 16)
    whole = n2v.mask(batch, config, torch.Generator().manual_seed(3))
    parts = [
        n2v.mask(batch[a:b], config, torch.Generator().manual_seed(3), a, len(batch))
        for a, b in ((0, 3), (3, 3), (3, 7))
    ]
    for name in ("patches", "pixels", "values", "weights"):
        found = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(found, getattr(whole, name))
    assert parts[1].part == 0
    assert float(sum(part.part for part in parts)) == pytest.approx(1)
    prediction = torch.rand_like(batch)
    losses = [
        n2v.loss(prediction[a:b], part) * part.part
        for (a, b), part in zip(((0, 3), (3, 7)), parts[::2], strict=True)
    ]
    assert float(sum(losses)) == pytest.approx(float(n2v.loss(prediction, whole)))


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
    assert masked.weights.sum() == pytest.approx(8 * 1024 * 0.05, rel=0.1)
    assert torch.isfinite(n2v.loss(torch.zeros_like(batch), masked))


def test_same_generator_state_same_masks():
    batch = torch.randn(2, 1, 16, 16)
    a, b = (
        n2v.mask(batch, N2VManipulateConfig(), torch.Generator().manual_seed(3)).patches
        for _ in range(2)
    )
    assert torch.equal(a, b)


def test_medians_are_those_of_the_window_without_its_centre(generator):
    batch = torch.randn(2, 1, 16, 16)
    config = N2VManipulateConfig(strategy="median", roi_size=5)
    masked = n2v.mask(batch, config, generator)
    for patch, seen, pixels in zip(batch, masked.patches, masked.pixels, strict=True):
        for pixel in pixels.tolist():
            y, x = divmod(pixel, 16)
            top, left = min(max(y - 2, 0), 11), min(max(x - 2, 0), 11)
            window = patch[0, top : top + 5, left : left + 5].flatten().tolist()
            window.remove(float(patch[0, y, x]))
            assert float(seen[0, y, x]) == sorted(window)[11]  # the lower of the middle two


@pytest.mark.parametrize(
    ("axis", "count"), [("none", 0), ("horizontal", 4), ("vertical", 4), ("cross", 8)]
)
@pytest.mark.parametrize("strategy", ["uniform", "median"])
def test_correlated_neighbours_are_hidden_too(axis, count, strategy, generator):
    config = N2VManipulateConfig(
        strategy=strategy, struct_mask_axis=axis, struct_mask_span=5, roi_size=11
    )
    offsets = n2v.struct_offsets(config, 2)
    assert len(offsets) == count
    batch = torch.randperm(4 * 32 * 32).float().reshape(4, 1, 32, 32)
    masked = n2v.mask(batch, config, generator)
    for patch, seen, pixels in zip(batch, masked.patches, masked.pixels, strict=True):
        for pixel in pixels.tolist():
            y, x = divmod(pixel, 32)
            hidden = [(y + dy, x + dx) for dy, dx in offsets.tolist()]
            hidden = [(j, i) for j, i in hidden if 0 <= j < 32 and 0 <= i < 32]
            originals = {float(patch[0, j, i]) for j, i in [*hidden, (y, x)]}
            assert all(seen[0, j, i] != patch[0, j, i] for j, i in hidden)
            assert float(seen[0, y, x]) not in originals
            assert patch.min() <= seen[0, y, x] <= patch.max()


def test_a_horizontal_mask_lies_along_x_and_in_the_plane():
    config = N2VManipulateConfig(struct_mask_axis="horizontal", struct_mask_span=3)
    assert n2v.struct_offsets(config, 3).tolist() == [[0, 0, -1], [0, 0, 1]]
    square = N2VManipulateConfig(struct_mask_axis="square", struct_mask_span=3)
    assert len({tuple(o) for o in n2v.struct_offsets(square, 2).tolist()}) == 8


@pytest.mark.parametrize("whole", [None, 3])
def test_a_whole_batch_has_the_whole_weight(whole, generator):
    masked = n2v.mask(torch.rand(3, 1, 16, 16), N2VManipulateConfig(), generator, 0, whole)
    assert masked.part == 1
