"""What holds of the blind spot for patches, windows and shares of any size."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_hush import n2v
from napari_hush.config import N2VManipulateConfig


@st.composite
def cases(draw):
    dims = draw(st.integers(2, 3))
    spatial = [draw(st.integers(4, 9 if dims == 3 else 20)) for _ in range(dims)]
    struct = draw(st.sampled_from(["none", "horizontal", "vertical", "cross", "square"]))
    config = N2VManipulateConfig(
        roi_size=draw(st.sampled_from([3, 5, 7, 11])),
        masked_pixel_percentage=draw(st.sampled_from([0.2, 1.0, 5.0, 10.0])),
        strategy=draw(st.sampled_from(["uniform", "median"])),
        struct_mask_axis=struct,
        struct_mask_span=draw(st.sampled_from([3, 5])),
    )
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 2)), *spatial)
    return shape, config, draw(st.integers(0, 2**31))


@settings(deadline=None, max_examples=60)
@given(cases())
def test_nothing_is_seen_of_a_masked_pixel_and_nothing_else_is_touched(case):
    shape, config, seed = case
    # Every value is there once: what stands at its own place was not overwritten.
    values = torch.randperm(int(np.prod(shape)), generator=torch.Generator().manual_seed(9))
    batch = values.float().reshape(shape)
    before = batch.clone()
    masked = n2v.mask(batch, config, torch.Generator().manual_seed(seed))
    assert torch.equal(batch, before)
    rows = shape[0] * shape[1]
    seen, flat = masked.patches.reshape(rows, -1), batch.reshape(rows, -1)
    assert torch.isfinite(seen).all()
    assert torch.equal(flat.gather(1, masked.pixels), masked.values)
    assert set(masked.weights.unique().tolist()) <= {0.0, 1.0}
    assert (masked.weights[:, 0] == 1).all()
    at_its_place = seen.gather(1, masked.pixels) == masked.values
    if not config.hides_neighbours:
        assert not at_its_place.any()
        allowed = torch.zeros_like(flat, dtype=torch.bool).scatter(1, masked.pixels, True)
    else:
        # A value from anywhere in the image is drawn where all neighbors are hidden.
        assert at_its_place.float().mean() <= 0.5
        allowed = _hidden(masked.pixels, shape[2:], config, flat.shape)
    assert torch.equal(seen[~allowed], flat[~allowed])


def _hidden(pixels, spatial, config, shape):
    """Masked pixels and what is hidden with them."""
    found = torch.zeros(shape, dtype=torch.bool)
    offsets = [*config.hidden(len(spatial)), (0,) * len(spatial)]
    for row, flat in enumerate(pixels.tolist()):
        for pixel in flat:
            place = np.unravel_index(pixel, spatial)
            for offset in offsets:
                there = [int(p) + o for p, o in zip(place, offset, strict=True)]
                if all(0 <= t < n for t, n in zip(there, spatial, strict=True)):
                    found[row, int(np.ravel_multi_index(there, spatial))] = True
    return found


@settings(deadline=None, max_examples=40)
@given(cases())
def test_new_values_come_from_the_window(case):
    shape, config, seed = case
    if config.hides_neighbours:
        config = config.replace(struct_mask_axis="none")
    values = torch.randperm(int(np.prod(shape)), generator=torch.Generator().manual_seed(9))
    batch = values.float().reshape(shape)
    masked = n2v.mask(batch, config, torch.Generator().manual_seed(seed))
    rows, spatial = shape[0] * shape[1], shape[2:]
    flat, seen = batch.reshape(rows, -1), masked.patches.reshape(rows, -1)
    for row in range(rows):
        places = {value: index for index, value in enumerate(flat[row].tolist())}
        for pixel in masked.pixels[row].tolist():
            source = places[float(seen[row, pixel])]
            here, there = (np.unravel_index(i, spatial) for i in (pixel, source))
            far = [abs(int(a) - int(b)) for a, b in zip(here, there, strict=True)]
            # At the border the window is moved inside.
            assert max(far) <= config.roi_size - 1
            assert source != pixel


@settings(deadline=None, max_examples=40)
@given(cases())
def test_the_loss_is_the_mean_square_at_masked_pixels(case):
    shape, config, seed = case
    batch = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    masked = n2v.mask(batch, config, torch.Generator().manual_seed(seed))
    assert float(n2v.loss(batch, masked)) == 0.0
    off = n2v.loss(batch + 2, masked)
    torch.testing.assert_close(off, torch.tensor(4.0), rtol=1e-5, atol=1e-5)
