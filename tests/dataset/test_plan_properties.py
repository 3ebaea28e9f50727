"""What holds of the patch plan, the statistics and the scaling, whatever the data are."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_hush.config import MinMaxConfig, QuantileConfig
from napari_hush.dataset import patch_plan
from napari_hush.dataset.statistics import Statistics, fit_normalization, measure, regions
from napari_hush.models.normalization import Normalization

DTYPES = st.sampled_from(["uint8", "int8", "uint16", "int16", "int32", "float32", ">f4"])
quick = settings(deadline=None, max_examples=50)


@st.composite
def images_and_patch(draw):
    """Sizes of a few images, and of a patch that fits into all of them."""
    dims = draw(st.integers(2, 3))
    patch = tuple(draw(st.integers(1, 5)) for _ in range(dims))
    sizes = draw(
        st.lists(
            st.tuples(*(st.integers(p, 3 * p + 2) for p in patch)), min_size=1, max_size=3
        )
    )
    return [(1, *size) for size in sizes], patch


def painted(shapes, windows, patch):
    """How many of `windows` each pixel of each image lies in."""
    counts = [np.zeros(shape[1:], int) for shape in shapes]
    for image, *corner in windows:
        counts[image][
            tuple(slice(c, c + p) for c, p in zip(corner, patch, strict=True))
        ] += 1
    return counts


@quick
@given(images_and_patch(), st.floats(0, 1), st.integers(0, 3), st.integers(0, 99))
def test_a_plan_covers_everything_once_or_at_the_far_border_twice(case, share, least, seed):
    shapes, patch = case
    windows = patch_plan.grid(shapes, patch)
    for counts, shape in zip(painted(shapes, windows, patch), shapes, strict=True):
        assert counts.min() == 1
        exact = [n // p * p for n, p in zip(shape[1:], patch, strict=True)]
        last = [n - p for n, p in zip(shape[1:], patch, strict=True)]
        alone = tuple(slice(0, min(e, s)) for e, s in zip(exact, last, strict=True))
        assert (counts[alone] == 1).all()
    rng = np.random.default_rng(seed)
    training, aside = patch_plan.split(windows, patch, share, min(least, len(windows)), rng)
    both = {tuple(row) for row in training} | {tuple(row) for row in aside}
    assert both == {tuple(row) for row in windows}
    assert len(training) + len(aside) == len(windows)
    assert len(training) > 0
    for one, other in zip(
        painted(shapes, training, patch), painted(shapes, aside, patch), strict=True
    ):
        assert not ((one > 0) & (other > 0)).any()


@quick
@given(st.data(), DTYPES, st.integers(1, 3))
def test_statistics_do_not_depend_on_how_pixels_come(data, dtype, channels):
    count = data.draw(st.integers(2, 60))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    kind = np.dtype(dtype)
    low, high = (-100, 100) if kind.kind in "if" else (0, 200)
    pixels = rng.integers(low, high, (channels, count)).astype(kind)
    cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=4)))
    found = Statistics()
    for part in np.split(pixels, cuts, axis=1):
        found.add(part)
    exact = pixels.astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean(1), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.std, exact.std(1), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(found.minimum, exact.min(1))
    np.testing.assert_array_equal(found.maximum, exact.max(1))
    assert found.count == count
    for share in (0.0, 0.25, 0.5, 1.0):
        (value,) = found.quantiles(share)
        place = np.floor(share * (count - 1)).astype(int)
        ordered = np.sort(exact, axis=1)
        assert (value >= ordered[:, place]).all()
        assert (value <= ordered[:, min(place + 1, count - 1)]).all()


@quick
@given(images_and_patch(), st.integers(0, 2**32), st.floats(0, 1))
def test_statistics_leave_out_what_is_held_out_and_nothing_else(case, seed, share):
    shapes, patch = case
    rng = np.random.default_rng(seed)
    samples = [rng.normal(100, 20, (2, *shape[1:])).astype(np.float32) for shape in shapes]
    names = [str(number) for number in range(len(shapes))]
    windows = patch_plan.grid(shapes, patch)
    aside = patch_plan.split(windows, patch, share, 0, rng)[1]
    found = measure(samples, names, patch_plan.by_image(aside), patch)
    left = [
        sample[:, counts == 0]
        for sample, counts in zip(samples, painted(shapes, aside, patch), strict=True)
    ]
    pixels = np.concatenate(left, axis=1).astype(np.float64)
    assert found.count == pixels.shape[1]
    np.testing.assert_allclose(found.mean, pixels.mean(1), rtol=1e-9)
    np.testing.assert_allclose(found.std, pixels.std(1), rtol=1e-6, atol=1e-9)


class Stored:
    """Pixels in pieces."""

    def __init__(self, shape, chunks):
        self.shape, self.chunks = shape, chunks


@quick
@given(st.data(), st.integers(2, 3), st.booleans())
def test_regions_cover_each_pixel_once_and_cut_no_stored_piece(data, dims, in_pieces):
    size = tuple(data.draw(st.integers(1, 12)) for _ in range(dims))
    chunks = tuple(data.draw(st.integers(1, n)) for n in size)
    sample = Stored((1, *size), (1, *chunks) if in_pieces else None)
    counts = np.zeros(size, int)
    for region in regions(sample):
        counts[region] += 1
        if in_pieces:
            assert all(r.start % c == 0 for r, c in zip(region, chunks, strict=True))
    assert (counts == 1).all()


SCALES = st.floats(1e-3, 1e4)


@quick
@given(
    hnp.arrays(np.float32, (2, 2, 3, 4), elements=st.floats(-1e4, 1e4, width=32)),
    st.tuples(*[st.floats(-1e4, 1e4)] * 2),
    st.tuples(SCALES, SCALES),
)
def test_scaling_there_and_back(pixels, means, stds):
    scaling = Normalization(means, stds)
    batch = torch.from_numpy(pixels)
    there = scaling.normalize(batch)
    back = scaling.denormalize(there)
    size = np.abs(pixels).max() + max(map(abs, means))
    torch.testing.assert_close(back, batch, rtol=1e-5, atol=1e-6 * float(size) + 1e-6)
    again = scaling.normalize_array(pixels.astype(np.float64))
    rounded = 1e-6 * size / (min(stds) + 1e-6)  # of float32, in units of the result
    np.testing.assert_allclose(again, there.numpy(), rtol=1e-5, atol=rounded + 1e-6)


@quick
@given(st.integers(0, 2**32), st.booleans(), st.sampled_from(["minmax", "quantile"]))
def test_ranges_are_scaled_to_one(seed, each, kind):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 5000, (2, 400)).astype(np.uint16)
    found = Statistics()
    found.add(pixels)
    if kind == "minmax":
        config = MinMaxConfig(per_channel=each)
        low, high = pixels.min(1), pixels.max(1)
    else:
        config = QuantileConfig(per_channel=each)
        low, high = found.quantiles(config.lower, config.upper)
    scaling = fit_normalization(config, found, "it")
    ends = torch.tensor(np.stack([low, high]).astype(np.float32))[..., None, None]
    scaled = scaling.normalize(ends)[..., 0, 0].numpy()
    if each:
        np.testing.assert_allclose(scaled, [[0, 0], [1, 1]], atol=1e-4)
    else:
        assert scaled.min() >= -1e-4
        assert scaled.max() <= 1 + 1e-4
        assert np.isclose(scaled, 0, atol=1e-4).any()
        assert np.isclose(scaled, 1, atol=1e-4).any()
