import numpy as np
import pytest

from napari_hush.config import MeanStdConfig, MinMaxConfig
from napari_hush.dataset import Statistics, fit_normalization, measure
from napari_hush.dataset import statistics as module
from napari_hush.errors import DataError


class Chunked:
    """Pixels stored in pieces, that counts how often each piece is touched."""

    def __init__(self, array, chunks):
        self._array, self.chunks, self.touched = array, chunks, []
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, key):
        for part, size in zip(key, self.chunks, strict=True):
            assert part.start % size == 0
        self.touched.append(tuple(part.start for part in key))
        return self._array[key]


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
    monkeypatch.setattr(module, "_REGION", 700)  # many regions
    rng = np.random.default_rng(0)
    images = [rng.normal(offset, spread, (2, 37, n)).astype(dtype) for n in (50, 61)]
    found = measure(images, ["a", "b"], {}, (8, 8))
    joined = np.concatenate([i.reshape(2, -1) for i in images], axis=1).astype(np.float64)
    np.testing.assert_allclose(found.mean, joined.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.std, joined.std(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(found.minimum, joined.min(axis=1))
    np.testing.assert_array_equal(found.maximum, joined.max(axis=1))
    nearest = np.quantile(joined, (0.01, 0.5, 0.99), axis=1, method="lower")
    step = 1 if dtype[0] != "f" else spread / 10
    np.testing.assert_allclose(found.quantiles(0.01, 0.5, 0.99), nearest, atol=step)


@pytest.mark.parametrize(
    "dtypes",
    [
        *(("u1", "u2"), ("u2", "f4"), ("f4", "u2"), ("i2", "u2"), (">u2", "<u2")),
        *(("u1", "?"), ("f2", "u2"), (">f4", "i8"), ("u8", "i1"), (">i4", "f2")),
    ],
)
@pytest.mark.parametrize("masked", [False, True])
def test_images_of_different_dtypes_all_count(dtypes, masked):
    rng = np.random.default_rng(0)
    first = rng.normal(100, 20, (2, 30, 40)).astype(dtypes[0])
    second = rng.normal(100, 20, (2, 30, 50)).astype(dtypes[1])
    valid = [np.ones(first.shape, bool), np.ones(second.shape, bool)] if masked else None
    found = measure([first, second], ["a", "b"], {}, (8, 8), valid=valid)
    joined = np.concatenate([i.reshape(2, -1).astype(float) for i in (first, second)], 1)
    np.testing.assert_allclose(found.mean, joined.mean(axis=1))
    np.testing.assert_allclose(found.std, joined.std(axis=1))
    np.testing.assert_array_equal(found.maximum, joined.max(axis=1))
    np.testing.assert_allclose(found.quantiles(0, 1), [joined.min(1), joined.max(1)])


def test_held_out_windows_do_not_count(monkeypatch):
    monkeypatch.setattr(module, "_REGION", 100)
    rng = np.random.default_rng(0)
    image = rng.normal(5, 2, (1, 40, 40))
    keep = np.ones((40, 40), bool)
    keep[8:24, 16:32] = False
    image[0, ~keep] = 1e6
    found = measure([image], ["a"], {0: np.array([[8, 16]])}, (16, 16))
    np.testing.assert_allclose(found.mean, image[0, keep].mean())
    np.testing.assert_allclose(found.std, image[0, keep].std())


def test_quantiles_of_many_floats_are_close(monkeypatch):
    monkeypatch.setattr(module, "_SKETCH", 1000)
    rng = np.random.default_rng(0)
    found = Statistics()
    parts = [rng.normal(0, 1, (1, n)) for n in rng.integers(1, 3000, 40)]
    for part in parts:
        found.add(part)
    exact = np.quantile(np.concatenate(parts, axis=1), (0.1, 0.9))
    np.testing.assert_allclose(found.quantiles(0.1, 0.9).ravel(), exact, atol=0.12)


def test_quantiles_of_many_rising_floats_weigh_all_alike(monkeypatch):
    monkeypatch.setattr(module, "_SKETCH", 100)
    found = Statistics()
    for part in np.arange(10_000.0).reshape(100, 1, 100):
        found.add(part)
    shares = (0.1, 0.25, 0.5, 0.75, 0.9)
    wanted = 10_000 * np.array(shares)
    np.testing.assert_allclose(found.quantiles(*shares).ravel(), wanted, atol=150)


def test_stored_pieces_are_read_once_and_whole(monkeypatch):
    monkeypatch.setattr(module, "_REGION", 600)
    pixels = Chunked(np.random.default_rng(0).random((1, 4, 40, 50)), (1, 2, 16, 16))
    found = measure([pixels], ["a"], {}, (2, 8, 8))
    assert found.count == 4 * 40 * 50
    assert len(set(pixels.touched)) == len(pixels.touched)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("held_out", [{}, {0: np.array([[0, 0]])}])
def test_pixels_that_are_no_numbers(value, held_out):
    image = np.zeros((1, 16, 16), "float32")
    image[0, 3, 4] = value
    with pytest.raises(DataError, match=r"cells\.tif has NaN"):
        measure([image], ["cells.tif"], held_out, (8, 8))


@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_pixels_whose_squares_leave_float64_are_refused(scale):
    pixels = scale * np.arange(1.0, 65).reshape(1, 8, 8)
    with pytest.raises(DataError, match="multiply the image so that they are between"):
        _ = measure([pixels], ["cells"], {}, (8, 8)).std
    within = scale ** (149 / 300) * np.arange(1.0, 65).reshape(1, 8, 8)
    found = measure([within], ["cells"], {}, (8, 8)).std
    np.testing.assert_allclose(found, within.std(), rtol=1e-12)


def test_an_empty_channel_of_tiny_values_counts_as_constant():
    image = np.stack([np.zeros((8, 8)), np.arange(64.0).reshape(8, 8)])
    image[0, 3, 4] = 1e-170
    found = measure([image], ["cells"], {}, (8, 8)).std
    np.testing.assert_allclose(found, [0, image[1].std()], rtol=1e-12)


def test_of_a_channel_that_is_too_large_the_range_is_said():
    image = np.stack([np.arange(64.0), 1e200 * np.arange(64.0)]).reshape(2, 8, 8)
    with pytest.raises(DataError, match=r"^Pixels of 0 to 6\.3e\+201 cannot"):
        _ = measure([image], ["cells"], {}, (8, 8)).std


def test_an_image_of_one_tiny_value_has_no_spread():
    assert measure([np.full((1, 8, 8), 1e-300)], ["dark"], {}, (8, 8)).std == 0


def test_an_offset_that_hides_the_structure():
    found = Statistics()
    found.add(np.arange(2**62, 2**62 + 4000)[None])
    with pytest.raises(DataError, match=r"subtract 4\.61169e\+18 from the pixels first"):
        fit_normalization(MeanStdConfig(), found, "the data")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int8", "int16"])
def test_quantiles_of_counted_integers_are_gray_values(dtype):
    """Not between two of them, whose middle may be none."""
    lowest, highest = np.iinfo(dtype).min, np.iinfo(dtype).max
    found = Statistics()
    found.add(np.array([[lowest, highest], [3, 5]], dtype))
    halves = found.quantiles(0, 0.5, 0.999, 1)
    assert halves.tolist() == [[lowest, 3]] * 3 + [[highest, 5]]
    assert found.minimum.tolist() == [lowest, 3]
    assert found.maximum.tolist() == [highest, 5]
    assert found.counts.tolist() == [2, 2]
    eleven = Statistics()
    eleven.add(np.arange(11).astype(dtype)[None])
    assert eleven.quantiles(0.1, 0.5, 1).tolist() == [[1], [5], [10]]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_nothing_may_be_added(dtype):
    found = Statistics()
    found.add(np.zeros((2, 0), dtype))
    assert found.count == 0
    found.add(np.full((2, 3), 7, dtype))
    found.add(np.zeros((2, 0), dtype))
    assert (found.mean.tolist(), found.counts.tolist()) == ([7, 7], [3, 3])
    assert found.quantiles(0.5).tolist() == [[7, 7]]


@pytest.mark.parametrize("seed", range(3))
def test_every_nth_value_is_kept(monkeypatch, seed):
    """More than twice as many as wanted are halved."""
    monkeypatch.setattr(module, "_SKETCH", 10)
    cuts = np.sort(np.random.default_rng(seed).integers(0, 500, 60))
    found, bare = Statistics(), Statistics(quantiles=False)
    for part in np.split(np.arange(500.0)[None], cuts, axis=1):
        found.add(part)
        bare.add(part)
    kept = np.concatenate(found._values, axis=1)
    assert kept.tolist() == [list(range(0, 500, 32))]
    assert not bare._values
    few = Statistics()
    few.add(np.arange(20.0)[None])
    assert few._values[0].shape == (1, 20)
    few.add(np.full((1, 1), 20.0))
    assert few._values[0].tolist() == [list(range(0, 21, 2))]


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@pytest.mark.parametrize("masked", [False, True])
def test_statistics_of_all_channels_together_are_those_of_all_pixels(dtype, masked):
    rng = np.random.default_rng(0)
    image = rng.normal([[[50]], [[120]]], [[[5]], [[20]]], (2, 30, 40)).astype(dtype)
    valid = np.ones(image.shape, bool)
    valid[0, :20] = not masked
    found = measure([image], ["a"], {}, (8, 8), valid=[valid] if masked else None)
    counted = [int(one.sum()) for one in valid]
    assert found.counts.tolist() == counted
    pixels = image[valid].astype(float)
    together = fit_normalization(MeanStdConfig(per_channel=False), found, "the data")
    assert together.means == pytest.approx([pixels.mean()] * 2)
    assert together.stds == pytest.approx([pixels.std()] * 2)
    span = fit_normalization(MinMaxConfig(per_channel=False), found, "the data")
    assert span.means == (pixels.min(),) * 2
    assert span.stds == (np.ptp(pixels),) * 2
    alone = fit_normalization(MeanStdConfig(), found, "the data")
    assert alone.means == pytest.approx([image[c][valid[c]].mean() for c in (0, 1)])


@pytest.mark.parametrize(("spread", "enough"), [(0.9, False), (1.1, True)])
@pytest.mark.parametrize("sign", [1, -1])
def test_structure_above_rounding_is_enough(spread, enough, sign):
    """A spread of 1e-14 of the mean may be due to rounding."""
    found = Statistics()
    found.count = 1
    found._mean, found._squares = np.array([sign * 1e6]), np.array([(spread * 1e-8) ** 2])
    found._minimum, found._maximum = found._mean - 1e-8, found._mean + 1e-8
    if enough:
        known = fit_normalization(MeanStdConfig(), found, "the data")
        assert known.stds == pytest.approx([spread * 1e-8])
    else:
        with pytest.raises(DataError, match=r"is -?1e\+06 nearly everywhere"):
            fit_normalization(MeanStdConfig(), found, "the data")
