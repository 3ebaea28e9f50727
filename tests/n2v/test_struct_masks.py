"""structN2V with any mask: what is hidden, what replaces it, and how often."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from napari_hush import n2v
from napari_hush.config import N2VManipulateConfig

DIAGONAL = np.eye(5, dtype=bool)
LEFT_AND_ABOVE = [[0, 1, 0], [1, 1, 0], [0, 0, 0]]
COLUMN = np.ones((3, 1, 1))


def configured(mask, **more):
    return N2VManipulateConfig.build({"struct_mask": mask, **more})


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_a_mask_hides_what_it_shows_around_its_middle():
    assert configured(LEFT_AND_ABOVE).hidden(2) == ((-1, 0), (0, -1))
    assert configured(DIAGONAL).hidden(3) == (
        (0, -2, -2),
        (0, -1, -1),
        (0, 1, 1),
        (0, 2, 2),
    )
    assert configured(COLUMN).hidden(3) == ((-1, 0, 0), (1, 0, 0))


@pytest.mark.parametrize(
    ("axis", "dims", "mask"),
    [
        ("horizontal", 2, np.ones((1, 5))),
        ("vertical", 2, np.ones((5, 1))),
        ("square", 2, np.ones((5, 5))),
        ("z", 3, np.ones((5, 1, 1))),
    ],
)
def test_named_axes_are_masks(axis, dims, mask):
    named = N2VManipulateConfig(struct_mask_axis=axis, struct_mask_span=5)
    assert named.hidden(dims) == configured(mask).hidden(dims)


CASES = [
    ((64, 64), (32, 32), None),
    ((64, 64), (32, 32), DIAGONAL),
    ((64, 64), (0, 1), DIAGONAL),
    ((64, 64), (63, 30), LEFT_AND_ABOVE),
    ((64, 64), (32, 32), np.ones((1, 31))),  # reaches beyond the window
    ((5, 16, 16), (2, 8, 8), COLUMN),
    ((5, 16, 16), (0, 0, 15), COLUMN),
]


@pytest.mark.parametrize(("spatial", "place", "mask"), CASES)
def test_every_allowed_pixel_of_the_window_is_drawn_equally_often(
    spatial, place, mask, generator
):
    roi = 5
    hidden = () if mask is None else configured(mask).hidden(len(spatial))
    sides = [min(roi, size) for size in spatial]
    first = [
        min(max(p - s // 2, 0), n - s)
        for p, s, n in zip(place, sides, spatial, strict=True)
    ]
    out = {tuple(np.add(place, offset)) for offset in [*hidden, (0,) * len(spatial)]}
    allowed = [
        int(np.ravel_multi_index(pixel, spatial))
        for step in np.ndindex(*sides)
        if (pixel := tuple(int(p) for p in np.add(first, step))) not in out
    ]
    own = int(np.ravel_multi_index(place, spatial))
    drawn = n2v.choose_neighbours(
        torch.full((1000, 1000), own), spatial, roi, generator, hidden
    )
    counts = torch.bincount(drawn.ravel(), minlength=int(np.prod(spatial))).numpy()
    assert counts.sum() == counts[allowed].sum() == 1_000_000
    assert chisquare(counts[allowed]).pvalue > 1e-4


@pytest.mark.parametrize("strategy", ["uniform", "median"])
@pytest.mark.parametrize(
    ("mask", "shape"),
    [
        (DIAGONAL, (4, 1, 32, 32)),
        (LEFT_AND_ABOVE, (4, 1, 32, 32)),
        (COLUMN, (2, 1, 5, 16, 16)),
        (np.ones((3, 3, 3)), (2, 1, 5, 16, 16)),
        (np.ones((11, 11)), (4, 1, 32, 32)),  # hides all of the window
    ],
)
def test_the_network_sees_neither_a_masked_pixel_nor_what_is_hidden_with_it(
    mask, shape, strategy, generator
):
    """Every value is unique, so that none can stand anywhere by chance."""
    config = configured(mask, strategy=strategy, masked_pixel_percentage=0.4)
    batch = torch.randperm(int(np.prod(shape))).float().reshape(shape)
    before = batch.clone()
    masked = n2v.mask(batch, config, generator)
    assert torch.equal(batch, before)
    spatial = shape[2:]
    for patch, seen, pixels in zip(batch, masked.patches, masked.pixels, strict=True):
        for pixel in pixels.tolist():
            place = np.unravel_index(pixel, spatial)
            around = [
                tuple(np.add(place, offset)) for offset in config.hidden(len(spatial))
            ]
            around = [
                at
                for at in around
                if all(0 <= p < n for p, n in zip(at, spatial, strict=True))
            ]
            originals = {float(patch[0][at]) for at in [*around, place]}
            assert all(seen[0][at] != patch[0][at] for at in around)
            assert float(seen[0][place]) not in originals
            assert patch.min() <= seen[0][place] <= patch.max()


@pytest.mark.parametrize("strategy", ["uniform", "median"])
@pytest.mark.parametrize("mask", [None, LEFT_AND_ABOVE, np.ones((11, 11))])
@pytest.mark.parametrize("level", [0.0, 0.01])
def test_the_loss_is_finite_and_the_percentage_kept_whatever_is_hidden(
    level, mask, strategy, generator
):
    batch = torch.poisson(torch.full((64, 1, 32, 32), level), generator=generator)
    config = configured(mask, strategy=strategy)
    masked = n2v.mask(batch, config, generator)
    assert torch.isfinite(masked.patches).all()
    wanted = batch.numel() * config.masked_pixel_percentage / 100
    assert float(masked.weights.sum()) == pytest.approx(wanted, rel=0.1)
    assert float(n2v.loss(batch + 2, masked)) == pytest.approx(4, rel=1e-5)


def test_medians_leave_out_what_is_hidden(generator):
    batch = torch.randn(2, 1, 16, 16)
    config = configured(DIAGONAL, strategy="median", roi_size=5)
    masked = n2v.mask(batch, config, generator)
    for patch, seen, pixels in zip(batch, masked.patches, masked.pixels, strict=True):
        for pixel in pixels.tolist():
            y, x = divmod(pixel, 16)
            top, left = min(max(y - 2, 0), 11), min(max(x - 2, 0), 11)
            values = sorted(
                float(patch[0, j, i])
                for j in range(top, top + 5)
                for i in range(left, left + 5)
                if j - y != i - x or abs(j - y) > 2
            )
            assert float(seen[0, y, x]) == values[(len(values) - 1) // 2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("strategy", ["uniform", "median"])
@pytest.mark.parametrize("mask", [None, DIAGONAL, np.ones((11, 11))])
def test_a_gpu_is_never_waited_for(mask, strategy):
    batch = torch.randn(4, 1, 32, 32, device="cuda")
    config = configured(mask, strategy=strategy)
    generator = torch.Generator("cuda").manual_seed(0)
    n2v.mask(batch, config, generator)  # makes the tables
    torch.cuda.set_sync_debug_mode("error")
    try:
        masked = n2v.mask(batch, config, generator)
        n2v.loss(masked.patches, masked)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.isfinite(masked.patches).all()
