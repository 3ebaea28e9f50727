"""Denoise files one after the other, each into its own file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from napari_hush.io import (
    ALL_IMAGES,
    FileImages,
    Selection,
    find_images,
    images_of,
    is_path,
    plan_targets,
)
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
    selection: Selection = ALL_IMAGES,
    suffix: str = ".tif",
    kept: Sequence[str] = (),
    overwrite: bool = False,
    resume: bool = False,
    on_progress: OnProgress,
    finish: Callable[[Path, Path], None] = lambda file, target: None,
) -> list[Path]:
    """Denoise files one after the other, each into its own file.

    ``denoise(file, target, index, num_files)`` writes the result of one file and returns
    False if it was stopped; ``finish(file, target)`` follows, also where a result is kept.
    `on_progress` gets a `FileWritten` for each result, a
    `FileKept` for each that existed, and a `FileFailed` for each file that cannot be
    denoised. Several files, or several images of one file, are divided among the processes
    of a job; a single image is for all of them. Everything else is documented at
    `CAREamist.predict_to_disk`.
    """
    if not is_path(source):
        raise SourceTypeError(
            "Arrays have no names to save results under; give files or folders, or use "
            "predict."
        )
    failed: dict[Path, str] = {}

    def fail(file: Path, error: Exception) -> None:
        failed[file] = str(error)
        on_progress(FileFailed(file, str(error)))

    found = find_images(source, data_type, extension_filter, exclude=[output])
    files, own = _shared_images(found.files, data_type, selection, fail)
    targets = plan_targets(
        files,
        found.folders,
        output,
        suffix,
        overwrite=overwrite,
        resume=resume,
        own=own,
        kept=kept,
    )
    complete: list[Path] = []
    for number in own:
        file, target = files[number], targets[number]
        if resume and target.exists():
            finish(file, target)
            on_progress(FileKept(target))
            complete.append(target)
            continue
        try:
            if not denoise(file, target, number, len(files)):
                return complete
            finish(file, target)
        except _OF_ONE_FILE as error:
            if len(files) == 1:
                raise
            fail(file, error)
        else:
            complete.append(target)
            on_progress(FileWritten(target))
    if failed:
        raise SomeFilesFailedError(failed, complete)
    return complete


def _shared_images(
    files: Sequence[Path],
    data_type: str,
    selection: Selection,
    fail: Callable[[Path, Exception], None],
) -> tuple[list[Path], Sequence[int]]:
    """The images of files, and the numbers of those that this process denoises.

    A process opens its own files only; those of others stand for their images. `fail` gets
    each file that cannot be read.
    """
    rank, ranks = job_env.rank(), job_env.count()
    if len(files) == 1:
        images = images_of(files[0], data_type, selection)
        _check_enough(len(images), "images", ranks)
        one = len(images) == 1
        return images, range(1) if one else range(rank, len(images), ranks)
    _check_enough(len(files), "files", ranks)
    held = FileImages(files)
    found: list[Path] = []
    own: list[int] = []
    for number, file in enumerate(files):
        if number % ranks != rank:
            found.append(file)
            continue
        try:
            images = held.of(file, data_type, selection)
        except _OF_ONE_FILE as error:
            fail(file, error)
            continue
        own += range(len(found), len(found) + len(images))
        found += images
    return found, own


def _check_enough(count: int, what: str, ranks: int) -> None:
    if 1 < count < ranks:
        raise ConfigurationError(
            f"There are {count} {what} but {ranks} processes share them, so some would "
            f"have nothing to do; use {count} processes or fewer."
        )
