"""What ``hush train`` was asked to do, kept beside the state of the run until it is done.

With it ``hush train --resume FOLDER`` needs nothing else.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.config import Configuration
from napari_hush.errors import HushError, MissingFileError, UnreadableFileError
from napari_hush.lightning import refuse_if_interrupted, remove_checkpoint
from napari_hush.lightning.checkpoint import FILE
from napari_hush.system.atomic_write import make_folder, whole_file
from napari_hush.system.job_env import is_first

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = "command.json"
"""Name of the file that holds the command."""
_BYTES = 16 * 2**20
"""Size that a command does not have, with however many images it names."""
_SOURCES = ("train_source", "val_source", "train_target", "val_target")


@dataclass(frozen=True)
class Command:
    """One call of ``hush train``; paths are absolute.

    Attributes
    ----------
    configuration : Configuration
        All settings.
    sources : dict
        Images, by the names of the arguments of ``CAREamist.train``.
    output : Path
        Where the model goes.
    overwrite : bool
        Whether it may replace another.
    """

    configuration: Configuration
    sources: dict[str, Any]
    output: Path
    overwrite: bool

    @property
    def folder(self) -> Path:
        """Where the state of the run is kept: ``MODEL.run`` beside the model."""
        return self.output.with_suffix(".run")

    @property
    def logs(self) -> Path:
        """Where its losses are logged: ``MODEL.logs`` beside the model."""
        return self.output.with_suffix(".logs")


def begin(command: Command, *, overwrite: bool) -> None:
    """Keep `command` in its folder, as a whole or not at all.

    Raises
    ------
    ExistingFileError
        If a run was cut off there and `overwrite` is off.
    """
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
    """The command that was kept in `folder`.

    Raises
    ------
    MissingFileError
        If there is none.
    UnreadableFileError
        If the file is not what it should be.
    """
    path = folder / COMMAND
    if not path.is_file():
        raise MissingFileError(
            f"There is no run to go on with in {str(folder)!r} (no {COMMAND}); give the "
            "folder MODEL.run that hush train left beside the model's place."
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
            # The folder may have been moved since, and the model's place with it.
            output=folder.absolute().with_name(Path(values["output"]).name),
            overwrite=bool(values["overwrite"]),
        )
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UnreadableFileError(
            f"Cannot go on with the run in {str(folder)!r}: {COMMAND} is damaged "
            f"({type(error).__name__}); begin a new run."
        ) from error


@contextmanager
def kept(command: Command, *, is_new: bool) -> Iterator[tuple[Path | None, Path | None]]:
    """Keep the state while the model is trained and saved; then remove the folder.

    Of several processes that train together, only the first one removes anything.

    Parameters
    ----------
    command : Command
        What is carried out.
    is_new : bool
        Whether it has just begun; what lies in the folder is then of no concern.

    Yields
    ------
    state_dir, resume : Path or None
        What to pass to ``CAREamist.train``, one of the two.
    """
    folder = command.folder
    try:
        goes_on = not is_new and (folder / FILE).is_file()
        yield (None, folder) if goes_on else (folder, None)
    except HushError:
        if (
            is_first() and not (folder / FILE).is_file()
        ):  # nothing was trained that could go on
            _clear(folder)
        raise
    if is_first():
        _clear(folder)


def _paths(given: Any) -> list[str] | None:
    if given is not None and not isinstance(given, list):
        raise TypeError("paths come as a list")
    return None if given is None else [str(path) for path in given]


def _clear(folder: Path) -> None:
    remove_checkpoint(folder)
    (folder / COMMAND).unlink(missing_ok=True)
    with suppress(OSError):  # somebody may have put something else there
        folder.rmdir()
