"""Search folders and patterns for files of a format."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path, PurePath

from napari_hush.errors import (
    HushError,
    MissingFileError,
    NoPermissionError,
    SourceTypeError,
    UnreadableFileError,
)
from napari_hush.io.contents import (
    file_of,
    has_wildcard,
    is_hidden,
    is_side_file,
    is_side_folder,
    listed,
    name_order,
    original_name,
    pattern_matcher,
    split_ending,
)
from napari_hush.io.formats import FORMATS, format_of, format_of_name, is_result
from napari_hush.io.zarr.store import address_of, is_zarr
from napari_hush.system.job_env import is_first

ANY_PATTERN = "*.*"
_LONGEST = 200
"""Letters of a path in a message."""
_log = logging.getLogger(__name__)

Entry = os.DirEntry[str] | Path
Matcher = Callable[[PurePath], bool]
Paths = str | Path | Sequence[str | Path]


class FileSearch:
    """Collects files of a type from paths, and those that it leaves out, by reason.

    `pattern` is that of custom data. Files at or in the paths of `exclude` are left out.
    Without a `data_type` it only sorts the images of a folder by format.
    """

    def __init__(
        self, data_type: str = "", pattern: str = "", exclude: Iterable[str | Path] = ()
    ) -> None:
        self.files: list[Path] = []
        self.folders: list[Path] = []
        """Folders that were searched."""
        self.formats: defaultdict[str, list[Path]] = defaultdict(list)
        self.others: list[Path] = []
        """Files that are no images, without a `data_type`."""
        self._data_type, self._pattern = data_type, pattern
        known = FORMATS.get(data_type)
        self._described = known.pattern if known else pattern or ANY_PATTERN
        self._matches = pattern_matcher(("**", *PurePath(self._described).parts))
        self._excluded = {os.path.realpath(path) for path in exclude}
        self._excluded_names = {os.path.basename(path) for path in self._excluded}
        self._given: set[Path] = set()  # not found in a folder
        self._skipped: defaultdict[str, list[Path]] = defaultdict(list)
        self._dangling: list[Path] = []

    def add_all(self, source: Paths) -> None:
        """Add the files of files, folders and patterns."""
        for path in [source] if isinstance(source, str | Path) else source:
            with readable(Path(path)):
                self._add(Path(path))

    def _add(self, path: Path) -> None:
        if address_of(path) is not None and self._data_type == "zarr":
            self._give(path)
            return
        file = file_of(path)
        try:
            mode = os.stat(file).st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            if not has_wildcard(str(path)):
                raise MissingFileError(_missing(path)) from error
            self._add_matching(path)
            return
        if stat.S_ISDIR(mode) and not format_of(path):
            self._add_folder(path)
            return
        known = FORMATS.get(self._data_type)
        if not (known.recognizes(path) if known else self._matches(file.absolute())):
            raise SourceTypeError(self._mismatch(path))
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise UnreadableFileError(
                f"{str(path)!r} is a pipe or device; save the image as a file."
            )
        self._give(path)

    def _mismatch(self, path: Path) -> str:
        """Why a file that was given is not taken, and what to do."""
        kind = format_of(path)
        if self._data_type not in FORMATS:
            does = f"does not match {self._described!r}"
            return f"The file {str(path)!r} {does}; choose a matching file."
        if kind is None:
            return (
                f"{str(path)!r} does not have the ending of an image that napari-hush "
                "reads; give TIFF, Zarr, PNG, JPEG, CZI, ND2 or LIF."
            )
        return (
            f"{str(path)!r} is of type {kind!r}, but the data type, or the first image, "
            f"is {self._data_type!r}; give images of one type."
        )

    def _give(self, path: Path) -> None:
        self.files.append(path)
        self._given.add(path)

    def _add_matching(self, pattern: Path) -> None:
        count = len(self.files)
        found, rest = expanded(pattern)
        for path in found:
            if rest:
                self.add_below(path, pattern_matcher((*rest, "**")))
            elif os.path.isdir(path) and not format_of(path):
                self._add_folder(path)
            else:
                before = len(self.files)
                self._visit(path, path.parent)
                self._given.update(self.files[before:])
        self._refuse_dangling()
        if not found or (rest and len(self.files) == count):
            raise MissingFileError(
                f"No file or folder matches {str(pattern)!r}; check the pattern."
            )
        if len(self.files) == count:
            raise SourceTypeError(
                f"None of the {len(found)} files that match {str(pattern)!r} matches "
                f"{self._described!r}{self._left_out}; check the pattern."
            )

    def _add_folder(self, folder: Path) -> None:
        count = len(self.files)
        self.add_below(folder)
        if len(self.files) == count:
            raise SourceTypeError(
                f"The folder {str(folder)!r} has no file that matches {self._described!r}"
                f"{self._left_out}; choose another folder or another type of data."
            )

    def add_below(self, root: Path, matches: Matcher | None = None) -> None:
        """Add the files below a folder; links are followed, each folder once."""
        self.folders.append(root)
        seen: set[str] = set()
        levels = [_entries(root, seen)]
        while levels:
            entry = next(levels[-1], None)
            if entry is None:
                levels.pop()
            elif self._visit(entry, root, matches):
                levels.append(_entries(entry, seen))
        self._refuse_dangling()

    def _visit(self, entry: Entry, root: Path, matches: Matcher | None = None) -> bool:
        """Add a file, or leave it out; True for a folder that is to be searched."""
        name = entry.name
        if is_hidden(name) or self._is_excluded(entry):
            return False
        is_folder, path = _is_folder(entry), Path(entry)
        kind = format_of(path) if is_folder else format_of_name(name)
        if is_folder and kind is None:
            return not is_side_folder(name)
        if matches is not None and not matches(path.relative_to(root)):
            return False
        if not self._data_type:
            if kind is not None:
                self.formats[kind].append(path)
            elif not is_side_file(name):
                self.others.append(path)
        elif self._takes(path, kind, root):
            self._check(entry, path)
        elif (original := original_name(name)) and self._takes(
            path.with_name(original), format_of_name(original), root
        ):
            self._skipped["unfinished or backup"].append(path)
        elif kind is not None and self._data_type in FORMATS:
            self._skipped["of another format"].append(path)
        elif not split_ending(name)[1] and not os.path.exists(path):
            self._dangling.append(path)  # perhaps to a folder
        return False

    def _is_excluded(self, entry: Entry) -> bool:
        known = entry.name in self._excluded_names
        return known and os.path.realpath(entry) in self._excluded

    def _takes(self, path: Path, kind: str | None, root: Path) -> bool:
        if self._data_type in FORMATS:
            return kind == self._data_type
        if is_side_file(path.name) and not self._pattern:
            return False
        return self._matches(path.relative_to(root))

    def _check(self, entry: Entry, path: Path) -> None:
        """Add a file whose name fits."""
        try:
            status = entry.stat()
        except OSError as error:
            found = _named(error, path)
            if not isinstance(found, MissingFileError):
                raise found from error
            self._dangling.append(path)
            return
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            self._skipped["pipe or device"].append(path)
        elif not status.st_size and stat.S_ISREG(status.st_mode):
            self._skipped["empty"].append(path)
        else:
            self.files.append(path)

    def _refuse_dangling(self) -> None:
        if links := self._dangling:
            are = "is a link to a file" if len(links) == 1 else "are links to files"
            raise MissingFileError(
                f"{listed(links)} {are} that cannot be found; bring the files back, or "
                "delete the links."
            )

    def is_own_result(self, file: Path) -> bool:
        """Whether a file was found in a folder and is a result of this package."""
        return file not in self._given and is_result(file)

    def leave_out_results(self) -> None:
        """Leave out the results of this package that were found in folders."""
        results = [file for file in self.files if self.is_own_result(file)]
        if not results:
            return
        left = set(self.files) - set(results)
        if not left:
            pattern = self.folders[0] / f"*{split_ending(results[0].name)[1]}"
            raise SourceTypeError(
                f"{listed(results)} in {str(self.folders[0])!r} are results of "
                f"napari-hush; to use them all the same, give their names, for example "
                f"{str(pattern)!r}."
            )
        self._skipped["results of napari-hush"] = results
        self.files = [file for file in self.files if file in left]

    def report(self) -> None:
        """Log a warning about files that were left out."""
        if self._skipped and is_first():
            count = sum(map(len, self._skipped.values()))
            which = "1 file was" if count == 1 else f"{count} files were"
            _log.warning("%s skipped: %s.", which, self._reasons)

    @property
    def _reasons(self) -> str:
        return ", ".join(
            f"{len(files)} {why} ({listed(map(self._brief, files))})"
            for why, files in self._skipped.items()
        )

    def _brief(self, path: Path) -> Path:
        inside = (root for root in self.folders if path.is_relative_to(root))
        return next((path.relative_to(root.parent) for root in inside), path)

    @property
    def _left_out(self) -> str:
        return f" (skipped: {self._reasons})" if self._skipped else ""


def _is_folder(entry: Entry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def _entries(folder: Entry, seen: set[str]) -> Iterator[os.DirEntry[str]]:
    """The entries of a folder in natural order; none if it was `seen`."""
    real = os.path.realpath(folder)
    if real in seen:
        return iter(())
    seen.add(real)
    with readable(folder), os.scandir(folder) as entries:
        return iter(sorted(entries, key=lambda entry: name_order(entry.name)))


def expanded(pattern: Path) -> tuple[list[Path], tuple[str, ...]]:
    """The paths that match a pattern up to the first ``**``, and its parts from there."""
    found = [Path(pattern.anchor)]
    parts = pattern.relative_to(pattern.anchor).parts
    for number, part in enumerate(parts):
        if part == "**":
            return [path for path in found if os.path.isdir(path)], parts[number:]
        found = [path for folder in found for path in _matching(folder, part)]
    return found, ()


def _matching(folder: Path, part: str) -> list[Path]:
    if os.path.lexists(folder / part):  # no pattern, whatever its letters
        return [folder / part]
    if not has_wildcard(part) or not os.path.isdir(folder):
        return []
    names = (entry.name for entry in _entries(folder, set()))
    return [
        folder / name
        for name in names
        if fnmatch(name, part) and (part.startswith(".") or not is_hidden(name))
    ]


@contextmanager
def readable(path: os.PathLike[str]) -> Iterator[None]:
    """Turn errors of the system into those that name a file or folder."""
    try:
        yield
    except HushError:
        raise
    except OSError as error:
        raise _named(error, path) from error


def _named(error: OSError, path: os.PathLike[str]) -> HushError:
    name, why = repr(os.fspath(path)[:_LONGEST]), error.strerror or error
    if error.errno in (errno.EACCES, errno.EPERM):
        return NoPermissionError(
            f"You may not read {name} (permission denied); ask for access, or choose "
            "another file or folder."
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP):
        return MissingFileError(
            f"There is no file or folder {name} ({why}); check the path."
        )
    return UnreadableFileError(
        f"{name} cannot be read ({why}); check the disk or the network."
    )


def _missing(path: Path) -> str:
    if os.path.islink(path):
        return (
            f"{str(path)!r} is a link to a file that cannot be found; bring the file back, "
            "or give another one."
        )
    store = next((parent for parent in path.parents if is_zarr(parent)), None)
    if store is None:
        return f"There is no file or folder {str(path)!r}; check the path."
    parts = sorted((c.name for c in store.iterdir() if is_zarr(c)), key=name_order)
    found = ", ".join(map(repr, parts[:8])) or "nothing"
    return (
        f"There is no {path.relative_to(store).as_posix()!r} in {str(store)!r}, which "
        f"contains {found}; check the path."
    )
