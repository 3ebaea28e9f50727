"""Optional packages, imported on first use."""

from __future__ import annotations

import importlib
from typing import Any

from napari_hush.errors import HushError


def require(module: str, extra: str, purpose: str) -> Any:
    """Import a module of an optional dependency.

    Parameters
    ----------
    module : str
        Name to import, e.g. ``"zarr"``.
    extra : str
        The extra that installs it.
    purpose : str
        Begins the message, e.g. "Reading Zarr stores".

    Raises
    ------
    HushError
        If it is not installed; says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise HushError(
            f"{purpose} needs the package {module.partition('.')[0]!r}, which is not "
            f'installed; run: pip install "napari-hush[{extra}]"'
        ) from error
