"""The folder MODEL.run: a training command and its checkpoint, until the model is saved.

``hush resume FOLDER`` needs nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_hush.config import Configuration
from napari_hush.errors import (
    ExistingFileError,
    HushError,
    MissingFileError,
    UnreadableFileError,
)
from napari_hush.lightning import refuse_if_interrupted, remove_checkpoint
from napari_hush.lightning.checkpoint import FILE
from napari_hush.system.atomic_write import (
    locked,
    make_folder,
    refuse_existing,
    whole_file,
)
from napari_hush.system.job_env import is_first

COMMAND = "command.json"
"""Name of the file that holds the command."""
_BYTES = 16 * 2**20
"""Limit for the size of a command file, which lists all images."""
_SOURCES = ("train_source", "val_source", "train_target", "val_target")


@dataclass(frozen=True)
class Command:
    """One call of ``hush train``; paths are absolute.

    `sources` are arguments of ``CAREamist.train``; `output` is the model file.
    """

    configuration: Configuration
    sources: dict[str, Any]
    output: Path
    overwrite: bool

    @property
    def folder(self) -> Path:
        """Where the run is kept: ``MODEL.run`` next to the model."""
        return self.output.with_suffix(".run")

    @property
    def logs(self) -> Path:
        """Where losses are logged: ``MODEL.logs`` next to the model."""
        return self.output.with_suffix(".logs")

    @property
    def models(self) -> Path:
        """Where models of single epochs go: ``MODEL.checkpoints`` next to the model."""
        return self.output.with_suffix(".checkpoints")


def begin(command: Command, *, overwrite: bool) -> None:
    """Write `command` into its folder; refuse to replace an interrupted run."""
    folder = command.folder
    if not overwrite:
        refuse_if_interrupted(folder)
    make_folder(folder)
    remove_checkpoint(folder)
    values = {
        "configuration": command.configuration.model_dump(mode="json"),
        "sources": command.sources,
        "output": str(command.output),
        "overwrite": command.overwrite,
    }
    with whole_file(folder / COMMAND) as part:
        part.write_text(json.dumps(values, indent=1), encoding="utf-8")


def load_command(folder: Path) -> Command:
    """Read the command in `folder`; raise a HushError if it is missing or damaged."""
    path = folder / COMMAND
    if not path.is_file():
        raise MissingFileError(
            f"There is no run to resume in {str(folder)!r} (no {COMMAND}); give the folder "
            "MODEL.run that hush train left next to the model's path."
        )
    try:
        if path.stat().st_size > _BYTES:
            raise ValueError("it is too large")
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Command(
            configuration=Configuration.build(
                values["configuration"], written_by_hush=True
            ),
            sources={name: _paths(values["sources"][name]) for name in _SOURCES},
            # The folder may have been moved since, and the model goes next to it.
            output=folder.absolute().with_name(Path(values["output"]).name),
            overwrite=bool(values["overwrite"]),
        )
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UnreadableFileError(
            f"Cannot resume the run in {str(folder)!r}: {COMMAND} is damaged "
            f"({type(error).__name__}); start a new run."
        ) from error


@contextmanager
def open_run(
    command: Command, *, is_new: bool
) -> Iterator[tuple[Path | None, Path | None]]:
    """Keep the folder until the model is saved, or if training fails after a checkpoint.

    Yields ``state_dir`` and ``resume`` for ``CAREamist.train``, one of which is None. The
    folder of a new run is not resumed. Only the first process writes and removes files; it
    raises an ExistingFileError if the model exists, or another run is to write it.
    """
    folder, first = command.folder, is_first()
    with ExitStack() as lock:
        if first:
            make_folder(folder.parent)
            lock.enter_context(locked(command.output))
            _prepare(command, is_new=is_new)
        try:
            resumes = not is_new and (folder / FILE).is_file()
            yield (None, folder) if resumes else (folder, None)
        except HushError:
            if first and not (folder / FILE).is_file():  # nothing to resume
                _clear(folder)
            raise
        if first:
            _clear(folder)


def _prepare(command: Command, *, is_new: bool) -> None:
    """Begin a new run; look again whether one to resume is still there."""
    if is_new:
        refuse_existing(command.output, command.overwrite, "--overwrite")
        begin(command, overwrite=command.overwrite)
        return
    load_command(command.folder)
    if command.output.exists() and not command.overwrite:
        raise ExistingFileError(
            f"{str(command.output)!r} already exists, where the run would save its model; "
            "move it away, then resume."
        )


def _paths(given: Any) -> list[str] | None:
    if given is not None and not isinstance(given, list):
        raise TypeError("paths are not a list")
    return None if given is None else [str(path) for path in given]


def _clear(folder: Path) -> None:
    remove_checkpoint(folder)
    (folder / COMMAND).unlink(missing_ok=True)
    with suppress(OSError):  # it holds files of the user
        folder.rmdir()
