"""Paths of results: same folders and names as the sources, without collisions."""

from __future__ import annotations

import os
from collections.abc import Collection, Container, Iterable, Sequence
from functools import cache
from pathlib import Path
from unicodedata import normalize

from napari_hush.errors import ConfigurationError, ExistingFileError
from napari_hush.io.contents import file_of, split_ending, split_reference
from napari_hush.io.formats import format_of_name
from napari_hush.io.partial_output import journal_path
from napari_hush.io.zarr.collection import check_collection, place_in_store
from napari_hush.io.zarr.store import is_array, refuse_address, zarr_marks

_TIFF = (".tif", ".tiff")
_ZARR = (".zarr", ".ome.zarr")
KEPT_ENDINGS = {"tiff": (*_TIFF, ".ome.tif", ".ome.tiff"), "zarr": _ZARR}
"""Endings of sources that results of a kind have too."""

Place = tuple[Path, Path]
"""A file or store, and a path in the store."""


def plan_targets(
    files: Sequence[Path],
    roots: Sequence[Path],
    output: Path,
    suffix: str,
    *,
    overwrite: bool,
    resume: bool = False,
    own: Collection[int] | None = None,
    kept: Sequence[str] = (),
) -> list[Path]:
    """Plan one result per file before anything is computed.

    The folders of `files` below the `roots`, which were searched, are kept in the folder
    `output`. For one file `output` may also be the result itself, if it ends in `suffix`
    (``.tif`` and ``.tiff`` are equal, ``.zarr`` and ``.ome.zarr`` as well) and is not a
    folder. A result has the name of its source. The `suffix` with its dot replaces the
    ending, unless it is one of `kept`; image 2 of ``run.czi`` is ``run_series2.tif``. Where
    names would collide, the folders above are kept as well (``day1/a.tif``,
    ``day2/a.tif``), or the whole name (``a.lsm.tif`` beside ``a.tif``). Images inside a
    Zarr store keep their place in it: ``plate.zarr/A/1/0`` is written to
    ``plate.zarr/A/1/0`` of the folder, to ``A/1/0`` of a store `output`, or to
    ``plate/A/1/0.tif``.

    Existing results are replaced with `overwrite` and kept with `resume`, also those that
    version 0.1 named ``a.tiff`` for ``a.tif``. `own` are the numbers of the files that this
    process denoises, by default all; the results of other processes may exist.

    Raises
    ------
    ConfigurationError
        If two results would have one path, a result would replace a source, or `output` is
        an address or is named like an image of another kind.
    ExistingFileError
        If a result exists and neither `overwrite` nor `resume` is on, or a folder that is
        not a Zarr store is in its place.
    """
    refuse_address(output)
    places = [
        (file, Path()) if format_of_name(file.name) else place_in_store(file)
        for file in files
    ]
    if _is_result(output, suffix):
        one_store = suffix.lower() in _ZARR and len({store for store, _ in places}) == 1
        if len(files) > 1 and not one_store:
            raise ConfigurationError(
                f"{len(files)} images cannot go into the one file {str(output)!r}; give "
                "a folder instead."
            )
        targets = [output / inner if len(files) > 1 else output for _, inner in places]
    elif format_of_name(output.name) and not output.is_dir():
        raise ConfigurationError(
            f"Results cannot be written as {output.name!r}; give a folder, or a name that "
            f"ends in {suffix}."
        )
    else:
        targets = _mirrored(files, places, roots, output, suffix, kept)
        if kept:
            targets = _formerly_named(targets, suffix, resume=resume)
    sources = _Sources(files, places)
    taken: dict[str, Path] = {}
    for file, target, name in zip(files, targets, _comparable(targets), strict=True):
        if name in taken:
            raise ConfigurationError(
                f"{str(taken[name])!r} and {str(file)!r} would both be written to "
                f"{str(target)!r} (many disks take upper and lower case for the same); "
                "denoise them into different folders."
            )
        taken[name] = file
        if (replaced := sources.replaced_by(target)) is not None:
            raise _replaces(file, replaced)
    replaceable = overwrite or resume
    refused = set() if replaceable else set(range(len(targets)) if own is None else own)
    _check_existing(files, targets, refused)
    _check_stores(places, targets)
    return targets


def _replaces(file: Path, replaced: Path) -> ConfigurationError:
    it = "it" if replaced == file else repr(str(replaced))
    return ConfigurationError(
        f"The result of {str(file)!r} would replace {it}; give another folder."
    )


def _comparable(targets: Iterable[Path]) -> list[str]:
    """Paths in the form in which disks compare them that are not exact about letters."""
    return [normalize("NFC", str(target)).casefold() for target in targets]


def _check_existing(
    files: Sequence[Path], targets: Sequence[Path], refused: Container[int]
) -> None:
    """Refuse folders and hard links of sources in place of results.

    Also results that exist of numbers `refused`.
    """
    is_folder = cache(os.path.isdir)
    for number, (file, target) in enumerate(zip(files, targets, strict=True)):
        if not is_folder(os.path.dirname(target) or ".") or not os.path.exists(target):
            continue
        if os.path.exists(file_of(file)) and os.path.samefile(file_of(file), target):
            raise _replaces(file, file)
        if number in refused:
            raise ExistingFileError(
                f"The file {str(target)!r} already exists; choose another name or folder, "
                "replace it with overwrite=True (--overwrite), or keep it with resume=True "
                "(--resume)."
            )
        if target.is_dir() and not zarr_marks(target):
            raise ExistingFileError(
                f"{str(target)!r} is a folder of other files; choose another name."
            )


class _Sources:
    """The files and stores that are denoised, and the folders around them, by real path.

    Folders are looked up once, since there may be 100,000 files.
    """

    def __init__(self, files: Sequence[Path], places: Sequence[Place]) -> None:
        self._real_folder = cache(self._real)
        self._above = cache(self._at_or_above)
        self._at = {
            self._real(place): file
            for file, (store, _) in zip(files, places, strict=True)
            for place in {store, file_of(file)}
        }
        self._below: dict[str, Path] = {}
        for place, file in self._at.items():
            folder = os.path.dirname(place)
            while folder not in self._below:
                self._below[folder] = file
                folder = os.path.dirname(folder)

    def replaced_by(self, target: Path) -> Path | None:
        """The source that would be replaced, written into, or deleted with its store."""
        place = self._real(target)
        found = self._at.get(place) or self._above(os.path.dirname(place))
        return found or self._below.get(place)

    def _real(self, path: str | Path) -> str:
        folder, name = os.path.split(path)
        if name in ("", ".", ".."):
            return os.path.realpath(path)
        place = os.path.join(self._real_folder(folder), name)
        return os.path.realpath(place) if os.path.islink(place) else place

    def _at_or_above(self, folder: str) -> Path | None:
        above = os.path.dirname(folder)
        return self._at.get(folder) or (None if above == folder else self._above(above))


def _check_stores(places: Sequence[tuple[Path, Path]], targets: Iterable[Path]) -> None:
    """Check that results of a plate or collection go into a new store, or their own."""
    stores = {
        target.parents[len(inner.parts) - 1]
        for (_, inner), target in zip(places, targets, strict=True)
        if inner.parts and target.parts[-len(inner.parts) :] == inner.parts
    }
    for store in stores:
        check_collection(store)


def _is_result(output: Path, suffix: str) -> bool:
    kind = next((k for k in (_TIFF, _ZARR) if suffix.lower() in k), (suffix.lower(),))
    if not output.name.lower().endswith(kind):
        return False
    return kind == _ZARR or not output.is_dir()


def _mirrored(
    files: Sequence[Path],
    places: Sequence[Place],
    roots: Sequence[Path],
    output: Path,
    suffix: str,
    kept: Sequence[str],
) -> list[Path]:
    """Paths in the folder `output`, without collisions where possible."""
    folders = [root for root in roots if root.is_dir()]
    tries = []
    for whole_name in (False, True):
        for with_folders in (False, True):
            each: Sequence[Place] = places
            parents = folders
            if with_folders:
                each, parents = _with_folders(places, folders)
            targets = [
                output / _inner_path(file, place, parents, suffix, kept, whole_name)
                for file, place in zip(files, each, strict=True)
            ]
            if len({*_comparable(targets)}) == len(targets):
                return targets
            tries.append(targets)
    return tries[0]


def _with_folders(
    places: Sequence[Place], folders: list[Path]
) -> tuple[list[Place], list[Path]]:
    """The places with whole paths, and the folder that holds all of them."""
    whole = [(Path(os.path.abspath(store)), inner) for store, inner in places]
    try:
        return whole, [Path(os.path.commonpath([store.parent for store, _ in whole]))]
    except ValueError:  # no files, or other drives
        return whole, folders


def _inner_path(
    file: Path,
    place: Place,
    roots: Sequence[Path],
    suffix: str,
    kept: Sequence[str],
    whole_name: bool,
) -> Path:
    (store, number), inner = split_reference(place[0]), place[1]
    root = next((r for r in roots if store.is_relative_to(r) and r != store), store.parent)
    above = store.relative_to(root)
    stem, ending = split_ending(above.name)
    if inner.parts and is_array(file):  # such as a resolution
        stem, inner = "_".join((stem, *inner.parts)), Path()
    if inner.parts and suffix.lower() in _ZARR:
        return above / inner
    if inner.parts:
        return above.with_name(stem) / inner.with_name(f"{inner.name}{suffix}")
    if number is not None:
        stem += f"_series{number}"
    if ending.lower() in kept:
        suffix = ending
    elif whole_name:
        stem += ending
    return above.with_name(f"{stem}{suffix}")


def _formerly_named(targets: Sequence[Path], suffix: str, *, resume: bool) -> list[Path]:
    """The targets, of which those begun or done under their names of version 0.1 keep them.

    All of them were ``a.tiff`` or ``a.ome.zarr``.
    """
    found, all_targets = [], set(targets)
    for target in targets:
        former = target.with_suffix(".tiff")
        if suffix.lower() in _ZARR:
            former = target.with_name(f"{split_ending(target.name)[0]}.ome.zarr")
        begun = (resume and former.exists()) or journal_path(former).exists()
        is_former = begun and former not in all_targets and not target.exists()
        found.append(former if is_former else target)
    return found
