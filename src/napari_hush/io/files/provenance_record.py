"""The provenance of a result, read back from its file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from tifffile import xml2dict

from napari_hush.errors import HushError
from napari_hush.io.output import RECORD
from napari_hush.io.tiff.pages import opened
from napari_hush.io.zarr.store import attributes_of, is_zarr

_LONGEST = 2**22
"""Longer texts are not records."""
_END = 2**16
"""Bytes at both ends of a TIFF file, where the metadata are."""
_CODES = ("utf-8", "utf-16-le", "utf-16-be")
_PARTS = ("source", "model", "software")


def read_record(path: str | Path) -> dict[str, Any] | None:
    """Read the provenance of the image in a TIFF file or Zarr store.

    Returns
    -------
    dict or None
        None if the file was not written by this package, or the record is damaged.

    Raises
    ------
    UnreadableFileError
        If the file cannot be read.
    """
    path = Path(path)
    if is_zarr(path):
        found = attributes_of(path).get(RECORD)
    else:
        with opened(path) as file:
            info = file.pages.first.shaped_description
            if file.is_ome:
                info = _description(file.ome_metadata or "")
            elif file.is_imagej:
                info = (file.imagej_metadata or {}).get("Info")
            found = _parsed(info)
    if not isinstance(found, dict):
        return None
    whole = all(isinstance(found.get(part), dict) for part in _PARTS)
    return found if whole else None


def is_result(path: Path) -> bool:
    """Whether this package wrote an image; of most others only both ends are read."""
    try:
        if path.is_dir():
            marks = (path / "zarr.json", path / ".zattrs")
            ends = b"".join(mark.read_bytes() for mark in marks if mark.is_file())
        else:
            with open(path, "rb") as file:
                ends = file.read(_END)
                file.seek(max(_END, os.fstat(file.fileno()).st_size - _END))
                ends += file.read()
        # ImageJ keeps texts in two bytes per letter.
        if not any(RECORD.encode(code) in ends for code in _CODES):
            return False
        return read_record(path) is not None
    except (OSError, HushError):  # opening it says why
        return False


def _description(xml: str) -> Any:
    """Description of the first image of an OME-TIFF file."""
    try:
        image = xml2dict(xml)["OME"]["Image"]
        return (image[0] if isinstance(image, list) else image)["Description"]
    except (KeyError, IndexError, TypeError, ParseError, RecursionError):
        return None


def _parsed(info: Any) -> Any:
    if not isinstance(info, str) or not info.startswith("{") or len(info) > _LONGEST:
        return None
    try:
        found = json.loads(info)
    except (ValueError, RecursionError):  # the info of another program
        return None
    return found.get(RECORD) if isinstance(found, dict) else None
