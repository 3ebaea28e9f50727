"""Files are divided among processes that torchrun or srun started; one image is not."""

import multiprocessing
import os
import sys

import numpy as np
import pytest

from napari_hush.errors import ConfigurationError
from napari_hush.events import FileWritten
from napari_hush.io import write_tiff

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks processes"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork"),
]


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


def work(queue, careamist, source, target, rank, ranks):
    launch(rank, ranks, "a")
    written = []
    careamist.on_progress = lambda event: (
        isinstance(event, FileWritten) and written.append(event.path.name)
    )
    said = ""
    try:
        careamist.predict_to_disk(source, prediction_dir=target, tile_size=[16, 16])
    except ConfigurationError as error:
        said = str(error)
    queue.put((rank, written, said))


def together(careamist, source, target, ranks):
    """What each of several processes did: its files, what it said."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [
        context.Process(target=work, args=(queue, careamist, source, target, rank, ranks))
        for rank in range(ranks)
    ]
    for process in processes:
        process.start()
    answers = [queue.get(timeout=300) for _ in range(ranks)]
    for process in processes:
        process.join()
    return {rank: answer for rank, *answer in answers}


def test_one_image_is_left_to_dask(careamist, tmp_path):
    write_tiff(tmp_path / "noisy.tif", noisy(), "YX")
    for target in ("clean.tif", "clean.ome.zarr"):
        done = together(careamist, tmp_path / "noisy.tif", tmp_path / target, 2)
        for _, said in done.values():
            assert "divided among the 2 processes of this job; start one process" in said
    assert [p.name for p in tmp_path.iterdir()] == ["noisy.tif"]


def test_several_files_are_divided(careamist, tmp_path):
    for number in range(3):
        (tmp_path / "noisy").mkdir(exist_ok=True)
        write_tiff(tmp_path / "noisy" / f"{number}.tif", noisy(), "YX")
    done = together(careamist, tmp_path / "noisy", tmp_path / "clean", 2)
    assert {rank: written for rank, (written, _) in done.items()} == {
        0: ["0.tif", "2.tif"],
        1: ["1.tif"],
    }
    crowd = together(careamist, tmp_path / "noisy", tmp_path / "other", 4)
    assert all("3 files but 4 processes" in said for _, said in crowd.values())
