"""Paths of results: same folders and names as the sources, without collisions."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from napari_hush.errors import ConfigurationError, ExistingFileError
from napari_hush.io.contents import file_of
from napari_hush.io.zarr_store import zarr_marks

_TIFF = (".tif", ".tiff")
_ZARR = (".zarr", ".ome.zarr")
_OME = ".ome"


def plan_targets(
    files: Sequence[Path],
    roots: Sequence[Path],
    output: Path,
    suffix: str,
    *,
    overwrite: bool,
    resume: bool = False,
    own: Container[int] | None = None,
) -> list[Path]:
    """Plan one result per file before anything is computed.

    The folders of `files` below the `roots`, which the user gave, are kept in the folder
    `output`. For one file `output` may also be the result itself, if it ends in `suffix`
    (``.tif`` and ``.tiff`` are equal, ``.zarr`` and ``.ome.zarr`` as well) and is not a
    folder. The `suffix` with its dot replaces that of the source. Existing results are
    replaced with `overwrite` and kept with `resume`. `own` are the numbers of the files
    that this process denoises, by default all; the results of other processes may exist.

    Raises
    ------
    ConfigurationError
        If two results would have one path, or a result would replace a source.
    ExistingFileError
        If a result exists and neither `overwrite` nor `resume` is on, or a folder that is
        not a Zarr store is in its place.
    """
    if _is_result(output, suffix):
        if len(files) > 1:
            raise ConfigurationError(
                f"{len(files)} images cannot go into the one file {str(output)!r}; give "
                "a folder instead."
            )
        targets = [output] * len(files)
    else:
        targets = [_mirrored(file, roots, output, suffix) for file in files]
    sources = {file_of(file).resolve(): file for file in files}
    taken: dict[Path, Path] = {}
    for number, (file, target) in enumerate(zip(files, targets, strict=True)):
        if target in taken:
            raise ConfigurationError(
                f"{str(taken[target])!r} and {str(file)!r} would both be written to "
                f"{str(target)!r}; denoise them into different folders."
            )
        if (replaced := _harmed(target.resolve(), sources)) is not None:
            it = "it" if replaced == file else repr(str(replaced))
            raise ConfigurationError(
                f"The result of {str(file)!r} would replace {it}; give another folder."
            )
        mine = own is None or number in own
        if mine and target.exists() and not (overwrite or resume):
            raise ExistingFileError(
                f"The file {str(target)!r} exists already; choose another name or folder, "
                "or use the option overwrite to replace it or resume to keep it."
            )
        if target.is_dir() and not zarr_marks(target):
            raise ExistingFileError(
                f"{str(target)!r} is a folder of other files; choose another name."
            )
        taken[target] = file
    return list(taken)


def _harmed(target: Path, sources: Mapping[Path, Path]) -> Path | None:
    """The source that would be replaced, written into, or deleted with its store."""
    for place in (target, *target.parents):
        if place in sources:
            return sources[place]
    return next((file for known, file in sources.items() if target in known.parents), None)


def _is_result(output: Path, suffix: str) -> bool:
    kind = next((k for k in (_TIFF, _ZARR) if suffix.lower() in k), (suffix.lower(),))
    if not output.name.lower().endswith(kind):
        return False
    return kind == _ZARR or not output.is_dir()


def _mirrored(file: Path, roots: Sequence[Path], folder: Path, suffix: str) -> Path:
    root = next((r for r in roots if r.is_dir() and file.is_relative_to(r)), file.parent)
    inner = file.relative_to(root if root != file else file.parent)
    stem = inner.stem
    if suffix.lower().startswith(_OME):  # not twice
        stem = stem[: -len(_OME)] if stem.lower().endswith(_OME) else stem
    return folder / inner.with_name(f"{stem}{suffix}")
