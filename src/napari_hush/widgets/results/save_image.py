"""Saving of a result: the dialog for the file, and the task that writes it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_hush import io
from napari_hush.events import TilesDone
from napari_hush.io.metadata import ImageMetadata
from napari_hush.io.zarr.store import is_zarr
from napari_hush.widgets.data.layers import (
    FILE,
    engine_axes,
    fitted_axes,
    infer_axes,
    pixel_shape,
    source_of,
)
from napari_hush.widgets.data.training_data import whole_of
from napari_hush.widgets.notifications import confirm, notify
from napari_hush.widgets.results.pairing import is_partial, remembered
from napari_hush.widgets.user_settings import folder_beside, load_setting, save_setting

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_hush.events import OnProgress
    from napari_hush.widgets.jobs.tasks import StopRequest

FILTERS = {
    "TIFF, with ImageJ metadata where possible (*.tif *.tiff)": ".tif",
    "OME-TIFF (*.ome.tif *.ome.tiff)": ".ome.tif",
    "OME-Zarr (*.ome.zarr *.zarr)": ".ome.zarr",
}
"""Suffix by filter of the dialog."""
_SUFFIXES = (".ome.tif", ".ome.tiff", ".ome.zarr", ".tif", ".tiff", ".zarr")
_FOLDER = "image_folder"
"""Setting with the folder for results of layers without a file."""


@dataclass(frozen=True, eq=False)
class SavingImage:
    """Write a layer to `path`; returns the message at the end."""

    pixels: Any
    """Without alpha; they may be on disk."""
    axes: str
    """Axes of the layer, as from `infer_axes`."""
    metadata: ImageMetadata
    record: dict[str, Any] | None
    """Provenance."""
    path: Path
    colors: bool = False
    note: str = ""
    """Information that the file lacks, to add to the message."""

    @classmethod
    def of(cls, layer: Image, path: Path) -> SavingImage:
        """The task that saves the result `layer`."""
        known = remembered(layer)
        record = dict(known.get("provenance") or {})
        own = (record.get("source") or {}).get("axes", "")
        axes = fitted_axes(own, pixel_shape(layer)) if own else infer_axes(layer)
        if len(axes) != len(pixel_shape(layer)):
            axes = infer_axes(layer)
        notes = []
        if is_partial(layer):
            notes.append("only a part of it is denoised")
            record["partial"] = True
        if layer.rgb and source_of(layer).shape[-1] == 4:
            notes.append("its alpha channel is left out")
        return cls(
            whole_of(layer),
            axes,
            layer_metadata(layer, axes),
            record or None,
            path,
            bool(layer.rgb),
            "; " + " and ".join(notes) if notes else "",
        )

    def __call__(self, report: OnProgress, stop: StopRequest) -> str:
        image = io.Image.from_array(self.pixels, engine_axes(self.axes), "the result")
        done = io.write_image(
            self.path,
            replace(image, metadata=self.metadata),
            record=self.record,
            colors=self.colors,
            overwrite=True,  # the dialog has asked
            on_progress=lambda done, total: report(TilesDone(done, total, ())),
            should_stop=stop.is_set,
        )
        if not done:
            return f"Cancelled; “{self.path.name}” is not written."
        return f"Saved the image as “{self.path.name}”{self.note}."

    def __str__(self) -> str:
        return f"saving of {self.path.name}"


def layer_metadata(layer: Image, axes: str) -> ImageMetadata:
    """Pixel sizes, time step, units, position and channel names of `layer`.

    They are those of the layer, and where its scale is 1 without a unit, those of its file.
    """
    file = layer.metadata.get(FILE, ImageMetadata())
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    position: dict[str, float] = {}
    steps = zip(axes, layer.scale, layer.units, layer.translate, strict=False)
    for axis, size, unit, place in steps:
        if axis not in "TZYX":
            continue
        if str(unit) != "pixel" or size != 1:
            scale[axis] = float(size)
            units[axis] = "" if str(unit) == "pixel" else str(unit)
        elif axis in file.scale:
            scale[axis] = file.scale[axis]
        if not units.get(axis) and axis in file.units:
            units[axis] = file.units[axis]
        if axis in scale and axis != "T" and np.any(layer.translate):
            position[axis] = float(place)
    if not position:
        position = {a: place for a, place in file.position.items() if a in scale}
    names = layer.metadata.get("channels") or file.channels
    if layer.rgb:
        names = ("red", "green", "blue")
    return ImageMetadata.of(None, scale, units, channels=[*names], position=position)


def ask_where_to(parent: QWidget, result: Image, source: Image | None) -> Path | None:
    """Ask for the file for `result` of the layer `source`; None if cancelled.

    The dialog opens next to the file of the source. Asks before a partial result is saved
    or a file replaced, and refuses to replace that of the source.
    """
    part = f"Only a part of “{result.name}” is denoised; the rest is as noisy as before."
    if is_partial(result) and not confirm(parent, "Save anyway", part):
        return None
    origin = "" if source is None else _file_of(source)
    used = load_setting(_FOLDER, "")
    folder = folder_beside(origin) or (Path(used) if Path(used).is_dir() else Path.home())
    name = re.sub(r'[<>:"/\\|?*\x00-\x1f]+', "_", result.name).strip(" .") or "denoised"
    chosen, kind = QFileDialog.getSaveFileName(
        parent,
        "Save image",
        str(folder / f"{name}.tif"),
        ";;".join(FILTERS),
        options=QFileDialog.Option.DontConfirmOverwrite,
    )
    if not chosen:
        return None
    path = with_suffix(Path(chosen), FILTERS.get(kind, ".tif"))
    if not folder_beside(origin):
        save_setting(_FOLDER, str(path.parent))
    for layer in filter(None, (source, result)):
        if path.exists() and _is_file_of(path, layer):
            notify(
                f"“{path.name}” is the file of the layer “{layer.name}” and would be "
                "overwritten; choose another name."
            )
            return None
    asked = f"“{path.name}” already exists."
    return path if not path.exists() or confirm(parent, "Replace", asked) else None


def with_suffix(path: Path, wanted: str) -> Path:
    """`path` with the suffix `wanted` of a filter, unless the name says another format."""
    name = path.name
    own = next((end for end in _SUFFIXES if name.lower().endswith(end)), "")
    if own and own not in (".tif", ".tiff"):
        return path
    stem, own = name[: len(name) - len(own)], name[len(name) - len(own) :]
    return path.with_name(stem + (wanted.replace(".tif", own) if own else wanted))


def _file_of(layer: Image) -> str:
    return str(layer.source.path or layer.metadata.get("path") or "")


def _is_file_of(path: Path, layer: Image) -> bool:
    """Whether a layer shows a file, or the files of the folder that it is in."""
    files = (_file_of(layer), str(remembered(layer).get("file", "")))
    shown = [Path(file) for file in files if file and os.path.exists(file)]
    stacks = [file for file in shown if file.is_dir() and not is_zarr(file)]
    return any(map(path.samefile, shown)) or (
        any(map(path.parent.samefile, stacks)) and not io.is_result(path)
    )
