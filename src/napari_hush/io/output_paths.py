"""Paths of results: same folders and names as the sources, without collisions."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path

from napari_hush.errors import ConfigurationError, ExistingFileError
from napari_hush.io.contents import file_of
from napari_hush.io.remote import refuse_address
from napari_hush.io.zarr_collection import check_collection, place_in_store
from napari_hush.io.zarr_store import is_array, zarr_marks

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
    folder. Images inside a Zarr store keep their place in it: ``plate.zarr/A/1/0`` is
    written to ``plate.zarr/A/1/0`` of the folder, to ``A/1/0`` of a store `output`, or to
    ``plate/A/1/0.tiff``. The `suffix` with its dot replaces that of the source. Existing
    results are replaced with `overwrite` and kept with `resume`. `own` are the numbers of
    the files that this process denoises, by default all; the results of other processes
    may exist.

    Raises
    ------
    ConfigurationError
        If two results would have one path, a result would replace a source, or `output` is
        an address.
    ExistingFileError
        If a result exists and neither `overwrite` nor `resume` is on, or a folder that is
        not a Zarr store is in its place.
    """
    refuse_address(output)
    places = [place_in_store(file) for file in files]
    if _is_result(output, suffix):
        one_store = suffix.lower() in _ZARR and len({store for store, _ in places}) == 1
        if len(files) > 1 and not one_store:
            raise ConfigurationError(
                f"{len(files)} images cannot go into the one file {str(output)!r}; give "
                "a folder instead."
            )
        targets = [output / inner if len(files) > 1 else output for _, inner in places]
    else:
        folders = [root for root in roots if root.is_dir()]
        targets = [
            _mirrored(file, place, folders, output, suffix)
            for file, place in zip(files, places, strict=True)
        ]
    sources = {
        place.resolve(): file
        for file, (store, _) in zip(files, places, strict=True)
        for place in (store, file_of(file))
    }
    holders = {folder: file for place, file in sources.items() for folder in place.parents}
    taken: dict[Path, Path] = {}
    for number, (file, target) in enumerate(zip(files, targets, strict=True)):
        if target in taken:
            raise ConfigurationError(
                f"{str(taken[target])!r} and {str(file)!r} would both be written to "
                f"{str(target)!r}; denoise them into different folders."
            )
        if (replaced := _harmed(target.resolve(), sources, holders)) is not None:
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
    _check_stores(places, taken)
    return list(taken)


def _check_stores(places: Sequence[tuple[Path, Path]], targets: Iterable[Path]) -> None:
    """Check that results of a plate or collection go into a new store, or their own."""
    stores = {
        target.parents[len(inner.parts) - 1]
        for (_, inner), target in zip(places, targets, strict=True)
        if inner.parts and target.parts[-len(inner.parts) :] == inner.parts
    }
    for store in stores:
        check_collection(store)


def _harmed(
    target: Path, sources: Mapping[Path, Path], holders: Mapping[Path, Path]
) -> Path | None:
    """The source that would be replaced, written into, or deleted with its store."""
    for place in (target, *target.parents):
        if place in sources:
            return sources[place]
    return holders.get(target)


def _is_result(output: Path, suffix: str) -> bool:
    kind = next((k for k in (_TIFF, _ZARR) if suffix.lower() in k), (suffix.lower(),))
    if not output.name.lower().endswith(kind):
        return False
    return kind == _ZARR or not output.is_dir()


def _mirrored(
    file: Path, place: tuple[Path, Path], roots: Sequence[Path], folder: Path, suffix: str
) -> Path:
    store, inner = place
    root = next((r for r in roots if store.is_relative_to(r) and r != store), store.parent)
    above = store.relative_to(root)
    if inner.parts and is_array(file):  # such as a resolution
        above = above.with_name("_".join((above.stem, *inner.parts)) + above.suffix)
        inner = Path()
    if inner.parts and suffix.lower() in _ZARR:
        return folder / above / inner
    stem = above.stem
    if inner.parts or suffix.lower().startswith(_OME):  # not twice
        stem = stem[: -len(_OME)] if stem.lower().endswith(_OME) else stem
    if inner.parts:
        return folder / above.with_name(stem) / inner.with_name(f"{inner.name}{suffix}")
    return folder / above.with_name(f"{stem}{suffix}")
