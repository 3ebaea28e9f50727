"""Which files a path stands for."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from napari_hush.errors import MissingFileError, SourceTypeError

if TYPE_CHECKING:
    from collections.abc import Sequence

TIFF_PATTERN = "*.tif*"
ANY_PATTERN = "*.*"


def list_files(
    source: str | Path | Sequence[str | Path], data_type: str, extension_filter: str = ""
) -> list[Path]:
    """List the files that `source` stands for, sorted.

    Parameters
    ----------
    source : str, Path or sequence of them
        A file, a folder (searched with all folders in it), or several files.
    data_type : {"tiff", "custom"}
        Decides which names count: ``*.tif*``, or those that fit `extension_filter`.
    extension_filter : str
        A pattern such as ``"*.npy"``, for custom data; by default every name counts.

    Raises
    ------
    MissingFileError
        If a path does not exist.
    SourceTypeError
        If a folder holds no such file, or a file's name does not fit.
    """
    pattern = TIFF_PATTERN if data_type == "tiff" else extension_filter or ANY_PATTERN
    if not isinstance(source, str | Path):
        return [file for part in source for file in list_files(part, data_type, pattern)]
    path = Path(source)
    if not path.exists():
        raise MissingFileError(f"There is no file or folder {str(path)!r}; check the path.")
    if path.is_file():
        if not fnmatch(str(path.absolute()).lower(), pattern.lower()):
            raise SourceTypeError(
                f"The file {str(path)!r} does not fit {pattern!r}; give such a file or "
                "another data_type."
            )
        return [path]
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and fnmatch(file.name.lower(), pattern.lower())
    )
    if not files:
        raise SourceTypeError(
            f"The folder {str(path)!r} holds no file that fits {pattern!r}; give a "
            "folder that does, or another data_type."
        )
    return files
