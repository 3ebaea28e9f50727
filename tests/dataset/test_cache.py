import json
import os

import numpy as np
import pytest
import zarr

from napari_hush.config import create_n2v_configuration
from napari_hush.dataset.statistics import cache_folder, cached
from napari_hush.io import write_tiff
from napari_hush.lightning import TrainDataModule
from napari_hush.models.normalization import Normalization


@pytest.fixture
def measure():
    class Measure:
        calls = 0

        def __call__(self):
            self.calls += 1
            return Normalization((1.1, 2.0), (0.3, 4.0))

    return Measure()


def test_measured_once_for_a_key(measure):
    for _ in range(3):
        assert cached(["a", 1], measure) == Normalization((1.1, 2.0), (0.3, 4.0))
    assert measure.calls == 1
    cached(["a", 2], measure)
    assert measure.calls == 2


def test_without_a_key_always_measured(measure):
    cached(None, measure)
    cached(None, measure)
    assert measure.calls == 2
    assert not list(cache_folder().rglob("*.json"))


def other(kept):
    """Other statistics in the same form."""
    values = json.loads(kept)
    return json.dumps(values | {"means": [5.0, 5.0]})


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: "{}",
        lambda kept: kept[:10],
        lambda kept: '{"means": ["a"], "stds": ["b"]}',
        lambda kept: '{"means": [NaN, 1], "stds": [0, 1]}',
        lambda kept: '{"means": [5, 5], "stds": [2, 2]}',
        lambda kept: '{"means": null, "stds": 1}',
        lambda kept: "[1]",
        lambda kept: "1" * 5000,
        lambda kept: "[" * 200_000,
        lambda kept: kept.replace("1.1", "1.2"),
        lambda kept: kept.replace("1.1", '"1.1"'),
        other,
    ],
)
def test_a_damaged_file_is_said_and_measured_anew(measure, caplog, damage):
    cached(["a"], measure)
    (kept,) = cache_folder().rglob("*.json")
    kept.write_text(damage(kept.read_text()))
    assert cached(["a"], measure).means == (1.1, 2.0)
    assert measure.calls == 2
    assert "unreadable" in caplog.text
    cached(["a"], measure)
    assert measure.calls == 2


def test_statistics_of_another_key_do_not_count(measure):
    cached(["a"], measure)
    (ours,) = cache_folder().rglob("*.json")
    cached(["b"], measure)
    (theirs,) = set(cache_folder().rglob("*.json")) - {ours}
    ours.replace(theirs)
    cached(["b"], measure)
    assert measure.calls == 3


def test_a_folder_or_a_link_in_the_place_of_the_file(measure, caplog, tmp_path):
    cached(["a"], measure)
    (kept,) = cache_folder().rglob("*.json")
    kept.unlink()
    kept.mkdir()
    assert cached(["a"], measure).means == (1.1, 2.0)
    assert "unreadable" in caplog.text
    kept.rmdir()
    (tmp_path / "other").write_text("other")
    kept.symlink_to(tmp_path / "other")
    assert cached(["a"], measure).means == (1.1, 2.0)
    assert (tmp_path / "other").read_text() == "other"
    assert cached(["a"], measure).means == (1.1, 2.0)
    assert measure.calls == 3


@pytest.mark.parametrize("kind", ["tiff", "zarr"])
def test_files_that_were_replaced_with_their_size_and_time(tmp_path, kind):
    path = tmp_path / ("a.tif" if kind == "tiff" else "a.zarr")

    def write(offset):
        pixels = np.random.default_rng(0).normal(offset, 5, (32, 32)).astype("float32")
        if kind == "tiff":
            write_tiff(path, pixels, "YX", overwrite=True)
        else:
            zarr.create_array(path, data=pixels, compressors=None, overwrite=True)
        for file in (path, *path.rglob("*")):
            os.utime(file, ns=(10**18, 10**18))

    config = create_n2v_configuration("m", kind, "YX", [16, 16], 2).data_config
    means = []
    for offset in (100, 100, 7000):
        write(offset)
        data = TrainDataModule(config, [path], use_in_memory=False)
        data.setup("fit")
        means += data.get_data_statistics()[0]
    assert means == pytest.approx([100, 100, 7000], rel=0.02)


def test_a_folder_that_cannot_be_written_is_no_failure(
    measure, monkeypatch, tmp_path, caplog
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HUSH_CACHE_DIR", str(tmp_path / "file"))
    assert cached(["a"], measure).means == (1.1, 2.0)
    assert "cannot be cached" in caplog.text


def test_the_users_own_folder(monkeypatch):
    monkeypatch.delenv("HUSH_CACHE_DIR")
    assert cache_folder().name == "napari-hush"


def test_the_folder_is_made_with_all_above_it_and_used_again(
    measure, monkeypatch, tmp_path
):
    monkeypatch.setenv("HUSH_CACHE_DIR", str(tmp_path / "one" / "two"))
    for key in ("a", "b", "a", "b"):
        cached([key], measure)
    assert measure.calls == 2
