"""Trainings that were cut off: what is kept so that they can go on. No Qt here.

Each training of the dock has a folder while it lasts: a copy of the pixels unless they are
very many, a few words about it (which come last and go first, so that nothing else counts
without them), and the state that the engine writes. A lock in the folder says that the
training goes on somewhere, and falls with the process that holds it; a folder without one
is what a crash, a power cut or a closed window has left.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from napari_hush.config import Configuration
from napari_hush.errors import TrainingError, UnreadableFileError
from napari_hush.io.metadata import ImageMetadata
from napari_hush.system.atomic_write import whole_file, writing
from napari_hush.widgets.data.training_data import TrainingData
from napari_hush.widgets.jobs.pixel_copies import copied, in_memory, read_copies
from napari_hush.widgets.user_settings import data_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from filelock import BaseFileLock

__all__ = [
    "InterruptedTraining",
    "Keeping",
    "discard",
    "going_on",
    "interrupted_runs",
    "keeping",
]

_log = logging.getLogger(__name__)

_WORDS = "run.json"
_WORDS_BYTES = 2**20
_LOCK = "in-use"
_STATE = "run-state.safetensors"
"""As `napari_hush.lightning` calls it; that module would load torch."""
_WAIT = 2.0
"""Seconds to wait for a lock that somebody may hold for a moment, to look."""
_OLD = 86_400.0
"""Seconds after which nobody is about to make something of what is not whole."""
_UNLOCKED = (OSError, NotImplementedError)
"""Raised where a folder cannot be locked: somebody has, or the disk knows no locks."""


@dataclass(frozen=True)
class InterruptedTraining:
    """A training that was cut off.

    Attributes
    ----------
    folder : Path
        All that is kept of it.
    name : str
        What its layer was called.
    when : float
        Time of the last state, in seconds since 1970.
    configuration : Configuration
        What it was asked to do.
    pixel_size : ImageMetadata or None
        Pixel sizes of what it learned from.
    counts : dict of str to int, or None
        How many arrays there are of each kind that `TrainingData` has; None if they were
        too large to be copied.
    """

    folder: Path
    name: str
    when: float
    configuration: Configuration
    pixel_size: ImageMetadata | None
    counts: dict[str, int] | None

    @property
    def has_pixels(self) -> bool:
        """Whether it can go on: what it learned from is there."""
        return self.counts is not None

    def data(self) -> TrainingData:
        """What it learned from, left on disk.

        Raises
        ------
        UnreadableFileError
            If the pixels are not there, or not what they should be.
        """
        counts = self.counts or {}
        try:
            return read_copies(self.folder, counts)
        except (OSError, ValueError, TypeError) as error:
            raise UnreadableFileError(
                f"The pixels of the training on “{self.name}” cannot be read ({error}); "
                "take its model, or train anew."
            ) from error


@dataclass
class Keeping:
    """What a training needs to know of its folder.

    Attributes
    ----------
    folder : Path or None
        Where its state goes; None if nothing can be kept.
    data : TrainingData
        What it is to learn from.
    over : bool
        Set when its model is in other hands, and the folder may go.
    learned : bool
        Set when there is something to lose: before that, a training that fails is over.
    """

    folder: Path | None
    data: TrainingData
    over: bool = False
    learned: bool = False


@contextmanager
def keeping(
    name: str,
    configuration: Configuration,
    data: TrainingData,
    pixel_size: ImageMetadata | None,
    tell: Callable[[str], None],
) -> Iterator[Keeping]:
    """Keep all it takes to go on with a new training, until it is over.

    A disk that takes nothing is no reason to stop anybody's work: it is told.

    Parameters
    ----------
    name : str
        What the layer is called.
    configuration, data, pixel_size
        Of the training. What is not in memory in one piece is learned from as the copy.
    tell : callable
        Gets a sentence if the training is not kept.
    """
    folder = _new_folder(name)
    lock = _lock_of(folder)
    try:
        with writing(folder):
            folder.mkdir(parents=True)
        lock.acquire(_WAIT)
    except _UNLOCKED as error:
        shutil.rmtree(folder, ignore_errors=True)
        tell(f"After a crash this training could not go on: {error}")
        yield Keeping(None, data)
        return
    run = Keeping(folder, data)
    with _held(lock, folder, run):
        try:
            run.data, counts = copied(data, folder)
            words = {
                "name": name,
                "configuration": configuration.model_dump(mode="json"),
                "pixel_size": None if pixel_size is None else asdict(pixel_size),
                "pixels": counts,
            }
            with whole_file(folder / _WORDS) as part:
                part.write_text(json.dumps(words, indent=1), encoding="utf-8")
        except OSError as error:
            _empty(folder)
            run.folder, run.data = None, data
            tell(f"After a crash this training could not go on: {error}")
        yield run


@contextmanager
def going_on(folder: Path, data: TrainingData) -> Iterator[Keeping]:
    """Keep the training in `folder` on, until it is over; its `data` come into memory.

    Raises
    ------
    TrainingError
        If it goes on elsewhere already, or the pixels do not fit into memory.
    """
    lock = _locked(folder)
    run = Keeping(folder, data, learned=True)
    with _held(lock, folder, run):
        try:
            run.data = in_memory(data)
        except MemoryError as error:
            raise TrainingError(
                "The pixels of that training do not fit into memory; close other programs, "
                "and let it go on then."
            ) from error
        yield run


def interrupted_runs() -> list[InterruptedTraining]:
    """All trainings that were cut off, the last one first.

    What is left of others, and has not changed for a day, is removed.
    """
    found = []
    for folder in _folders():
        run = _read(folder)
        try:
            if run is None and not _is_left_over(folder):
                continue
            lock = _lock_of(folder)
            lock.acquire(timeout=0)
        except _UNLOCKED:  # it goes on somewhere, or is not ours to touch
            continue
        lock.release()
        if run is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            found.append(run)
    return sorted(found, key=lambda run: run.when, reverse=True)


def discard(folder: Path) -> None:
    """Remove the training in `folder`, and what was learned in it.

    Raises
    ------
    TrainingError
        If it goes on somewhere.
    """
    with _held(_locked(folder), folder, Keeping(folder, TrainingData(()), over=True)):
        pass


# ---- Private


@contextmanager
def _held(lock: BaseFileLock, folder: Path, run: Keeping) -> Iterator[None]:
    """Let go of the lock at the end; and remove the folder if nothing is to be kept."""
    try:
        yield
    finally:
        kept = run.folder is not None and run.learned and not run.over
        kept = kept and (folder / _STATE).is_file()
        if not kept:
            _empty(folder)
        lock.release()
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


def _lock_of(folder: Path) -> BaseFileLock:
    from filelock import FileLock  # takes long to import, and is seldom needed

    return FileLock(folder / _LOCK)


def _empty(folder: Path) -> None:
    """Remove all but the lock from `folder`; what it takes to be offered goes first.

    Windows keeps what somebody reads, a virus scanner for example; it goes in a day.
    """
    files = sorted(folder.iterdir(), key=lambda path: path.name != _WORDS)
    for path in files:
        if path.name != _LOCK:
            with suppress(OSError):
                path.unlink()


def _is_left_over(folder: Path) -> bool:
    """Whether nothing can come of what is in `folder` any more."""
    return not (folder / _WORDS).exists() and time.time() - folder.stat().st_mtime > _OLD


def _locked(folder: Path) -> BaseFileLock:
    """The lock of a training that is to be taken up, or removed.

    Raises
    ------
    TrainingError
        If it goes on somewhere.
    """
    lock = _lock_of(folder)
    try:
        if not folder.is_dir():  # which the lock would make
            raise FileNotFoundError(folder)
        lock.acquire(_WAIT)
    except _UNLOCKED as error:
        raise TrainingError(
            "That training goes on in another window, or somebody has removed it; look "
            "there, or train anew."
        ) from error
    return lock


def _root() -> Path:
    return data_folder() / "interrupted"


def _folders() -> list[Path]:
    try:
        return [path for path in _root().iterdir() if path.is_dir()]
    except OSError:  # nothing was ever kept
        return []


def _new_folder(name: str) -> Path:
    plain = re.sub(r"[^\w\- ]+", "_", name).strip()[:60] or "image"
    return _root() / f"{time.strftime('%Y-%m-%d %H.%M.%S')} {plain} {os.urandom(3).hex()}"


def _read(folder: Path) -> InterruptedTraining | None:
    """What is kept in `folder`; None, and logged, if nothing can be made of it."""
    words = folder / _WORDS
    try:
        when = (folder / _STATE).stat().st_mtime
        if words.stat().st_size > _WORDS_BYTES:
            raise ValueError("it is too large")
        values: dict[str, Any] = json.loads(words.read_text(encoding="utf-8"))
        size = values["pixel_size"]
        counts = values["pixels"]
        return InterruptedTraining(
            folder,
            str(values["name"]),
            when,
            Configuration.build(values["configuration"], written_by_hush=True),
            None if size is None else ImageMetadata(**size),
            None if counts is None else {str(k): int(n) for k, n in counts.items()},
        )
    except FileNotFoundError:
        return None
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        _log.warning("What is kept in %s cannot be read: %s", folder, error)
        return None


def recovery_folder() -> Path:
    """The folder of such models."""
    return data_folder() / "recovered"


def recovered_path(name: str) -> Path:
    """A new path for the model trained on the layer called `name`."""
    folder = recovery_folder()
    folder.mkdir(parents=True, exist_ok=True)
    plain = re.sub(r"[^\w\- ]+", "_", name).strip() or "model"
    stem = f"{plain} {time.strftime('%Y-%m-%d %H.%M.%S')}"
    path = folder / f"{stem}.safetensors"
    number = 2
    while path.exists():
        path = folder / f"{stem} {number}.safetensors"
        number += 1
    return path
