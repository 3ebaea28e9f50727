"""From files to files: each image is denoised into a result of its own."""

from __future__ import annotations

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
    from collections.abc import Callable

    from napari_hush.events import OnProgress

_OF_ONE_FILE = (DataError, MissingFileError, UnreadableFileError)
"""What is wrong with a file need not be wrong with the next one."""


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
    """Denoise files one after the other, each into a file of its own.

    Parameters
    ----------
    denoise : callable
        Called as ``denoise(file, target, number, count)``: writes the result of a file,
        the one with that number (from 0) out of so many. False if it was asked to stop.
    source : str, Path, or list of them
        Files and folders; the folders in a folder are mirrored.
    output : Path
        Folder of the results, made if need be; for one file also the result itself, with
        the ending `suffix` (or another one of TIFF).
    data_type : {"tiff", "zarr", "custom"}
        Decides which files of a folder count.
    extension_filter : str
        For custom data: which file names count.
    suffix : str
        Ending of the results, with its dot.
    overwrite : bool
        Replace results that are there.
    resume : bool
        Leave results that are there as they are, and make those that are missing.
    on_progress : callable
        Gets a `FileWritten` for each result, a `FileKept` for each that was there, and a
        `FileFailed` for each file that cannot be denoised.
    rank, ranks : int
        Number of this process, and of how many: each denoises every so manieth file. One
        file is for all of them.

    Returns
    -------
    list of Path
        The results that are whole, in the order of the files.

    Raises
    ------
    SomeFilesFailedError
        At the end, if some of several files could not be denoised.
    HushError
        Before anything is computed: if arrays are given, names collide, a result would
        replace a source, or is there already. Later, if the only file cannot be denoised
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
    there: list[Path] = []
    failed: dict[Path, str] = {}
    for number in own:
        file, target = files[number], targets[number]
        if resume and target.exists():
            on_progress(FileKept(target))
            there.append(target)
            continue
        try:
            if not denoise(file, target, number, len(files)):
                return there
        except _OF_ONE_FILE as error:
            if len(files) == 1:
                raise
            failed[file] = str(error)
            on_progress(FileFailed(file, str(error)))
        else:
            there.append(target)
            on_progress(FileWritten(target))
    if failed:
        raise SomeFilesFailedError(failed, there)
    return there
