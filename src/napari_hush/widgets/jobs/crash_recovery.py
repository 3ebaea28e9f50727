"""Recovery folders, from which interrupted training runs are resumed. No Qt here.

In the dock, each training run has a recovery folder while it lasts: a copy of pixels unless
they are too large, the checkpoint of the engine, and a summary, which is written last and
removed first, so that the folder counts only with one. A lock in the folder is held while
the training runs, and released when its process dies: a folder that is not locked belongs
to a training run that was interrupted by a crash, a power cut or a closed window.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.config import Configuration
from napari_hush.errors import TrainingError, UnreadableFileError
from napari_hush.io.metadata import ImageMetadata
from napari_hush.system.atomic_write import whole_file, writing
from napari_hush.widgets.data.training_data import TrainingData
from napari_hush.widgets.jobs.pixel_copies import copy_pixels, load_copies, read_copies
from napari_hush.widgets.user_settings import data_folder, new_path, safe_name

if TYPE_CHECKING:
    from filelock import BaseFileLock

_log = logging.getLogger(__name__)

_SUMMARY = "run.json"
_SUMMARY_MAX_BYTES = 2**20
_LOCK = "in-use"
_CHECKPOINT = "run-state.safetensors"
"""As in `napari_hush.lightning.checkpoint`, which would load torch."""
_FOLDER = re.compile(r"\d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d .* [0-9a-f]{6}")
"""Name of a recovery folder."""
_FILES = re.compile(
    rf"{_LOCK}|[a-z_]+-\d+\.npy|\.?({re.escape(_SUMMARY)}|{re.escape(_CHECKPOINT)})(\.\w+\.part)?"
)
"""Names of the files in it; others are of the user and stay."""
_LOCK_SECONDS = 2.0
"""Time to wait for a lock that another window may hold for a moment, to look."""
_OLD_SECONDS = 86_400.0
"""Age at which a folder without a summary no longer belongs to a starting training run."""
_ODD = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError)
"""Errors of a summary that is none."""
_LOCK_ERRORS = (OSError, NotImplementedError)
"""Of a lock that is held, or on a file system without locks."""


@dataclass(frozen=True)
class InterruptedTraining:
    """A training run that was interrupted, as its recovery folder describes it."""

    folder: Path
    name: str
    """Name of its layer."""
    when: float
    """Time of the last checkpoint, in seconds since 1970."""
    configuration: Configuration
    pixel_size: ImageMetadata | None
    """Pixel sizes of the training images."""
    counts: dict[str, int] | None
    """Number of arrays per field of `TrainingData`; None if they were not copied."""

    @property
    def has_pixels(self) -> bool:
        """Whether it can be resumed: its pixels were copied."""
        return self.counts is not None

    def data(self) -> TrainingData:
        """The copied pixels, left on disk; `UnreadableFileError` if damaged."""
        try:
            return read_copies(self.folder, self.counts or {})
        except (OSError, ValueError, TypeError) as error:
            raise UnreadableFileError(
                f"The pixels of the training run on “{self.name}” cannot be read "
                f"({error}); use its model, or train again."
            ) from error


@dataclass
class Recovery:
    """The recovery folder of a running training run."""

    folder: Path | None
    """For the engine's checkpoints; None if nothing can be written."""
    data: TrainingData
    """Pixels to train on."""
    has_steps: bool = False
    """Set after the first steps: a training run that fails before them leaves nothing."""
    finished: bool = False
    """Set when the model has been returned, so that the folder can be removed."""


@contextmanager
def new_recovery(
    name: str,
    configuration: Configuration,
    data: TrainingData,
    pixel_size: ImageMetadata | None,
    warn: Callable[[str], None],
) -> Iterator[Recovery]:
    """Keep a recovery folder for a new training run on the layer called `name`.

    If it cannot be written, the training runs without one and `warn` gets a message.
    """
    when, plain = time.strftime("%Y-%m-%d %H.%M.%S"), safe_name(name, "image")[:60]
    folder = _root() / f"{when} {plain} {os.urandom(3).hex()}"
    lock = _lock_of(folder)
    try:
        with writing(folder):
            folder.mkdir(parents=True)
        lock.acquire(_LOCK_SECONDS)
    except _LOCK_ERRORS as error:
        _remove(folder)
        warn(f"After a crash this training run cannot be resumed: {error}")
        yield Recovery(None, data)
        return
    recovery = Recovery(folder, data)
    with _removed_at_end(lock, folder, recovery):
        try:
            recovery.data, counts = copy_pixels(data, folder)
            summary = {
                "name": name,
                "configuration": configuration.model_dump(mode="json"),
                "pixel_size": None if pixel_size is None else asdict(pixel_size),
                "pixels": counts,
            }
            with whole_file(folder / _SUMMARY) as part:
                part.write_text(json.dumps(summary, indent=1), encoding="utf-8")
        except OSError as error:
            _empty(folder)
            recovery.folder, recovery.data = None, data
            warn(f"After a crash this training run cannot be resumed: {error}")
        yield recovery


@contextmanager
def resumed_recovery(folder: Path, data: TrainingData) -> Iterator[Recovery]:
    """Keep the recovery folder of a resumed training, with its `data` in memory.

    `TrainingError` if it runs in another window, or the data do not fit into memory.
    """
    lock = _locked(folder)
    recovery = Recovery(folder, data, has_steps=True)
    with _removed_at_end(lock, folder, recovery):
        try:
            recovery.data = load_copies(data)
        except MemoryError as error:
            raise TrainingError(
                "The pixels of the training run do not fit into memory; close other "
                "programs, then resume it."
            ) from error
        yield recovery


def interrupted_runs() -> list[InterruptedTraining]:
    """Interrupted training runs, the last first; removes old, incomplete folders."""
    found = []
    for folder in filter(Path.is_dir, _root().glob("*")):
        training = _read(folder)
        try:
            age = time.time() - folder.stat().st_mtime
            if training is None and (age <= _OLD_SECONDS or not _is_incomplete(folder)):
                continue  # it may still be written, is unreadable, or of the user
            lock = _lock_of(folder)
            lock.acquire(timeout=0)
        except _LOCK_ERRORS:  # it runs in another window, or cannot be accessed
            continue
        lock.release()
        if training is None:
            _remove(folder)
        else:
            found.append(training)
    return sorted(found, key=lambda training: training.when, reverse=True)


def discard(folder: Path) -> None:
    """Remove a recovery folder; `TrainingError` if its training runs."""
    lock = _locked(folder)
    with _removed_at_end(lock, folder, Recovery(folder, TrainingData(()), finished=True)):
        pass


def recovered_path(name: str) -> Path:
    """New path for the model of a run whose dock was closed; `name` is its layer."""
    folder = data_folder() / "recovered"
    folder.mkdir(parents=True, exist_ok=True)
    when = time.strftime("%Y-%m-%d %H.%M.%S")
    return new_path(folder, f"{safe_name(name, 'model')} {when}", ".safetensors")


@contextmanager
def _removed_at_end(lock: BaseFileLock, folder: Path, recovery: Recovery) -> Iterator[None]:
    """Release the lock at the end, and remove the folder unless it is still needed."""
    try:
        yield
    finally:
        interrupted = recovery.has_steps and not recovery.finished
        written = recovery.folder is not None and (folder / _CHECKPOINT).is_file()
        needed = interrupted and written
        if not needed:
            _empty(folder)
        lock.release()
        if not needed:
            _remove(folder)


def _lock_of(folder: Path) -> BaseFileLock:
    from filelock import FileLock  # slow to import, and rarely needed

    return FileLock(folder / _LOCK)


def _locked(folder: Path) -> BaseFileLock:
    """The acquired lock of a training run; `TrainingError` if it runs or is gone."""
    lock = _lock_of(folder)
    try:
        if not folder.is_dir():  # the lock would create it
            raise FileNotFoundError(folder)
        lock.acquire(_LOCK_SECONDS)
    except _LOCK_ERRORS as error:
        raise TrainingError(
            "This training run continues in another window, or was discarded there; look "
            "there, or train again."
        ) from error
    return lock


def _empty(folder: Path) -> None:
    """Remove our files but the lock from `folder`, the summary first.

    Windows keeps files that a virus scanner reads; they are removed a day later.
    """
    for path in sorted(folder.iterdir(), key=lambda path: path.name != _SUMMARY):
        if path.name != _LOCK and _FILES.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()


def _remove(folder: Path) -> None:
    """Remove our files from `folder`, and the folder if it has no others."""
    with suppress(OSError):
        _empty(folder)
        (folder / _LOCK).unlink(missing_ok=True)
        folder.rmdir()


def _is_incomplete(folder: Path) -> bool:
    """Whether we made a folder, which has no summary and no files of the user."""
    names = {path.name for path in folder.iterdir()}
    ours = _FOLDER.fullmatch(folder.name) and all(map(_FILES.fullmatch, names))
    return bool(ours) and not folder.is_symlink() and _SUMMARY not in names


def _root() -> Path:
    return data_folder() / "interrupted"


def _read(folder: Path) -> InterruptedTraining | None:
    """The training run of `folder`; None if it is incomplete, or, logged, unreadable."""
    summary = folder / _SUMMARY
    try:
        when = (folder / _CHECKPOINT).stat().st_mtime
        if summary.stat().st_size > _SUMMARY_MAX_BYTES:
            raise ValueError("it is too large")
        values: dict[str, Any] = json.loads(summary.read_text(encoding="utf-8"))
        size, counts = values["pixel_size"], values["pixels"]
        return InterruptedTraining(
            folder,
            str(values["name"]),
            when,
            Configuration.build(values["configuration"], written_by_hush=True),
            None
            if size is None
            else ImageMetadata.of(size["axes"], size["scale"], size["units"]),
            None if counts is None else {str(k): int(n) for k, n in counts.items()},
        )
    except FileNotFoundError:
        return None
    except (OSError, *_ODD) as error:
        _log.warning("The interrupted training run in %s cannot be read: %s", folder, error)
        return None
