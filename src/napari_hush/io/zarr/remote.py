"""Addresses of remote Zarr stores: ``https://``, ``s3://`` and ``gs://``.

`pathlib` joins slashes, so the Path of an address begins with ``https:``, like a folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_hush.errors import ConfigurationError
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
