"""Where results of files go: names that mirror the sources and never collide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_hush.errors import ConfigurationError, ExistingFileError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def plan_targets(
    files: Sequence[Path],
    roots: Sequence[Path],
    folder: Path,
    suffix: str,
    *,
    overwrite: bool,
) -> list[Path]:
    """Plan one result per file, in `folder`, before anything is computed.

    Parameters
    ----------
    files : sequence of Path
        What is denoised.
    roots : sequence of Path
        What was named: folders, whose inner folders are mirrored, or files.
    folder : Path
        Where results go.
    suffix : str
        Ending of the results, with its dot; replaces the last ending of the file's name.
    overwrite : bool
        Replace files that are there.

    Raises
    ------
    ConfigurationError
        If two results would have one name, or a result would replace its source.
    ExistingFileError
        If a result is there already and `overwrite` is off.
    """
    taken: dict[Path, Path] = {}
    for file in files:
        root = next(
            (r for r in roots if r.is_dir() and file.is_relative_to(r)), file.parent
        )
        inner = file.relative_to(root)
        target = folder / inner.with_name(f"{inner.stem}{suffix}")
        if target in taken:
            raise ConfigurationError(
                f"{str(taken[target])!r} and {str(file)!r} would both be written to "
                f"{str(target)!r}; denoise them into different folders."
            )
        if target.resolve() == file.resolve():
            raise ConfigurationError(
                f"The result of {str(file)!r} would replace it; give another folder."
            )
        if target.exists() and not overwrite:
            raise ExistingFileError(
                f"The file {str(target)!r} exists already; choose another folder or allow "
                "it to be replaced."
            )
        taken[target] = file
    return list(taken)
