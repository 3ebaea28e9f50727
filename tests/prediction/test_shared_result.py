"""One OME-Zarr written by several processes, each its own shards."""

import multiprocessing
import os
import signal
import sys

import numpy as np
import pytest
import torch
import zarr

from napari_hush import CAREamist
from napari_hush.config import create_n2v_configuration
from napari_hush.errors import ConfigurationError, LostProcessError
from napari_hush.events import FileWritten, TilesDone
from napari_hush.io import write_tiff
from napari_hush.io.zarr import write as zarr_write
from napari_hush.models import Model, UNet
from napari_hush.models.normalization import Normalization

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks processes"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork"),
]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(zarr_write, "SHARD_BYTES", 1)  # a shard is a tile
    monkeypatch.setattr(zarr_write, "_CHUNK", {2: 8, 3: 8})


@pytest.fixture
def careamist():
    config = create_n2v_configuration(
        "tiny",
        "array",
        "YX",
        [16, 16],
        4,
        num_epochs=1,
        model_params={"num_channels_init": 8, "depth": 1},
    )
    training = config.training_config.replace(
        device="cpu", precision="32", process_timeout=60
    )
    config = config.replace(training_config=training)
    torch.manual_seed(0)
    network = UNet(config.algorithm_config.model).eval()
    return CAREamist(Model(config, network, Normalization((1000.0,), (30.0,))))


def noisy(side=48):
    return np.random.default_rng(0).normal(1000, 30, (side, side)).astype("uint16")


def launch(rank, ranks, job):
    """Set the variables that torchrun sets."""
    os.environ |= {
        "TORCHELASTIC_RUN_ID": job,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
    }


def work(queue, careamist, source, target, rank, ranks, job, kill_at=None):
    launch(rank, ranks, job)
    regions, written = [], []

    def note(event):
        if isinstance(event, TilesDone):
            regions.extend(
                tuple((part.start, part.stop) for part in region)
                for region in event.regions
            )
            if len(regions) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        elif isinstance(event, FileWritten):
            written.append(event.path.name)

    careamist.on_progress = note
    said = ""
    try:
        careamist.predict_to_disk(source, prediction_dir=target, tile_size=[16, 16])
    except (ConfigurationError, LostProcessError) as error:
        said = f"{type(error).__name__}: {error}"
    queue.put((rank, regions, written, said))


def together(careamist, source, target, ranks, job="a", kill=None):
    """What each of several processes did: its regions, its files, what it said."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    at = kill or {}
    processes = [
        context.Process(
            target=work,
            args=(queue, careamist, source, target, rank, ranks, job, at.get(rank)),
        )
        for rank in range(ranks)
    ]
    for process in processes:
        process.start()
    answers = [queue.get(timeout=300) for _ in range(ranks - len(at))]
    for process in processes:
        process.join()
    return {rank: answer for rank, *answer in answers}


def pixels_of(store):
    return np.asarray(zarr.open_array(store / "0", mode="r"))


@pytest.mark.parametrize("ranks", [2, 4])
def test_each_writes_its_own_shards_and_the_whole_is_that_of_one(
    careamist, tmp_path, ranks
):
    source, target = tmp_path / "noisy.tif", tmp_path / "clean.ome.zarr"
    write_tiff(source, noisy(), "YX")
    done = together(careamist, source, target, ranks)
    regions = [region for found, _, _ in done.values() for region in found]
    assert len(regions) == len(set(regions)) == 9
    counts = [len(found) for found, _, _ in done.values()]
    assert max(counts) - min(counts) <= 1
    expected = careamist.predict(noisy(), tile_size=[16, 16])
    np.testing.assert_array_equal(pixels_of(target), expected)
    levels = zarr.open_group(target, mode="r").attrs["ome"]["multiscales"][0]["datasets"]
    assert all((target / level["path"]).is_dir() for level in levels)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clean.ome.zarr", "noisy.tif"]


def test_a_lost_process_is_told_and_its_part_made_up_for(careamist, tmp_path):
    source, target = tmp_path / "noisy.tif", tmp_path / "clean.ome.zarr"
    write_tiff(source, noisy(), "YX")
    training = careamist.config.training_config.replace(process_timeout=3)
    careamist.config = careamist.config.replace(training_config=training)
    done = together(careamist, source, target, 2, kill={1: 2})
    assert "LostProcessError: Process 1 of 2 made no progress for 3 s" in done[0][2]
    assert not target.exists()
    training = training.replace(process_timeout=60)
    careamist.config = careamist.config.replace(training_config=training)
    again = together(careamist, source, target, 3, job="b")
    assert [said for _, _, said in again.values()] == ["", "", ""]
    assert 4 <= sum(len(found) for found, _, _ in again.values()) <= 5  # 5 were there
    expected = careamist.predict(noisy(), tile_size=[16, 16])
    np.testing.assert_array_equal(pixels_of(target), expected)


def test_more_processes_than_shards_are_refused(careamist, tmp_path):
    source, target = tmp_path / "noisy.tif", tmp_path / "clean.ome.zarr"
    write_tiff(source, noisy(16), "YX")
    done = together(careamist, source, target, 2)
    for _, _, said in done.values():
        assert "has 1 shard but 2 processes share them" in said
    assert [p.name for p in tmp_path.iterdir()] == ["noisy.tif"]


def test_a_tiff_is_not_written_by_several(careamist, tmp_path):
    write_tiff(tmp_path / "noisy.tif", noisy(), "YX")
    done = together(careamist, tmp_path / "noisy.tif", tmp_path / "clean.tif", 2)
    for _, _, said in done.values():
        assert "which 2 processes cannot write together" in said


def test_several_files_are_divided(careamist, tmp_path):
    for number in range(3):
        (tmp_path / "noisy").mkdir(exist_ok=True)
        write_tiff(tmp_path / "noisy" / f"{number}.tif", noisy(), "YX")
    done = together(careamist, tmp_path / "noisy", tmp_path / "clean", 2)
    assert {rank: written for rank, (_, written, _) in done.items()} == {
        0: ["0.tif", "2.tif"],
        1: ["1.tif"],
    }
    crowd = together(careamist, tmp_path / "noisy", tmp_path / "other", 4)
    assert all("3 files but 4 processes" in said for _, _, said in crowd.values())
