"""Files in a zip archive, read by name and never written to disk under it.

What an archive says of itself is checked before anything is unpacked: how many files it
holds, how large they become, and that their names stay inside.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Self

from napari_hush.io.memory import require_memory

if TYPE_CHECKING:
    from pathlib import Path

_FILES = 10_000
"""Files that an archive does not hold."""
_BYTES = 4 * 2**30
"""What the files of an archive of a model do not come to, unpacked."""
_RATIO = 1100
"""How many times smaller deflate makes anything at most is 1,032."""


class Archive:
    """The files of a zip archive in memory or on disk.

    Parameters
    ----------
    source : Path or bytes
        The archive.
    name : str
        What messages call it.

    Raises
    ------
    ValueError
        If it is no zip archive, or holds too much, or names that lead outside of it.
    OutOfMemoryError
        If there is less memory than its files take.
    """

    def __init__(self, source: Path | bytes, name: str) -> None:
        try:
            self._zip = zipfile.ZipFile(
                io.BytesIO(source) if isinstance(source, bytes) else source
            )
        except (zipfile.BadZipFile, OSError, NotImplementedError, UnicodeError) as error:
            raise ValueError(f"it is no zip archive: {error}") from error
        infos = self._zip.infolist()
        if len(infos) > _FILES:
            raise ValueError(f"it holds {len(infos)} files, more than {_FILES}")
        total = sum(info.file_size for info in infos)
        packed = sum(info.compress_size for info in infos)
        if total > _BYTES or total > _RATIO * packed + 2**20:
            raise ValueError(f"its files would take {total} bytes unpacked")
        require_memory(total, f"What {name} holds", "close other programs first")
        for info in infos:
            _check_name(info.filename)
        self.names = {info.filename for info in infos}
        if len(self.names) != len(infos):
            raise ValueError("it holds two files of one name")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()

    def read(self, name: str, *, sha256: str | None = None) -> bytes:
        """The content of one file.

        Raises
        ------
        ValueError
            If there is no such file, it is damaged, or is another one than `sha256` says.
        """
        if name not in self.names:
            raise ValueError(f"there is no {name!r} in it")
        try:
            content = self._zip.read(name)
        except (
            zipfile.BadZipFile,
            OSError,
            EOFError,
            NotImplementedError,
            RuntimeError,  # it wants a password
        ) as error:
            raise ValueError(f"{name!r} in it is damaged: {error}") from error
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256.lower():
            raise ValueError(f"{name!r} in it is not the file it was when it was packed")
        return content


def _check_name(name: str) -> None:
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise ValueError(f"the name {name!r} in it leads outside of it")
