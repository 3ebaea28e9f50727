"""Denoise files one after the other, each into its own file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.errors import (
    ConfigurationError,
    DataError,
    MissingFileError,
    SomeFilesFailedError,
    SourceTypeError,
    UnreadableFileError,
)
from napari_hush.events import FileFailed, FileKept, FileWritten
from napari_hush.io import is_path, list_files, plan_targets

if TYPE_CHECKING:
    from napari_hush.events import OnProgress

_OF_ONE_FILE = (DataError, MissingFileError, UnreadableFileError)
"""Errors after which the next file may still be denoised."""


def predict_files(
    denoise: Callable[[Path, Path, int, int], bool],
    source: Any,
    output: Path,
    *,
    data_type: str,
    extension_filter: str = "",
    suffix: str = ".tiff",
    overwrite: bool = False,
    resume: bool = False,
    on_progress: OnProgress,
    rank: int = 0,
    ranks: int = 1,
) -> list[Path]:
    """Denoise files one after the other, each into its own file.

    Parameters
    ----------
    denoise : callable
        Called as ``denoise(file, target, index, num_files)``, writes the result of one
        file; returns False if it was stopped.
    source, data_type, extension_filter, overwrite, resume
        See `CAREamist.predict_to_disk`.
    output : Path
        Folder of the results, created if necessary; for one file also the result itself.
    suffix : str
        Ending of the results, with its dot.
    on_progress : callable
        Gets a `FileWritten` for each result, a `FileKept` for each that existed, and a
        `FileFailed` for each file that cannot be denoised.
    rank, ranks : int
        Number of this process and of all processes. Several files are divided among them;
        a single one is for all.

    Returns
    -------
    list of Path
        The complete results, in the order of the files.

    Raises
    ------
    SomeFilesFailedError
        At the end, if some of several files could not be denoised.
    HushError
        Before anything is computed: if arrays are given, names collide, a result would
        replace a source, or exists already. Later, if the only file cannot be denoised
        or a result cannot be written.
    """
    if not is_path(source):
        raise SourceTypeError(
            "Arrays have no names to save results under; give files or folders, or use "
            "predict."
        )
    roots = source if isinstance(source, list | tuple) else [source]
    files = list_files(source, data_type, extension_filter)
    if 1 < len(files) < ranks:
        raise ConfigurationError(
            f"There are {len(files)} files but {ranks} processes share them, so some would "
            f"have nothing to do; use {len(files)} processes or fewer."
        )
    own = range(len(files)) if len(files) == 1 else range(rank, len(files), ranks)
    targets = plan_targets(
        files,
        [Path(root) for root in roots],
        output,
        suffix,
        overwrite=overwrite,
        resume=resume,
        own=own,
    )
    complete: list[Path] = []
    failed: dict[Path, str] = {}
    for number in own:
        file, target = files[number], targets[number]
        if resume and target.exists():
            on_progress(FileKept(target))
            complete.append(target)
            continue
        try:
            if not denoise(file, target, number, len(files)):
                return complete
        except _OF_ONE_FILE as error:
            if len(files) == 1:
                raise
            failed[file] = str(error)
            on_progress(FileFailed(file, str(error)))
        else:
            complete.append(target)
            on_progress(FileWritten(target))
    if failed:
        raise SomeFilesFailedError(failed, complete)
    return complete
