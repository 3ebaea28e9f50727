"""How much neighboring frames of simulated movies differ, whatever the noise."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from napari_hush.io import Image
from napari_hush.quality import check_data, data_warnings


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
