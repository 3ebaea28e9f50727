"""Tasks that find files, check them against a model, and denoise them. No Qt here."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_hush.errors import (
    ConfigurationError,
    ExistingFileError,
    HushError,
    MissingFileError,
    SomeFilesFailedError,
    SourceTypeError,
    UnreadableFileError,
    UnwritableFileError,
)
from napari_hush.events import Event, FileFailed
from napari_hush.widgets.data.file_images import KINDS

if TYPE_CHECKING:
    from napari_hush.careamist.predicting import FileJob
    from napari_hush.events import OnProgress
    from napari_hush.models import Model
    from napari_hush.prediction import FilesPlan
    from napari_hush.widgets.jobs.tasks import StopRequest

_OF_ALL_FILES = (ConfigurationError, UnwritableFileError)


@dataclass(frozen=True)
class FilesFound(Event):
    """The images to denoise are found; each is checked or denoised next."""

    images: tuple[Path, ...]
    """References, such as ``run.czi#2``."""
    kept: Mapping[Path, Path] = field(default_factory=dict)
    """Those that are done, with their results."""
    failed: Mapping[Path, str] = field(default_factory=dict)
    """Files that cannot be read, with the reason."""
    warnings: tuple[str, ...] = ()
    """About files that are left out, and results that are kept."""


@dataclass(frozen=True)
class ImageChecked(Event):
    """An image was opened, without reading its pixels."""

    path: Path
    pixels: int = 0
    """Number of its pixels."""
    problem: str = ""
    """Why it cannot be denoised; empty if it can."""


@dataclass(frozen=True)
class FilesRequest:
    """Images on disk, a model, and how to write the results."""

    source: tuple[Path, ...]
    """Files, folders, patterns and addresses."""
    model: Model | Path | None
    """None if it is not chosen yet."""
    output: Path
    """Folder of the results."""
    axes: str = ""
    """Axes of the files; empty for those of the model."""
    selection: Mapping[str, int] = field(default_factory=dict)
    """Which image of each file: `series`, `scene` or `field`; empty for all."""
    kind: Literal["tiff", "zarr"] | None = None
    """Format of the results; None for that of the images where it can be written."""
    keep_type: bool = False
    """Whether results have the data type of the images instead of float32."""
    network_alone: bool = False
    """Whether results are the output of the network, without what is added to it."""
    replace: bool = False
    """Whether existing results are replaced instead of kept."""

    def found(
        self, report: OnProgress, should_stop: Callable[[], bool] = lambda: False
    ) -> list[tuple[FileJob, FilesPlan]]:
        """Find the images, which are reported, and load the model; a job per file type.

        Without a model the images are reported only. Raises a HushError, before the model
        is loaded where that is possible: if there are no images, or nothing can be written
        to the folder.
        """
        with _warnings() as warnings:
            sources = _by_type(self.source)
            _check_folder(self.output)
            jobs = self._jobs(sources, report, should_stop)
            plans = [plan for _, plan in jobs] or self._plans(sources)
        images, targets, failed = [], [], {}
        for plan in plans:
            images += plan.images
            targets += plan.targets
            failed.update(plan.failed)
        _refuse_collisions(images, targets)
        pairs = zip(images, targets, strict=True)
        keeps = jobs and not self.replace
        kept = {image: path for image, path in pairs if keeps and path.exists()}
        if kept and any(_has_others(job, plan) for job, plan in jobs):
            warnings.append(
                "Some of the files that are kept are not results of this model with these "
                "settings; choose “Replace” to denoise their images again."
            )
        if len(sources) > 1:  # those of one type are of another format for the others
            warnings = [one for one in warnings if "of another format" not in one]
        report(FilesFound(tuple(images), kept, failed, tuple(warnings)))
        return jobs

    def _jobs(
        self,
        sources: Mapping[str, list[Path]],
        report: OnProgress,
        should_stop: Callable[[], bool],
    ) -> list[tuple[FileJob, FilesPlan]]:
        if self.model is None:
            return []
        from napari_hush.careamist import CAREamist
        from napari_hush.careamist.predicting import file_job
        from napari_hush.prediction import ImageProgress

        engine, output = (
            CAREamist(source=self.model, enable_progress_bar=False),
            self.output.absolute(),
        )
        jobs = []
        for data_type, paths in sources.items():
            settings: Any = {
                "axes": self.axes or None,
                "data_type": data_type,
                "dtype": "source" if self.keep_type else "float32",
                "own_value": "off" if self.network_alone else "auto",
                **self.selection,
            }
            job = file_job(
                engine.config,
                engine.trained,
                paths,
                output,
                settings,
                ImageProgress(report, should_stop, check=True),
                kind=self.kind,
                overwrite=True,  # unfinished results of other models
            )
            jobs.append((job, job.plan(paths, output, resume=not self.replace)))
        return jobs

    def _plans(self, sources: Mapping[str, list[Path]]) -> list[FilesPlan]:
        """The images without a model, which decides the results."""
        from napari_hush.io import Selection
        from napari_hush.prediction import plan_files

        selection = Selection(**self.selection)
        return [
            plan_files(
                paths,
                self.output.absolute() / data_type,
                data_type=data_type,
                selection=selection,
                overwrite=True,
            )
            for data_type, paths in sources.items()
        ]

    def __str__(self) -> str:
        names = [path.name for path in self.source]
        return f"“{names[0]}”" if len(names) == 1 else f"{len(names)} files"


@dataclass(frozen=True)
class CheckingFiles:
    """Find the images and open each, without reading its pixels."""

    request: FilesRequest

    def __call__(self, report: OnProgress, stop: StopRequest) -> None:
        for job, plan in self.request.found(report):
            for image, target in zip(plan.images, plan.targets, strict=True):
                if stop.is_set():
                    return
                if not self.request.replace and target.exists():
                    continue
                try:
                    pixels = math.prod(job.open(image).axes.shape)
                except HushError as error:
                    report(ImageChecked(image, problem=str(error)))
                else:
                    report(ImageChecked(image, pixels))

    def __str__(self) -> str:
        return f"check of {self.request}"


@dataclass(frozen=True)
class DenoisingFiles:
    """Denoise all images; those that fail are reported, the others follow."""

    request: FilesRequest

    def __call__(self, report: OnProgress, stop: StopRequest) -> None:
        jobs = self.request.found(report, stop.is_set)
        for job, plan in jobs:
            try:
                job.run(plan, resume=not self.request.replace)
            except SomeFilesFailedError:
                continue
            except HushError as error:
                if len(plan.images) > 1 or isinstance(error, _OF_ALL_FILES):
                    raise
                report(FileFailed(plan.images[0], str(error)))
                if len(jobs) == 1:
                    raise
            if stop.is_set():
                return

    def __str__(self) -> str:
        return f"denoising of {self.request}"


def _by_type(source: Sequence[Path]) -> dict[str, list[Path]]:
    """Paths with images by data type; those of a folder may be of several types.

    Pictures beside images of other types are previews of them. Raises a HushError for a
    path that is missing or no image, and a folder without images.
    """
    from napari_hush.io import file_of, file_type
    from napari_hush.io.contents import has_wildcard
    from napari_hush.io.files.search import FileSearch
    from napari_hush.io.formats import format_of, is_result
    from napari_hush.io.zarr.store import address_of

    found: dict[str, list[Path]] = {}
    for path in source:
        file, kind = file_of(path), format_of(path)
        exists = file.exists() or address_of(path) is not None
        if not exists and has_wildcard(str(path)):
            kind = file_type(path, "tiff")
        elif not exists:
            raise MissingFileError(f"There is no file or folder “{path}”; check its name.")
        if kind is not None:
            found.setdefault(kind, []).append(path)
            continue
        if not file.is_dir():
            raise SourceTypeError(f"“{path.name}” is not an image; choose {KINDS} files.")
        search = FileSearch()
        search.add_below(path)
        if not any(search.formats.values()):
            raise SourceTypeError(
                f"There is no image in “{path.name}”; choose {KINDS} files."
            )
        kinds = [k for k, files in search.formats.items() if not all(map(is_result, files))]
        for kind in [k for k in kinds if k != "image"] or kinds or list(search.formats):
            found.setdefault(kind, []).append(path)
    return found


def _refuse_collisions(images: Sequence[Path], targets: Sequence[Path]) -> None:
    """Raise a ConfigurationError if images of two types would have one result."""
    taken: dict[Path, Path] = {}
    for image, target in zip(images, targets, strict=True):
        if (other := taken.setdefault(target, image)) != image:
            raise ConfigurationError(
                f"“{other.name}” and “{image.name}” would both be written to "
                f"“{target.name}”; denoise them into different folders."
            )


def _has_others(job: FileJob, plan: FilesPlan) -> bool:
    """Whether files of other models, settings or programs are in place of results."""
    try:
        job.refuse_others(plan)
    except (ExistingFileError, UnreadableFileError):
        return True
    return False


def _check_folder(output: Path) -> None:
    """Raise an UnwritableFileError if no results can be written to a folder."""
    if output.suffix:  # perhaps the result itself
        output = output.parent
    there = next(
        folder for folder in (output, *output.absolute().parents) if folder.exists()
    )
    if not there.is_dir():
        raise UnwritableFileError(f"“{there}” is a file; choose a folder for the results.")
    if not os.access(there, os.W_OK):
        raise UnwritableFileError(
            f"You may not write to “{there}”; choose another folder for the results."
        )


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """The warnings that this thread logs meanwhile."""
    import threading

    found: list[str] = []
    thread = threading.get_ident()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread:
                found.append(record.getMessage())

    logger, handler = logging.getLogger("napari_hush"), Handler(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


def default_folder(source: tuple[Any, ...]) -> Path | None:
    """The folder for results beside the source; None for addresses and whole disks."""
    from napari_hush.io.zarr.store import address_of

    first = Path(source[0])
    if address_of(first) is not None or not first.name:
        return None
    if len(source) == 1 and first.is_dir() and first.suffix.lower() != ".zarr":
        return first.with_name(f"{first.name} denoised")
    return first.parent / "denoised"
