"""Groups and arrays of Zarr stores, in a folder or at an address.

`pathlib` joins slashes, so the Path of an address begins with ``https:``, like a folder.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

from napari_hush.errors import (
    ConfigurationError,
    HushError,
    MissingFileError,
    UnreadableFileError,
)
from napari_hush.io.contents import check_inside, natural_order
from napari_hush.system.optional import require

_PACKAGES = {"http": "aiohttp", "https": "aiohttp", "s3": "s3fs", "gs": "gcsfs"}
"""By scheme, the package that reads from it."""


def address_of(path: Path) -> str | None:
    """The address that a path stands for; None for a path on this machine."""
    scheme, _, rest = path.as_posix().partition(":/")
    return f"{scheme}://{rest.lstrip('/')}" if scheme in _PACKAGES else None


def shown(path: Path) -> str:
    """A path or an address in quotes, for messages."""
    return repr(address_of(path) or str(path))


def refuse_address(output: Path) -> None:
    """Raise a ConfigurationError if a result would be written to an address."""
    if address_of(output) is not None:
        raise ConfigurationError(
            f"{shown(output)} is an address, which can only be read; write to a folder of "
            "this computer."
        )


def remote_store(address: str) -> Any:
    """The Zarr store of an address, for reading; a HushError if a package is missing."""
    zarr = require("zarr", "remote", "Reading Zarr stores")
    package = _PACKAGES[address.partition(":")[0]]
    for module in ("fsspec", package):
        require(module, "remote", f"Reading {address!r}")
    return zarr.storage.FsspecStore.from_url(address, read_only=True)


ZARR_MARKS = ("zarr.json", ".zarray", ".zgroup")
"""A Zarr group or array has one of these files."""
_METADATA_BYTES = 2**26
"""Larger metadata are damaged."""


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr store, group or array, as every address counts to be."""
    if os.path.isdir(path):
        return path.suffix.lower() == ".zarr" or bool(zarr_marks(path))
    return address_of(path) is not None


def zarr_marks(folder: Path) -> list[Path]:
    """The `ZARR_MARKS` that a folder has."""
    # Unlike Path.exists, this is False for names that no file can have.
    return [folder / mark for mark in ZARR_MARKS if os.path.exists(folder / mark)]


def zarr_module() -> Any:
    """The zarr package, or a HushError if it is not installed."""
    return require("zarr", "zarr", "Reading Zarr stores")


def attributes_of(path: Path) -> dict[str, Any]:
    """The attributes of a Zarr group or array."""
    return dict(opened(path).attrs.asdict())


def is_group(node: Any) -> bool:
    """Whether an object of zarr is a group, not an array."""
    return hasattr(node, "members")


def is_array(path: Path) -> bool:
    """Whether there is a Zarr array."""
    try:
        return exists(path) and not is_group(opened(path))
    except UnreadableFileError:  # reported when it is read
        return False


def within(path: Path, name: str) -> Path:
    """The folder of a member of a group, which must be inside the group."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in name or not parts.parts:
        raise UnreadableFileError(
            f"The metadata of {shown(path)} name {name!r:.80}, which lies outside of it; "
            "correct them, or choose the array itself."
        )
    return path / parts


def exists(path: Path) -> bool:
    """Whether there is a Zarr group or array."""
    if address_of(path) is None:
        return bool(zarr_marks(path))
    try:
        opened(path)
    except MissingFileError:
        return False
    return True


def opened(path: Path) -> Any:
    """Open a group or an array for reading; its attributes are a mapping."""
    zarr = zarr_module()
    address = address_of(path)
    try:
        if address is not None:
            return _sound(zarr.open(remote_store(address), mode="r"))
        _check_marks(path)
        from napari_hush.io.zarr.safety import InnerStore  # imports zarr

        return _sound(zarr.open(InnerStore(path, read_only=True), mode="r"))
    except (HushError, MemoryError):
        raise
    except Exception as error:  # damaged metadata raise many kinds
        if address is not None and isinstance(error, FileNotFoundError):
            raise MissingFileError(
                f"There is no Zarr group or array at {address!r}; check the address, or "
                "download the file if it is of another format."
            ) from error
        where = "replace it or leave it out"
        if address is not None:
            where = "check the address, the network, and that you may read it"
        reason = str(error) or type(error).__name__
        if "credentials" in reason:
            where = "sign in, or set FSSPEC_S3_ANON=true to read what is public"
        raise UnreadableFileError(
            f"{shown(path)} cannot be read as Zarr ({reason:.300}); {where}."
        ) from error


def _check_marks(path: Path) -> None:
    """Check that a folder has Zarr metadata of a usual size."""
    marks = zarr_marks(path)
    for mark in (*marks, path / ".zattrs", path / ".zmetadata"):
        if os.path.exists(mark) and mark.stat().st_size > _METADATA_BYTES:
            raise UnreadableFileError(
                f"{str(mark)!r} should be metadata but has {mark.stat().st_size} bytes; "
                "replace the store or leave it out."
            )
    if not marks:
        raise UnreadableFileError(
            f"{str(path)[:200]!r} has no Zarr metadata ({', '.join(ZARR_MARKS)}); replace "
            "it or leave it out."
        )
    root = path
    while zarr_marks(root.parent):
        root = root.parent
    check_inside(path, root)


def _sound(node: Any) -> Any:
    """A node with a mapping of attributes and chunks that are not empty, and bounded."""
    dict(node.attrs.asdict())  # raises several kinds where they are none
    if 0 in (getattr(node, "chunks", None) or ()) and 0 not in node.shape:
        raise ValueError(f"its chunks are {node.chunks}")
    if not is_group(node):
        from napari_hush.io.zarr.safety import bound_codecs  # imports zarr

        bound_codecs(node)
    return node


def members_of(path: Path, *, with_folders: bool = False) -> dict[str, Path]:
    """Groups and arrays (with other folders, if asked) in a group, in natural order."""
    found = [
        each
        for each in path.iterdir()
        if not each.name.startswith(".")
        and (exists(each) or (with_folders and each.is_dir()))
    ]
    return {each.name: each for each in sorted(found, key=natural_order)}


def has_chunks(folder: str | Path) -> bool:
    """Whether an array in a folder has any file besides its metadata."""
    with os.scandir(folder) as entries:
        return any(
            entry.is_file() or has_chunks(entry.path)
            for entry in entries
            if not entry.name.startswith(".") and entry.name != ZARR_MARKS[0]
        )
