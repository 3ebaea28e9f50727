"""How much neighboring frames of simulated movies differ, whatever the noise."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from napari_hush.io import Image
from napari_hush.quality import check_data, data_warnings, motion


def movie(speed, photons=8.0, frames=12, seed=0):
    """Discs that each go straight ahead, `speed` pixels per frame, over a still scene."""
    rng = np.random.default_rng(seed)
    still = gaussian_filter(rng.random((96, 96)), 3)
    still = (still - still.min()) / np.ptp(still)
    y, x = np.mgrid[:96, :96]
    light = np.repeat(still[None], frames, axis=0)
    for _ in range(12):
        start, angle = rng.uniform(0, 96, 2), rng.uniform(0, 2 * np.pi)
        for t in range(frames):
            way = speed * t * np.array([np.sin(angle), np.cos(angle)])
            row, column = (start + way) % 96
            light[t][np.hypot(y - row, x - column) < 4] = 1.5
    return rng.poisson(photons * light).astype(np.float32)


@pytest.mark.parametrize("photons", [4.0, 100.0])
def test_changes_grow_with_the_speed_and_not_with_the_noise(photons):
    found = [check_data(movie(v, photons), "TYX").frames for v in (0, 0.5, 1.5, 8)]
    changes = [one.changed for one in found]
    assert changes[0] < 0.01 < changes[2]
    assert changes == sorted(changes)
    assert [one.too_fast for one in found] == [False, False, False, True]
    assert [one.time_context for one in found[:3]] == [2, 2, 2]


@pytest.mark.parametrize(("frames", "context"), [(3, 1), (4, 1), (5, 2)])
def test_short_movies_have_fewer_frames_to_use(frames, context):
    assert check_data(movie(0, frames=frames), "TYX").frames.time_context == context


@pytest.mark.parametrize(("axes", "frames"), [("SYX", 12), ("TYX", 2)])
def test_there_is_no_advice_without_a_movie(axes, frames):
    report = check_data(movie(0, frames=frames), axes)
    assert report.frames is None
    assert "frames" not in report.as_dict()


def test_images_of_other_scenes_are_not_alike():
    scenes = np.stack([movie(0, frames=3, seed=seed)[0] for seed in range(8)])
    found = check_data(scenes, "TYX").frames
    assert (found.time_context, found.too_fast) == (0, True)
    assert found.changed > 0.5


@pytest.mark.parametrize("line", [False, True], ids=["pixels", "lines"])
def test_noise_is_no_structure(line):
    rng = np.random.default_rng(0)
    noise = rng.normal(100, 5, (10, 64, 64)) + line * rng.normal(0, 5, (10, 64, 1))
    assert check_data(noise, "TYX").frames.time_context == 0


def test_a_slow_drift_and_bleaching_are_no_hindrance():
    still = movie(0, photons=100)
    drifted = np.stack([shift(one, (0.3 * t, 0)) for t, one in enumerate(still)])
    for changing in (drifted[:, 8:-8], still * 0.97 ** np.arange(12)[:, None, None]):
        found = check_data(changing, "TYX").frames
        assert (found.time_context, found.too_fast) == (2, False)


def test_the_channel_that_changes_most_counts():
    both = np.stack([movie(0), movie(8)], axis=1)
    assert check_data(both, "TCYX").frames.too_fast
    assert not check_data(both[:, :1], "TCYX").frames.too_fast
    volumes = both[:, [1, 1]]
    assert check_data(volumes, "TZYX").frames.too_fast


def test_training_warns_of_what_moves_too_fast():
    images = [Image.from_array(movie(8), "TYX", "cells.tif")]
    settings = {"blind": True, "hides_neighbours": False}
    (found,) = data_warnings(images, **settings, time_context=1)
    assert found.about == "motion"
    assert "cells.tif" in found.message
    assert "faster than frames" in found.message
    assert data_warnings(images, **settings) == []
    slow = [Image.from_array(movie(0.5), "TYX")]
    assert data_warnings(slow, **settings, time_context=1) == []


@pytest.mark.parametrize(
    ("changed", "fast", "context", "too_fast"),
    [
        (0.5, 0.0, 2, False),
        (0.501, 0.0, 0, True),
        (0.3, 0.01, 2, False),
        (0.3, 0.011, 2, True),
    ],
)
def test_limits_of_what_may_change(monkeypatch, changed, fast, context, too_fast):
    monkeypatch.setattr(motion, "_measured", lambda regions: (changed, fast))
    image = Image.from_array(np.zeros((5, 16, 16)), "TYX")
    found = motion.advise_frames(image, 0, 2**20)
    assert (found.time_context, found.too_fast) == (context, too_fast)
    assert found.changed == changed
    assert ("Something changes faster" in found.reason) == (too_fast and context > 0)


def test_channels_without_structure_do_not_count(monkeypatch):
    found = iter([(0.2, 0.2), None, (0.3, 0.0)])
    monkeypatch.setattr(motion, "_measured", lambda regions: next(found))
    image = Image.from_array(np.zeros((3, 3, 16, 16)), "TCYX")
    advice = motion.advise_frames(image, 0, 2**20)
    assert (advice.changed, advice.too_fast, advice.time_context) == (0.3, False, 1)
    monkeypatch.setattr(motion, "_measured", lambda regions: None)
    advice = motion.advise_frames(image, 0, 2**20)
    assert (advice.time_context, advice.changed, advice.too_fast) == (0, 1, False)
    assert "too little structure" in advice.reason


def squares(*levels):
    """Frames of two squares: one stays, the other has these levels. Zero on average."""
    frames = np.zeros((1, len(levels), 33, 40))
    for left, values in ((4, [3.0] * len(levels)), (24, levels)):
        for t, level in enumerate(values):
            frames[0, t, 4:12, left : left + 8] = level
            frames[0, t, 20:28, left : left + 8] = -level
    frames[:, :, 32] = 1e3  # half a bin, which does not count
    return frames


@pytest.mark.parametrize(
    ("levels", "is_fast"), [((0, 0, 1, 0.9), False), ((0, 0, 1, 0.8), True)]
)
def test_what_changes_as_much_from_frame_to_frame_is_too_fast(levels, is_fast):
    """0.4 times as much as over half of the movie, or more; in units of one square."""
    whole = np.mean([9 + level**2 for level in levels])
    next_ = np.mean(np.diff(levels) ** 2)
    last = np.mean(np.subtract(levels[2:], levels[:2]) ** 2)
    assert (next_ > 0.4 * last) == is_fast
    changed, fast = motion._measured(squares(*levels).repeat(64, axis=0))
    assert changed == pytest.approx(next_ / (2 * whole))
    assert fast == is_fast * changed


def test_of_an_odd_number_of_frames_the_smaller_half_is_between():
    """Levels of even and odd frames are those after two, so that all change is fast."""
    changed, fast = motion._measured(squares(0, 2, 0, 2, 0).repeat(9, axis=0))
    assert changed == fast == pytest.approx(4 / 2 / (9 + 8 / 5))


def test_all_of_the_structure_may_change():
    """Differences of opposite frames have four times theirs."""
    frames = squares(3, 3).repeat(9, axis=0)
    frames[:, 1] *= -1
    assert motion._measured(frames)[0] == 1


@pytest.mark.parametrize(("power", "certain"), [(1.6, True), (1.75, False)])
def test_four_standard_errors_are_certain(power, certain):
    """Two values 1 and p have a mean of (1 + p) / 2 and an error of (p - 1) / 2."""
    one = squares(1)[0, 0]
    still = np.stack([one, np.sqrt(power) * one])[None]
    assert (motion._measured(still) is not None) == certain
    level = 1 + np.sqrt(power)
    changing = squares(0, 1, level)
    changing[..., :20] *= 9
    changed, fast = motion._measured(changing)
    assert (changed > 0) == certain
    assert certain or fast == 0


def test_structure_is_what_neighbors_share_along_both_axes():
    rows = np.array([[1.0, 1, 1], [-1, -1, -1], [1, 1, 1]])
    assert motion._structure(rows[None, None]) == (-1, 0)
    assert motion._structure(rows.T[None, None]) == (-1, 0)
    planes = np.ones((1, 3, 4, 5)) * np.array([1, 2, 3])[:, None, None]
    found = motion._structure(planes)
    assert found == (pytest.approx(14 / 3), pytest.approx(np.std([1, 4, 9]) / np.sqrt(2)))


@pytest.mark.parametrize(
    ("shape", "axes", "most", "read"),
    [
        ((20, 40, 30), "TYX", 2**20, (16, 12, 1, 40, 30)),
        ((4, 40, 30), "TYX", 3 * 4800 + 4799, (3, 4, 1, 40, 30)),
        ((4, 40, 30), "TYX", 1, (1, 4, 1, 40, 30)),
        ((3, 2, 130, 140), "TCYX", 2**20, (10, 3, 2, 128, 128)),
        ((2, 3, 4, 2, 20, 30), "STZCYX", 2**20, (16, 3, 2, 20, 30)),
    ],
)
def test_frames_that_are_read_follow_each_other(shape, axes, most, read):
    """They are of one sample, plane and place; pixels are numbered."""
    pixels = np.arange(np.prod(shape), dtype=float).reshape(shape)
    image = Image.from_array(pixels, axes)
    found = motion._read(image, dict(zip(axes, shape, strict=True))["T"], 0, most)
    assert found.shape == read
    step = {axis: pixels.strides[k] // 8 for k, axis in enumerate(axes)}
    grid = np.indices(read[1:])
    offset = sum(step.get(axis, 0) * one for axis, one in zip("TCYX", grid, strict=True))
    starts = found[:, :1, :1, :1, :1]
    np.testing.assert_array_equal(found, starts + offset)
    first = np.unravel_index(starts.ravel().astype(int), shape)
    for axis, one in zip(axes, first, strict=True):
        size = dict(zip("TCYX", read[1:], strict=True)).get(axis, 1)
        last = shape[axes.index(axis)] - size
        assert one.max() <= last
        assert (len(set(one)) > 1) == (last > 0 and read[0] > 1)
