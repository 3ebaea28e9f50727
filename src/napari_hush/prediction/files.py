"""Denoise files one after the other, each into its own file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_hush.errors import (
    ConfigurationError,
    DataError,
    ExistingFileError,
    HushError,
    LostProcessError,
    MissingFileError,
    SomeFilesFailedError,
    SourceTypeError,
    UnreadableFileError,
    UnwritableFileError,
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
    read_record,
)
from napari_hush.system import job_env

if TYPE_CHECKING:
    from napari_hush.events import OnProgress

_OF_ONE_FILE = (DataError, MissingFileError, UnreadableFileError)
"""Errors of a file that cannot be opened, after which the next may be opened."""
_OF_ALL_FILES = (ConfigurationError, UnwritableFileError, LostProcessError)
"""Errors that the next file would meet as well."""


class FilesPlan(NamedTuple):
    """The images of some files, and where their results go."""

    images: list[Path]
    """References of all images; files of other processes stand for theirs."""
    targets: list[Path]
    """Their results."""
    own: Sequence[int]
    """Numbers of the images that this process denoises."""
    failed: dict[Path, str]
    """Files that cannot be read, with the reason."""


def plan_files(
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
) -> FilesPlan:
    """Find the images to denoise and plan their results; reads no pixels.

    Several files, or several images of one file, are divided among the processes of a job.
    Everything else is documented at `CAREamist.predict_to_disk`.
    """
    if not is_path(source):
        raise SourceTypeError(
            "Arrays have no names to save results under; give files or folders, or use "
            "predict."
        )
    failed: dict[Path, str] = {}
    found = find_images(source, data_type, extension_filter, exclude=[output])
    images, own = _shared_images(found.files, data_type, selection, failed)
    targets = plan_targets(
        images,
        found.folders,
        output,
        suffix,
        overwrite=overwrite,
        resume=resume,
        own=own,
        kept=kept,
    )
    return FilesPlan(images, targets, own, failed)


def predict_files(
    denoise: Callable[[Path, Path, int, int], bool],
    plan: FilesPlan,
    *,
    resume: bool = False,
    on_progress: OnProgress,
    finish: Callable[[Path, Path], None] = lambda file, target: None,
) -> list[Path]:
    """Denoise the images of a plan one after the other, each into its own file.

    ``denoise(image, target, index, num_images)`` writes one result and returns False if it
    was stopped; ``finish(image, target)`` follows, also where a result is kept, with
    `resume`. `on_progress` gets a `FileWritten` for each result, a `FileKept` for each
    that existed, and a `FileFailed` for each file that cannot be denoised.

    Returns the complete results. Raises a SomeFilesFailedError at the end if some of
    several failed, and the error itself of a single image.
    """
    images, targets, own, unreadable = plan
    failed = dict(unreadable)
    for file, reason in unreadable.items():
        on_progress(FileFailed(file, reason))
    complete: list[Path] = []
    for number in own:
        image, target = images[number], targets[number]
        if resume and target.exists():
            finish(image, target)
            on_progress(FileKept(target, image))
            complete.append(target)
            continue
        try:
            if not denoise(image, target, number, len(images)):
                return complete
            finish(image, target)
        except HushError as error:
            if len(images) == 1 or isinstance(error, _OF_ALL_FILES):
                raise
            failed[image] = str(error)
            on_progress(FileFailed(image, str(error)))
        else:
            complete.append(target)
            on_progress(FileWritten(target, image))
    if failed:
        raise SomeFilesFailedError(failed, complete)
    return complete


def _shared_images(
    files: Sequence[Path],
    data_type: str,
    selection: Selection,
    failed: dict[Path, str],
) -> tuple[list[Path], Sequence[int]]:
    """The images of files, and the numbers of those that this process denoises.

    A process opens its own files only; those of others stand for their images. Files that
    cannot be read are added to `failed`.
    """
    rank, ranks = job_env.rank(), job_env.count()
    if len(files) == 1:
        images = images_of(files[0], data_type, selection)
        _check_enough(len(images), "images", ranks)
        return images, range(rank, len(images), ranks)
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
        except _OF_ONE_FILE as error:  # not a missing package, which all of them need
            failed[file] = str(error)
            continue
        own += range(len(found), len(found) + len(images))
        found += images
    return found, own


def _check_enough(count: int, what: str, ranks: int) -> None:
    if count == 1 < ranks:
        raise ConfigurationError(
            f"One image cannot be divided among the {ranks} processes of this job; start "
            "one process, which shares the work with Dask workers (--dask, or client in "
            "Python)."
        )
    if 1 < count < ranks:
        raise ConfigurationError(
            f"There are {count} {what} but {ranks} processes share them, so some would "
            f"have nothing to do; use {count} processes or fewer."
        )


def refuse_other_results(targets: Iterable[Path], **wanted: Any) -> None:
    """Raise an ExistingFileError if a result was not made with the `wanted` values.

    These are the hash of the ``model``, or a tuple of hashes, and settings that decide
    pixels; None, or a ``precision`` of "auto", stands for any.
    """
    for target in filter(Path.exists, targets):
        record = read_record(target) or {"model": {}}
        made = {"tta": 1, "dtype": "float32", **record.get("settings", {})}
        made["tta"] = 8 if made["tta"] is True else int(made["tta"])
        made["model"] = record["model"].get("sha256", "")
        made["precision"] = record.get("precision")
        improved = any(
            record["model"].get(name) for name in ("own_value", "built_in_share")
        )
        made["own_value"] = improved and made.get("own_value") != "off"
        other = [
            name
            for name, value in wanted.items()
            if value not in (None, "auto", made.get(name))
            and made.get(name) is not None
            and not (isinstance(value, tuple) and made[name] in value)
        ]
        if other:
            raise ExistingFileError(
                f"{str(target)!r} already exists but was not made with this "
                f"{' and '.join(other)}; choose another folder, or replace it with "
                "overwrite=True (--overwrite)."
            )
