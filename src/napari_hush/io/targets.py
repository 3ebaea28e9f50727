"""Where results of files go: names that mirror the sources and never collide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_hush.errors import ConfigurationError, ExistingFileError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


_TIFF = (".tif", ".tiff")


def plan_targets(
    files: Sequence[Path],
    roots: Sequence[Path],
    output: Path,
    suffix: str,
    *,
    overwrite: bool,
) -> list[Path]:
    """Plan one result per file before anything is computed.

    Parameters
    ----------
    files : sequence of Path
        What is denoised.
    roots : sequence of Path
        What was named: folders, whose inner folders are mirrored, or files.
    output : Path
        Folder of the results; for one file also the result itself, if it ends in `suffix`
        (``.tif`` and ``.tiff`` are the same) and is no folder yet.
    suffix : str
        Ending of the results, with its dot; replaces the last ending of the file's name.
    overwrite : bool
        Replace files that are there.

    Raises
    ------
    ConfigurationError
        If two results would have one name, several would go into one file, or a result
        would replace a source.
    ExistingFileError
        If a result is there already and `overwrite` is off.
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
    sources = {file.resolve(): file for file in files}
    taken: dict[Path, Path] = {}
    for file, target in zip(files, targets, strict=True):
        if target in taken:
            raise ConfigurationError(
                f"{str(taken[target])!r} and {str(file)!r} would both be written to "
                f"{str(target)!r}; denoise them into different folders."
            )
        if (replaced := sources.get(target.resolve())) is not None:
            it = "it" if replaced == file else repr(str(replaced))
            raise ConfigurationError(
                f"The result of {str(file)!r} would replace {it}; give another folder."
            )
        if target.exists() and not overwrite:
            raise ExistingFileError(
                f"The file {str(target)!r} exists already; choose another name or folder, "
                "or allow it to be replaced (overwrite)."
            )
        taken[target] = file
    return list(taken)


def _is_result(output: Path, suffix: str) -> bool:
    endings = _TIFF if suffix.lower() in _TIFF else (suffix.lower(),)
    return output.suffix.lower() in endings and not output.is_dir()


def _mirrored(file: Path, roots: Sequence[Path], folder: Path, suffix: str) -> Path:
    root = next((r for r in roots if r.is_dir() and file.is_relative_to(r)), file.parent)
    inner = file.relative_to(root if root != file else file.parent)
    return folder / inner.with_name(f"{inner.stem}{suffix}")
