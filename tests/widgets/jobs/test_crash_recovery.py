"""Recovery folders, and trainings that are resumed from them."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import dask.array
import numpy as np
import pytest
from filelock import FileLock

from napari_hush.errors import (
    HushError,
    TrainingError,
    UnreadableFileError,
    UnwritableFileError,
)
from napari_hush.events import EarlierLosses, StepsDone, TrainingStarted, WarningIssued
from napari_hush.io.metadata import ImageMetadata
from napari_hush.lightning.checkpoint import FILE
from napari_hush.widgets.data.training_data import TrainingData
from napari_hush.widgets.jobs import crash_recovery, pixel_copies
from napari_hush.widgets.jobs.crash_recovery import interrupted_runs
from napari_hush.widgets.jobs.tasks import (
    LoadingRecovered,
    StopRequest,
    Training,
)
from napari_hush.widgets.user_settings import data_folder

SIZE = ImageMetadata("YX", {"Y": 0.5, "X": 0.25}, {"Y": "micrometer", "X": "micrometer"})


def ignore(event) -> None:
    pass


class Crash(Exception):
    """An unexpected error."""


class Crashing:
    """Keeps events and raises after `steps` steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.events: list = []

    def __call__(self, event) -> None:
        self.events.append(event)
        if (
            isinstance(event, StepsDone)
            and event.first_step + len(event.losses) >= self.steps
        ):
            raise Crash


def exact(quick, **changes):
    """Settings with reproducible bits and a checkpoint after every step."""
    config = quick(num_epochs=3, **changes)
    training = config.training_config.replace(precision="32", checkpoint_every=0)
    return config.replace(training_config=training)


def interrupt(task: Training, steps: int = 5):
    """Have `task` crash; returns the interrupted training."""
    with pytest.raises(Crash):
        task(Crashing(steps), StopRequest())
    (run,) = interrupted_runs()
    return run


def weights(engine) -> dict:
    return {n: w.numpy() for n, w in engine.model.network.state_dict().items()}


def same(one, other) -> bool:
    first, second = weights(one), weights(other)
    return all(np.array_equal(first[name], second[name]) for name in first)


def warned(events) -> list[str]:
    """Warnings about the checkpoint, without their reasons."""
    return [
        event.message[: event.message.index(": ") + 2]
        for event in events
        if isinstance(event, WarningIssued) and event.about == "state"
    ]


def folders() -> list:
    folder = data_folder() / "interrupted"
    return list(folder.iterdir()) if folder.is_dir() else []


def test_the_checkpoint_is_named_as_in_the_engine():
    assert crash_recovery._CHECKPOINT == FILE


def test_a_training_that_ends_leaves_nothing(quick, noisy):
    events = []

    def look(event) -> None:
        if isinstance(event, TrainingStarted):
            events.extend(interrupted_runs())  # it runs, so it is not listed
            events.append(len(folders()))

    assert Training(quick(), TrainingData((noisy,)), "cells")(
        look, StopRequest()
    ).is_trained
    assert events == [1]
    assert folders() == []


def test_a_stopped_training_leaves_nothing(quick, noisy):
    stop = StopRequest()
    task = Training(quick(num_epochs=1000), TrainingData((noisy,)), "cells")
    engine = task(lambda event: stop.set() if isinstance(event, StepsDone) else None, stop)
    assert engine.is_trained
    assert folders() == []


def test_a_resumed_training_ends_with_the_same_bits(quick, noisy):
    task = Training(exact(quick), TrainingData((noisy,)), "my cells: 1", pixel_size=SIZE)
    whole = task(ignore, StopRequest())
    run = interrupt(task)
    assert run.name == "my cells: 1"
    assert run.pixel_size == SIZE
    assert run.has_pixels
    events: list = []
    again = Training.of(run)
    engine = again(events.append, StopRequest())
    assert same(engine, whole)
    assert engine.get_losses() == whole.get_losses()
    assert engine.model.provenance.pixel_size.scale == SIZE.scale
    (started,) = (e for e in events if isinstance(e, TrainingStarted))
    (earlier,) = (e for e in events if isinstance(e, EarlierLosses))
    assert 0 < started.resumed_step < 9
    assert earlier.first_step == 0
    assert (
        list(earlier.losses)
        == whole.get_losses()["train_step_loss"][: started.resumed_step]
    )
    assert [step for step, _ in earlier.validation] == [3]
    assert folders() == []


def test_training_on_a_model_is_resumed(quick, noisy):
    def second(report):
        first = Training(exact(quick), TrainingData((noisy,)), "a")(ignore, StopRequest())
        data = TrainingData((noisy + 3,))
        task = Training(exact(quick, patch_size=[24, 24]), data, "b", model=first)
        return task(report, StopRequest())

    whole = second(ignore)
    with pytest.raises(Crash):
        second(Crashing(14))
    (run,) = interrupted_runs()
    events: list = []
    engine = Training.of(run)(events.append, StopRequest())
    assert same(engine, whole)
    assert engine.model.steps == 18
    assert engine.model.normalization == whole.model.normalization
    (earlier,) = (e for e in events if isinstance(e, EarlierLosses))
    assert earlier.first_step == 9
    assert [step for step, _ in earlier.validation] == [12]
    assert engine.model.provenance.sources == whole.model.provenance.sources
    assert engine.model.provenance.ranges == whole.model.provenance.ranges
    assert len(whole.model.provenance.sources) == 2


_KILLED = """
import os, signal, sys
import numpy as np
import torch
from napari_hush.config import Configuration
from napari_hush.events import StepsDone
from napari_hush.widgets.jobs.tasks import StopRequest, Training
from napari_hush.widgets.data.training_data import TrainingData

def report(event):
    if isinstance(event, StepsDone) and event.first_step + len(event.losses) >= 5:
        os.kill(os.getpid(), signal.SIGKILL)

torch.set_num_threads(1)
config = Configuration.model_validate_json(sys.argv[1])
Training(config, TrainingData((np.load(sys.argv[2]),)), "cells")(report, StopRequest())
"""


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
def test_a_killed_training_is_resumed_with_the_same_bits(quick, noisy, tmp_path):
    config = exact(quick)
    np.save(tmp_path / "noisy.npy", noisy)
    command = [sys.executable, "-c", _KILLED, config.model_dump_json()]
    done = subprocess.run([*command, str(tmp_path / "noisy.npy")], check=False)
    assert done.returncode == -signal.SIGKILL
    (run,) = interrupted_runs()
    engine = Training.of(run)(ignore, StopRequest())
    whole = Training(config, TrainingData((noisy,)), "cells")(ignore, StopRequest())
    assert same(engine, whole)


def test_a_training_whose_window_was_closed_is_resumed(quick, noisy):
    stop = StopRequest()
    task = Training(quick(num_epochs=1000), TrainingData((noisy,)), "cells")
    task(lambda event: stop.abandon() if isinstance(event, StepsDone) else None, stop)
    (run,) = interrupted_runs()
    stop = StopRequest()
    events: list = []

    def once_more(event) -> None:
        events.append(event)
        if isinstance(event, StepsDone):
            stop.set()

    before = LoadingRecovered(run)(ignore, StopRequest()).model.steps
    engine = Training.of(run)(once_more, stop)
    assert engine.model.steps > before > 0
    assert folders() == []


def test_the_model_can_be_loaded_from_the_checkpoint(quick, noisy):
    run = interrupt(Training(exact(quick), TrainingData((noisy,)), "c", pixel_size=SIZE), 6)
    engine = LoadingRecovered(run)(ignore, StopRequest())
    assert engine.model.steps in range(3, 7)
    assert engine.model.provenance.pixel_size.scale == SIZE.scale
    assert np.isfinite(engine.predict(noisy)).all()
    assert interrupted_runs()  # it stays until somebody discards it
    crash_recovery.discard(run.folder)
    assert folders() == []


def test_there_is_no_model_before_the_first_step(quick, noisy):
    run = interrupt(Training(quick(), TrainingData((noisy,)), "cells"), 1)
    with pytest.raises(TrainingError, match="before its first step"):
        LoadingRecovered(run)(ignore, StopRequest())


def test_pixels_that_are_not_contiguous_are_trained_on_as_their_copy(quick, noisy):
    movie = np.stack([noisy, noisy + 1, noisy + 2])
    config = exact(partial(quick, "TYX"))
    plain = Training(config, TrainingData((movie,)), "cells")(ignore, StopRequest())
    lazy = dask.array.from_array(movie, chunks=(1, 64, 72))
    turned = np.asfortranarray(movie)
    for data in (lazy, turned):
        run = interrupt(Training(config, TrainingData((data,)), "cells"))
        (copy,) = run.data().noisy
        assert np.array_equal(copy, movie)
        assert same(Training.of(run)(ignore, StopRequest()), plain)


def test_pairs_masks_and_validation_are_copied(quick, noisy):
    mask = np.zeros(noisy.shape, bool)
    mask[:40] = True
    data = TrainingData(
        (noisy, noisy + 2),
        target=(noisy + 1, noisy + 3),
        validation=(noisy,),
        validation_target=(noisy + 1,),
        mask=(mask, mask),
    )
    found, counts = pixel_copies.copy_pixels(data, _folder())
    assert counts == {
        "noisy": 2,
        "target": 2,
        "validation": 1,
        "validation_target": 1,
        "mask": 2,
    }
    assert found.noisy[1] is data.noisy[1]
    run = crash_recovery.InterruptedTraining(_folder(), "cells", 0.0, quick(), None, counts)
    for kind in counts:
        for one, other in zip(getattr(run.data(), kind), getattr(data, kind), strict=True):
            assert np.array_equal(one, other)
            assert one.dtype == other.dtype


def test_too_large_pixels_are_not_copied(quick, noisy, monkeypatch):
    monkeypatch.setattr(pixel_copies, "MAX_BYTES", noisy.nbytes - 1)
    run = interrupt(Training(exact(quick), TrainingData((noisy,)), "cells"))
    assert not run.has_pixels
    assert LoadingRecovered(run)(ignore, StopRequest()).is_trained


def test_pixels_are_not_copied_to_a_disk_that_is_nearly_full(quick, noisy, monkeypatch):
    usage = pixel_copies.shutil.disk_usage(data_folder())
    little = usage._replace(free=int(noisy.nbytes / pixel_copies.MAX_SHARE) - 1)
    monkeypatch.setattr(pixel_copies.shutil, "disk_usage", lambda path: little)
    assert not interrupt(Training(quick(), TrainingData((noisy,)), "cells")).has_pixels


def test_training_runs_where_nothing_can_be_written(quick, noisy, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HUSH_DATA_DIR", str(tmp_path / "file"))
    task = Training(quick(), TrainingData((noisy,)), "cells")
    events: list = []
    assert task(events.append, StopRequest()).is_trained
    assert warned(events) == ["After a crash this training run cannot be resumed: "]


def test_training_runs_where_nothing_can_be_locked(quick, noisy, monkeypatch):
    def no_locks(lock, timeout=None):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", no_locks)
    events: list = []
    task = Training(quick(), TrainingData((noisy,)), "cells")
    assert task(events.append, StopRequest()).is_trained
    assert warned(events) == ["After a crash this training run cannot be resumed: "]
    assert folders() == []
    assert interrupted_runs() == []


def test_a_copy_that_does_not_fit_is_removed_and_training_runs(quick, noisy, monkeypatch):
    copy = pixel_copies._copy

    def full(array, path):
        copy(array, path)
        raise UnwritableFileError("the disk is full")

    monkeypatch.setattr(pixel_copies, "_copy", full)
    events: list = []

    def look(event) -> None:
        events.append(event)
        if isinstance(event, TrainingStarted):
            events.extend(path for folder in folders() for path in folder.glob("*.npy"))

    task = Training(quick(), TrainingData((noisy,)), "cells")
    assert task(look, StopRequest()).is_trained
    assert warned(events) == ["After a crash this training run cannot be resumed: "]
    assert not [path for path in events if isinstance(path, Path)]
    assert folders() == []


def test_a_disk_that_fills_up_does_not_end_the_training(quick, noisy, monkeypatch):
    from napari_hush.lightning import progress

    save, calls = progress.save_checkpoint, []

    def sometimes(state, folder) -> None:
        calls.append(folder)
        if len(calls) in (3, 4, 5):
            raise UnwritableFileError("the disk is full")
        save(state, folder)

    monkeypatch.setattr(progress, "save_checkpoint", sometimes)
    events: list = []
    task = Training(exact(quick), TrainingData((noisy,)), "cells")
    assert task(events.append, StopRequest()).model.steps == 9
    assert warned(events) == ["After a crash this training run cannot be resumed: "]
    assert len(calls) > 6


def test_a_training_that_fails_before_its_first_step_leaves_nothing(quick, noisy):
    bad = noisy.astype(np.float32)
    bad[3, 4] = np.nan
    with pytest.raises(HushError):
        Training(quick(), TrainingData((bad,)), "cells")(ignore, StopRequest())
    assert folders() == []


def test_a_resumed_training_has_its_pixels_in_memory(quick, noisy, monkeypatch):
    """The engine draws other patches from pixels on disk."""
    from napari_hush.dataset import collection

    task = Training(exact(quick), TrainingData((noisy,)), "cells")
    whole = task(ignore, StopRequest())
    run = interrupt(task)
    monkeypatch.setattr(collection, "free_memory", lambda: 1000)
    assert same(Training.of(run)(ignore, StopRequest()), whole)


def test_pixels_that_do_not_fit_into_memory_raise_and_stay(quick, noisy, monkeypatch):
    def too_large(data):
        raise MemoryError

    run = interrupt(Training(quick(), TrainingData((noisy,)), "cells"))
    monkeypatch.setattr(crash_recovery, "load_copies", too_large)
    with pytest.raises(TrainingError, match="do not fit into memory"):
        Training.of(run)(ignore, StopRequest())
    assert interrupted_runs() == [run]


def test_it_is_resumed_only_once(quick, noisy):
    run = interrupt(Training(quick(), TrainingData((noisy,)), "cells"))
    task = Training.of(run)
    with (
        FileLock(run.folder / "in-use"),
        pytest.raises(TrainingError, match="continues in another window"),
    ):
        task(ignore, StopRequest())
    assert task(ignore, StopRequest()).is_trained


def test_damaged_folders_raise_or_are_skipped(quick, noisy, caplog):
    run = interrupt(Training(quick(), TrainingData((noisy,)), "cells"))
    (run.folder / "noisy-0.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(UnreadableFileError, match="“cells” cannot be read"):
        Training.of(run)
    (run.folder / "noisy-0.npy").unlink()
    with pytest.raises(UnreadableFileError, match="use its model"):
        Training.of(run)
    assert len(caplog.text) == 0
    words = json.loads((run.folder / "run.json").read_text())
    for damaged in ("{", "[]", "{}", json.dumps(words | {"pixels": 3}), " " * 2**21):
        (run.folder / "run.json").write_text(damaged)
        caplog.clear()
        assert interrupted_runs() == []
        assert "cannot be read" in caplog.text
    assert run.folder.is_dir()  # its checkpoint is kept


def test_an_old_folder_without_summary_is_removed(quick, noisy):
    run = interrupt(Training(quick(), TrainingData((noisy,)), "cells"))
    (run.folder / "run.json").unlink()
    assert interrupted_runs() == []
    assert folders() == [run.folder]  # it may be a training that is about to begin
    os.utime(run.folder, (1e9, 1e9))
    with FileLock(run.folder / "in-use"):
        os.utime(run.folder, (1e9, 1e9))
        interrupted_runs()
        assert folders() == [run.folder]
    os.utime(run.folder, (1e9, 1e9))
    assert interrupted_runs() == []
    assert folders() == []


def test_a_running_training_cannot_be_discarded(quick, noisy):
    run = interrupt(Training(quick(), TrainingData((noisy,)), "cells"))
    with (
        FileLock(run.folder / "in-use"),
        pytest.raises(TrainingError, match="continues in another window"),
    ):
        crash_recovery.discard(run.folder)
    assert interrupted_runs() == [run]
    crash_recovery.discard(run.folder)
    assert folders() == []
    with pytest.raises(TrainingError, match="discarded there"):
        crash_recovery.discard(run.folder)
    assert folders() == []


def test_a_model_is_returned_though_its_folder_cannot_be_removed(quick, noisy, monkeypatch):
    def in_use(path, missing_ok=False):
        raise PermissionError("a virus scanner reads it")

    monkeypatch.setattr(Path, "unlink", in_use)
    task = Training(quick(), TrainingData((noisy,)), "cells")
    assert task(ignore, StopRequest()).is_trained


def test_the_last_interrupted_training_comes_first(quick, noisy):
    for name in ("old", "new"):
        with pytest.raises(Crash):
            Training(quick(), TrainingData((noisy,)), name)(Crashing(3), StopRequest())
    runs = {run.name: run for run in interrupted_runs()}
    os.utime(runs["old"].folder / FILE, (1e9, 1e9))
    assert [run.name for run in interrupted_runs()] == ["new", "old"]


def _folder():
    folder = data_folder() / "interrupted" / "by hand"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("my images", ["a.tif"]),
        ("my images", []),
        ("my images", ["noisy-0.npy"]),
        ("2026-01-01 12.00.00 cells abc123", ["noisy-0.npy", "a.tif"]),
        ("2026-01-01 12.00.00 cells abc123", ["in-use", "deep/a.tif"]),
        ("2026-01-01 12.00.00 cells", ["noisy-0.npy"]),
    ],
)
def test_folders_of_the_user_stay_as_they_are(name, files):
    folder = data_folder() / "interrupted" / name
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text("mine")
    os.utime(folder, (1e9, 1e9))
    before = sorted(folder.rglob("*"))
    assert interrupted_runs() == []
    assert sorted(folder.rglob("*")) == before


def test_what_we_left_incomplete_is_removed():
    folder = data_folder() / "interrupted" / "2026-01-01 12.00.00 cells abc123"
    folder.mkdir(parents=True)
    for file in ("in-use", "noisy-0.npy", ".run.json.12ab.part", FILE):
        (folder / file).touch()
    os.utime(folder, (1e9, 1e9))
    assert interrupted_runs() == []
    assert not folder.exists()


def test_a_file_of_the_user_outlives_its_recovery_folder(quick, noisy):
    run = interrupt(Training(exact(quick), TrainingData((noisy,)), "c"), 6)
    (run.folder / "mine.tif").write_text("mine")
    crash_recovery.discard(run.folder)
    assert [path.name for path in run.folder.iterdir()] == ["mine.tif"]


@pytest.mark.parametrize(
    "change",
    [
        {"pixels": {"noisy": float("inf")}},
        {"pixels": [1]},
        {"pixels": {"noisy": "many"}},
        {"pixel_size": {"axes": 1, "scale": [], "units": {}}},
        {"pixel_size": 5},
        {"configuration": None},
    ],
)
def test_an_odd_summary_is_no_training(quick, noisy, caplog, change):
    run = interrupt(Training(exact(quick), TrainingData((noisy,)), "c"), 6)
    file = run.folder / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert interrupted_runs() == []
    assert "cannot be read" in caplog.text
    for text in ("[" * 10**5, "1" * 5000, "[]", "null", '"x"'):
        file.write_text(text)
        assert interrupted_runs() == []


def test_copies_that_cannot_be_are_a_sentence(quick, noisy):
    run = interrupt(Training(exact(quick), TrainingData((noisy,)), "c"), 6)
    for counts in ({"noisy": 10**12}, {"other": 1}, {"../noisy": 1}):
        with pytest.raises(UnreadableFileError):
            dataclasses.replace(run, counts=counts).data()
