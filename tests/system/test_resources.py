"""Disks, memory and files that fail in the middle of a job: one sentence, nothing lost."""

import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_hush import CAREamist
from napari_hush.cli import main
from napari_hush.errors import (
    OutOfMemoryError,
    SomeFilesFailedError,
    UnreadableFileError,
    UnwritableFileError,
)
from napari_hush.events import EpochDone, ImageStarted, StepsDone, TilesDone, WarningIssued
from napari_hush.io import read_tiff, write_tiff
from napari_hush.lightning import interrupted_run, load_checkpoint
from napari_hush.system import memory
from napari_hush.system.memory import explain_memory_error


@pytest.fixture
def careamist(tiny_config, noisy):
    careamist = CAREamist(tiny_config(num_steps=2))
    careamist.train(train_source=noisy)
    return careamist


@pytest.fixture
def files(noisy, tmp_path):
    folder = tmp_path / "noisy"
    folder.mkdir()
    for number in range(3):
        write_tiff(folder / f"{number}.tif", noisy + number, "YX")
    return folder


@contextmanager
def no_file_larger_than(size):
    """Limit the size of files, as a full disk does, for this process."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def only(path):
    return sorted(p.name for p in path.iterdir())


def test_a_model_that_does_not_fit_leaves_the_one_before(careamist, tmp_path):
    path = careamist.save(tmp_path / "m.safetensors")
    before = path.read_bytes()
    with (
        no_file_larger_than(len(before) // 2),
        pytest.raises(UnwritableFileError, match="takes no file of that size"),
    ):
        careamist.save(path, overwrite=True)
    assert path.read_bytes() == before
    assert only(tmp_path) == ["m.safetensors"]


def test_a_run_whose_state_does_not_fit_any_more_can_be_resumed(
    tiny_config, noisy, tmp_path
):
    config = tiny_config(num_epochs=3, num_steps=4)
    config = config.replace(
        training_config=config.training_config.replace(checkpoint_every=0)
    )
    whole = CAREamist(config)
    whole.train(train_source=noisy)
    limits = []

    def fill_up(event):
        if isinstance(event, StepsDone) and event.first_step >= 5 and not limits:
            limits.append(no_file_larger_than(1000))
            limits[0].__enter__()

    careamist = CAREamist(config, on_progress=fill_up)
    try:
        with pytest.raises(UnwritableFileError, match="takes no file of that size"):
            careamist.train(train_source=noisy, checkpoint_dir=tmp_path)
    finally:
        limits[0].__exit__(None, None, None)
    assert interrupted_run(tmp_path).position.steps >= 4
    again = CAREamist(config)
    again.train(train_source=noisy, resume=tmp_path)
    assert again.model.sha256 == whole.model.sha256
    assert load_checkpoint(tmp_path).position.ended


def test_results_that_are_whole_are_kept(careamist, files, tmp_path, noisy):
    write_tiff(files / "9 large.tif", np.tile(noisy, (4, 4)), "YX")
    space = 2 * noisy.nbytes
    with (
        no_file_larger_than(space),
        pytest.raises(UnwritableFileError, match=r"9 large\.tif"),
    ):
        careamist.predict_to_disk(
            files, prediction_dir=tmp_path / "out", data_type="tiff", tile_size=[64, 64]
        )
    assert [n for n in only(tmp_path / "out") if n.endswith(".tif")] == [
        "0.tif",
        "1.tif",
        "2.tif",
    ]
    for number in range(3):
        wanted = careamist.predict(noisy + number)
        found = read_tiff(tmp_path / "out" / f"{number}.tif")
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.skipif(sys.platform != "linux", reason="where nobody may write, not even root")
def test_a_folder_that_nobody_may_write_to(careamist, files, capsys):
    with pytest.raises(UnwritableFileError, match="choose a folder that you may write to"):
        careamist.save("/sys/m.safetensors")
    with pytest.raises(UnwritableFileError, match="choose a folder that you may write to"):
        careamist.predict_to_disk(files, prediction_dir="/sys/out", data_type="tiff")
    with pytest.raises(UnwritableFileError, match="choose a folder that you may write to"):
        careamist.train(train_source=read_tiff(files / "0.tif"), checkpoint_dir="/sys/run")


def after_first_tile(careamist, do):
    """Do something to a file while it is denoised."""
    done = []

    def listen(event):
        if isinstance(event, TilesDone) and not done:
            done.append(event)
            do()

    careamist.on_progress = listen


def test_a_file_that_vanishes_in_mid_read(careamist, files, tmp_path, noisy):
    large = files / "3.tif"
    write_tiff(large, np.tile(noisy, (3, 3)), "YX")
    done = []

    def vanish(event):
        if isinstance(event, ImageStarted):
            done.append(event.name)
        if isinstance(event, TilesDone) and "3.tif" in done[-1]:
            large.unlink(missing_ok=True)

    careamist.on_progress = vanish
    with pytest.raises(SomeFilesFailedError, match="moved or deleted since it was opened"):
        careamist.predict_to_disk(
            files, prediction_dir=tmp_path / "out", data_type="tiff", tile_size=[32, 32]
        )
    assert {"0.tif", "1.tif", "2.tif"} <= set(only(tmp_path / "out"))
    assert "3.tif" not in only(tmp_path / "out")


def test_a_file_that_is_written_anew_in_mid_read(careamist, files, noisy):
    path = files / "0.tif"
    larger = np.tile(noisy, (2, 2))
    write_tiff(path, larger, "YX", overwrite=True)
    after_first_tile(careamist, lambda: write_tiff(path, larger + 1, "YX", overwrite=True))
    with pytest.raises(UnreadableFileError, match="changed by someone else"):
        careamist.predict(path, data_type="tiff", tile_size=[32, 32])


def store_of(path, pixels):
    array = zarr.create_array(
        path, shape=pixels.shape, chunks=(16, 16), dtype=pixels.dtype, fill_value=0
    )
    array[:] = pixels
    return array


def chunks_of(path):
    return [p for p in path.rglob("*") if p.is_file() and p.name != "zarr.json"]


@pytest.mark.parametrize("change", ["a chunk goes", "a chunk changes", "all goes"])
def test_a_store_that_changes_in_mid_read(careamist, tmp_path, noisy, change):
    """Zarr takes a chunk that is not there for one that was never written."""
    path = tmp_path / "a.zarr"
    array = store_of(path, np.tile(noisy, (2, 2)))

    def do():
        if change == "a chunk goes":
            chunks_of(path)[-1].unlink()
        elif change == "a chunk changes":
            array[-16:, -16:] = 0
        else:
            shutil.rmtree(path)

    after_first_tile(careamist, do)
    with pytest.raises(UnreadableFileError, match="was changed"):
        careamist.predict(path, data_type="zarr", tile_size=[32, 32])


def test_a_store_that_changes_while_it_is_learned_from(tiny_config, tmp_path, noisy):
    path = tmp_path / "a.zarr"
    store_of(path, noisy)
    events = []

    def listen(event):
        events.append(event)
        if isinstance(event, EpochDone):
            chunks_of(path)[0].unlink(missing_ok=True)

    careamist = CAREamist(tiny_config(data_type="zarr", num_steps=2), on_progress=listen)
    careamist.train(train_source=path, use_in_memory=False)
    assert "source" in {e.about for e in events if isinstance(e, WarningIssued)}
    assert careamist.is_trained


def test_a_result_larger_than_memory_is_refused_before(careamist, noisy, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: noisy.nbytes - 1)
    with pytest.raises(OutOfMemoryError, match="denoise into files"):
        careamist.predict(noisy)
    out = np.zeros_like(noisy)
    careamist.predict(noisy, out=out)  # that takes no more
    assert out.any()


def test_memory_that_runs_out_in_the_middle(careamist, tmp_path, monkeypatch, noisy):
    kept = careamist.model
    paths = [tmp_path / f"{name}.x" for name in "ab"]
    for path in paths:
        path.touch()

    class Pixels:
        shape, dtype = noisy.shape, noisy.dtype

        def read(self, region):
            raise MemoryError

    with pytest.raises(OutOfMemoryError, match="Not even a tile of"):
        careamist.predict(
            paths, data_type="custom", read_source_func=lambda path, axes: Pixels()
        )

    class Source:
        shape, dtype = noisy.shape, noisy.dtype

        def __getitem__(self, key):
            raise MemoryError

        def __array__(self, dtype=None, copy=None):
            raise MemoryError

    with pytest.raises(OutOfMemoryError, match="Memory ran out during training"):
        careamist.train(train_source=Source())
    assert careamist.model is kept


def test_a_sentence_stays_the_sentence_that_it_is():
    with pytest.raises(OutOfMemoryError, match=r"^No space$"), explain_memory_error("it"):
        raise OutOfMemoryError("No space")


def test_the_command_line_says_it_in_one_line(careamist, files, tmp_path, capsys):
    model = careamist.save(tmp_path / "m.safetensors")
    command = ["predict", str(model), str(files), "-o", str(tmp_path / "out"), "--quiet"]
    with no_file_larger_than(1000):
        assert main(command) == 2
    said = capsys.readouterr().err
    assert said.startswith("hush: Cannot write ")
    assert said.count("\n") == 1
    assert not list(Path(tmp_path / "out").glob("*.tif"))
    assert main(command) == 0
    assert os.listdir(tmp_path / "out")
