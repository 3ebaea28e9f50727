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
from napari_hush.system import job_env

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
) -> list[Path]:
    """Denoise files one after the other, each into its own file.

    ``denoise(file, target, index, num_files)`` writes the result of one file and returns
    False if it was stopped. `on_progress` gets a `FileWritten` for each result, a
    `FileKept` for each that existed, and a `FileFailed` for each file that cannot be
    denoised. Several files are divided among the processes of a job; a single one is for
    all of them. Everything else is documented at `CAREamist.predict_to_disk`.
    """
    if not is_path(source):
        raise SourceTypeError(
            "Arrays have no names to save results under; give files or folders, or use "
            "predict."
        )
    roots = source if isinstance(source, list | tuple) else [source]
    files = list_files(source, data_type, extension_filter)
    rank, ranks = job_env.rank(), job_env.count()
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
