"""Axes, pixel sizes and units of an image in a TIFF file."""

from __future__ import annotations

from typing import Any

import tifffile

from napari_hush.io.metadata import UNNAMED, ImageMetadata


def series_metadata(file: tifffile.TiffFile, series: Any) -> tuple[ImageMetadata, str]:
    """Metadata of an image series, and its axes with `UNNAMED` in place of guesses."""
    axes = series.axes
    if series.keyframe.samplesperpixel > 1 and "S" in axes:  # colors
        axes = axes.replace("S", "C" if "C" not in axes else UNNAMED)
    axes = "".join(a if a in "STCZYX" else UNNAMED for a in axes)
    shaped: dict[str, Any] = (
        (file.shaped_metadata or ({},))[0] if series.kind == "shaped" else {}
    )
    chosen = "axes" in shaped if series.kind == "shaped" else series.kind not in _NAMELESS
    named = axes if chosen else "".join(a if a == "C" else UNNAMED for a in axes)
    if series.kind == "imagej":
        scale, units = _imagej_sizes(file.imagej_metadata or {}, series.keyframe)
    elif series.kind == "ome":
        scale, units = _ome_sizes(file.ome_metadata)
    else:
        scale, units = shaped.get("scale", {}), shaped.get("units", {})
    return ImageMetadata.of(axes, scale, units), named


_NAMELESS = ("uniform", "generic")


def _imagej_sizes(
    known: dict[str, Any], page: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    per_unit = page.resolution
    unit = known.get("unit")
    scale: dict[str, Any] = {"Z": known.get("spacing"), "T": known.get("finterval")}
    if tuple(per_unit) != (1.0, 1.0) or unit:
        scale["X"], scale["Y"] = (1 / n if n else None for n in per_unit)
    return scale, {"X": unit, "Y": unit, "Z": unit, "T": known.get("tunit", "second")}


def _ome_sizes(xml: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    image = tifffile.xml2dict(xml or "")["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    scale = {a: pixels.get(f"PhysicalSize{a}") for a in "ZYX"}
    units = {a: pixels.get(f"PhysicalSize{a}Unit", "micrometer") for a in "ZYX"}
    scale["T"] = pixels.get("TimeIncrement")
    units["T"] = pixels.get("TimeIncrementUnit", "second")
    return scale, units
