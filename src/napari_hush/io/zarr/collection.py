"""Results of a plate, well or collection, in a store of the same structure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_hush.errors import ExistingFileError
from napari_hush.io.output import RECORD
from napari_hush.io.zarr.ome import LAYOUT, dicts, ome_attributes, paths
from napari_hush.io.zarr.store import (
    address_of,
    attributes_of,
    exists,
    is_group,
    members_of,
    opened,
    zarr_marks,
)
from napari_hush.system.atomic_write import make_folder, whole_file

_VERSION = "0.5"
_MARK = "zarr.json"


def place_in_store(image: Path) -> tuple[Path, Path]:
    """The outermost store around a group or an array, and its path in the store."""
    store = image
    if address_of(image) is None:
        while zarr_marks(store.parent):
            store = store.parent
    else:
        named = [p for p in image.parents if p.suffix.lower() == ".zarr"]
        store = named[-1] if named else image
    return store, image.relative_to(store)


def check_collection(store: Path) -> None:
    """Raise an ExistingFileError unless a store is new or has results of several images."""
    if not store.exists():
        return
    attributes: dict[str, Any] = {}
    if zarr_marks(store) and is_group(node := opened(store)):
        attributes = node.attrs.asdict()
    elif not any(store.iterdir()):
        return
    if RECORD not in attributes or "multiscales" in ome_attributes(attributes):
        raise ExistingFileError(
            f"{str(store)!r} already exists and has no results of several images; choose "
            "another name or folder, or move it away."
        )


class CollectedResults:
    """Writes the metadata of plates, wells and collections around results.

    They list the images that have a result, so the store is valid at any time, also while
    other processes add to it.
    """

    def __init__(self) -> None:
        self._sources: dict[Path, dict[str, Any]] = {}

    def add(self, image: Path, target: Path) -> None:
        """Update the groups around the result `target` of `image`, if it is in a store."""
        store, inner = place_in_store(image)
        depth = len(inner.parts)
        if not depth or target.parts[-depth:] != inner.parts or not exists(target):
            return
        found = opened(target).attrs.asdict().get(RECORD) or {}
        record = {RECORD: {**found, "source": {"name": store.name}}}
        for source, group in zip(
            [*image.parents][:depth], [*target.parents][:depth], strict=True
        ):
            marked = record if source == store else {}
            # Again if another process has added a result meanwhile.
            while _write(
                group, {**marked, **_known(group), **self._described(source, group)}
            ):
                pass

    def _described(self, source: Path, group: Path) -> dict[str, Any]:
        """Attributes of OME-Zarr of a group, with the results that are there."""
        known = self._attributes(source)
        ome: dict[str, Any] = {}
        if plate := dicts([known.get("plate")]):
            ome = _plate(plate[0], group)
        elif well := dicts([known.get("well")]):
            ome = _well(well[0], group)
        elif LAYOUT in known:
            about = source / "OME"
            named = self._attributes(about).get("series") if exists(about) else None
            series = named if isinstance(named, list) else [*members_of(group)]
            there = [name for name in series if isinstance(name, str)]
            there = [name for name in there if name != "OME" and exists(group / name)]
            make_folder(group / "OME")
            _write(group / "OME", _ome({"series": there}))
            ome = {LAYOUT: 3}
        return _ome(ome) if ome else {}

    def _attributes(self, group: Path) -> dict[str, Any]:
        if group not in self._sources:
            self._sources[group] = ome_attributes(attributes_of(group))
        return self._sources[group]


def _ome(known: dict[str, Any]) -> dict[str, Any]:
    return {"ome": {"version": _VERSION, **known}}


def _well(well: dict[str, Any], group: Path) -> dict[str, Any]:
    images = [
        {key: each[key] for key in ("path", "acquisition") if key in each}
        for each in dicts(well.get("images"))
        if isinstance(each.get("path"), str) and exists(group / each["path"])
    ]
    return {"well": {"images": images}} if images else {}


def _plate(plate: dict[str, Any], group: Path) -> dict[str, Any]:
    """Metadata of a plate with the wells that have a result."""
    rows, columns = (
        [str(each["name"]) for each in dicts(plate.get(key)) if "name" in each]
        for key in ("rows", "columns")
    )
    wells, most = [], 0
    for path in dict.fromkeys(paths(plate.get("wells"))):
        row, _, column = path.partition("/")
        fields = _known(group / path).get("ome", {}).get("well", {}).get("images", [])
        if not fields or not column:
            continue
        rows += [row] if row not in rows else []
        columns += [column] if column not in columns else []
        place = {"rowIndex": rows.index(row), "columnIndex": columns.index(column)}
        wells.append({"path": path, **place})
        most = max(most, len(fields))
    if not wells:
        return {}
    kept = {key: plate[key] for key in ("name", "acquisitions") if key in plate}
    return {
        "plate": {
            **kept,
            "rows": [{"name": name} for name in rows],
            "columns": [{"name": name} for name in columns],
            "wells": wells,
            "field_count": most,
        }
    }


def _known(group: Path) -> dict[str, Any]:
    """The attributes of a group of results; empty if it is not described yet."""
    try:
        attributes = json.loads((group / _MARK).read_bytes())["attributes"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return attributes if isinstance(attributes, dict) else {}


def _write(group: Path, attributes: dict[str, Any]) -> bool:
    """Write the metadata of a group; False if they are there already."""
    metadata = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    text = json.dumps(metadata, indent=2)
    mark = group / _MARK
    if mark.is_file() and mark.read_text() == text:
        return False
    with whole_file(mark) as part:
        part.write_text(text)
    return True
