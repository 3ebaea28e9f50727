"""Metadata of an image in a TIFF file; what cannot be understood never hides pixels."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

import tifffile

from napari_hush.io.metadata import UNNAMED, ImageMetadata, convert, number_of, unit_name
from napari_hush.io.tiff.ome import children

_NAMELESS = ("uniform", "generic")
_SHAPED = ("scale", "units", "channels", "position")
_OME = ("ome", "mmstack")
_COUNTS = ("images", "channels", "slices", "frames")
_DESCRIBED = {
    "shaped": "description in JSON",
    "mmstack": "Micro-Manager index",
    "ndtiff": "Micro-Manager index",
    "ome": "OME-XML",
    "imagej": "ImageJ description",
    "fluoview": "FluoView description",
    "scanimage": "ScanImage description",
}
"""Kinds of series that depend on texts which people and programs change."""
_MOST_PLANES = 2**21


def image_series(file: tifffile.TiffFile) -> tuple[list[Any], tuple[str, ...]]:
    """The image series of a file, and the metadata that could not be understood."""
    unknown: list[str] = []
    if file.is_imagej:
        _sanitize(file.imagej_metadata or {})
    if file.is_ome and _promises_too_much(file):
        unknown.append("sizes in OME-XML")
        file.is_ome = False
    if _has_odd_shape(file):
        unknown.append(_DESCRIBED["shaped"])
        file.is_shaped = False
    kinds = iter(_DESCRIBED)
    while True:
        try:
            series = file.series
            break
        except MemoryError:
            raise
        except Exception:  # tifffile raises many kinds
            kind = next((k for k in kinds if _claims(file, k)), None)
            if kind is None:
                raise
            unknown.append(_DESCRIBED[kind])
            setattr(file, f"is_{kind}", False)
            file.filehandle.seek(8 if file.is_bigtiff else 4)
            file.pages = tifffile.TiffPages(file)
    if file.is_ome and not any(one.kind in _OME for one in series):
        unknown.append("OME-XML")
    return series, tuple(unknown)


def _claims(file: tifffile.TiffFile, kind: str) -> bool:
    """Whether a file says that it is of this kind, or cannot be asked."""
    try:
        return bool(getattr(file, f"is_{kind}"))
    except Exception:  # as above
        return True


def _promises_too_much(file: tifffile.TiffFile) -> bool:
    """Whether OME-XML has numbers for which tifffile would fill the memory with a list."""
    page, count = max(1, file.pages.first.size), 0.0
    try:
        for each in ElementTree.fromstring(file.ome_metadata or "").iter():  # noqa: S314
            name, values = str(each.tag).rpartition("}")[2], each.attrib
            if name.endswith("Pixels"):
                sizes = [int(n) for key, n in values.items() if key.startswith("Size")]
                count += max(math.prod(sizes) // page, 0)
            elif name.endswith("TiffData"):
                planes = values.get("PlaneCount", values.get("NumPlanes", 1))
                count += max(int(planes), 0)
            elif "Along" in name and "End" in values:
                start, end = float(values["Start"]), float(values["End"])
                count += abs((end - start) / float(values.get("Step", 1)))
    except ElementTree.ParseError:
        return False
    except (ArithmeticError, LookupError, ValueError):
        return True
    return not count <= _MOST_PLANES


def _has_odd_shape(file: tifffile.TiffFile) -> bool:
    """Whether a description in JSON has a shape that is none; tifffile calls it damage."""
    try:
        shape = json.loads(file.pages.first.shaped_description or "")["shape"]
        return not shape or not all(type(n) is int and n > 0 for n in shape)
    except (LookupError, TypeError, ValueError, RecursionError):
        return False  # tifffile cannot read it either


def _sanitize(known: dict[str, Any]) -> None:
    """Delete counts and orders of an ImageJ description that are none."""
    for key in _COUNTS:
        count = number_of(known.get(key))
        known.pop(key, None)
        if count is not None and count >= 1 and count == int(count):
            known[key] = int(count)
    if not isinstance(known.get("order", ""), str):
        del known["order"]


def series_metadata(
    file: tifffile.TiffFile, series: Any, unknown: Sequence[str] = ()
) -> tuple[ImageMetadata, str]:
    """Metadata of an image series, and its axes with `UNNAMED` in place of guesses."""
    kind = series.kind
    axes = series.axes
    if series.keyframe.samplesperpixel > 1 and "S" in axes:  # colors
        axes = axes.replace("S", "C" if "C" not in axes else UNNAMED)
    axes = "".join(a if a in "STCZYX" else UNNAMED for a in axes)
    known: dict[str, Any] = {"scale": {}, "units": {}}
    left = list(unknown)
    try:
        known |= _entries(file, series)
    except (MemoryError, OSError):
        raise
    except Exception:  # metadata of any shape
        left.append(_DESCRIBED.get(kind, f"metadata of {kind.upper()}"))
    chosen = known.pop("named", kind not in _NAMELESS)
    named = axes if chosen else "".join(a if a == "C" else UNNAMED for a in axes)
    left += known.pop("unknown", ())
    found = ImageMetadata.of(axes, is_ome=kind == "ome", unknown=left, **known)
    count = dict(zip(axes, series.shape, strict=True)).get("C", 1)
    return found.for_channels(count), named


def _entries(file: tifffile.TiffFile, series: Any) -> dict[str, Any]:
    """Arguments of `ImageMetadata.of`, as the file has them."""
    kind = series.kind
    if kind == "shaped":
        return _of_shaped(series.keyframe.shaped_description)
    if file.is_ome and kind in _OME:
        return _of_ome(file, series)
    if kind == "imagej":
        return _of_imagej(file.imagej_metadata or {}, series)
    if kind == "svs":
        return _of_svs(series.keyframe.description)
    others = {"lsm": _of_lsm, "stk": _of_stk, "mmstack": _of_micromanager}
    name = "micromanager" if kind == "mmstack" else kind
    return others[kind](getattr(file, f"{name}_metadata") or {}) if kind in others else {}


def _of_shaped(text: str) -> dict[str, Any]:
    found = json.loads(text)
    known = {key: found[key] for key in _SHAPED if key in found}
    axes = found.get("axes")
    known["named"] = isinstance(axes, str) and len(axes) == len(found["shape"])
    if axes is not None and not known["named"]:
        known["unknown"] = [f"axes = {axes!r:.40}"]
    return known


def _of_imagej(known: Mapping[str, Any], series: Any) -> dict[str, Any]:
    per_unit = tuple(series.keyframe.resolution)
    unit = known.get("unit")
    scale: dict[str, Any] = {"Z": known.get("spacing"), "T": known.get("finterval")}
    if per_unit != (1.0, 1.0) or unit:
        scale["X"], scale["Y"] = (1 / n if n else None for n in per_unit)
    # The origin is in pixels, from the first one to the point (0, 0, 0).
    origins = {a: number_of(known.get(f"{a.lower()}origin")) for a in "ZYX"}
    position = {
        a: -origin * (number_of(scale.get(a)) or 1.0)
        for a, origin in origins.items()
        if origin is not None
    }
    units = {"X": unit, "Y": unit, "Z": unit, "T": known.get("tunit", "second")}
    channels = _channel_labels(known, series)
    return {"scale": scale, "units": units, "channels": channels, "position": position}


def _channel_labels(known: Mapping[str, Any], series: Any) -> list[Any]:
    """The label of each channel, where all of its planes have the same."""
    labels, count = known.get("Labels"), known.get("channels", 1)
    labels = labels if isinstance(labels, list) else [labels]
    if len(labels) == count:
        return labels
    alike = len(labels) % count == 0 and all(
        len({*map(str, labels[channel::count])}) == 1 for channel in range(count)
    )
    return labels[:count] if alike else []


def _of_ome(file: tifffile.TiffFile, series: Any) -> dict[str, Any]:
    root = ElementTree.fromstring(file.ome_metadata or "")  # noqa: S314  (bounded)
    # Images without pixels have no series.
    images = [each for each in children(root, "Image") if [*children(each, "Pixels")]]
    called = [image for image in images if image.get("Name", "") == series.name]
    number = next((n for n, each in enumerate(file.series) if each is series), 0)
    image = called[0] if len(called) == 1 else images[number]
    pixels = next(children(image, "Pixels"))
    known = pixels.attrib
    scale: dict[str, Any] = {a: known.get(f"PhysicalSize{a}") for a in "ZYX"}
    units = {a: known.get(f"PhysicalSize{a}Unit", "micrometer") for a in "ZYX"}
    planes = {
        tuple(plane.get(f"The{a}", "0") for a in "TCZ"): plane.attrib
        for plane in children(pixels, "Plane")
    }
    scale["T"] = known.get("TimeIncrement") or _interval(planes, known.get("SizeT"))
    units["T"] = known.get("TimeIncrementUnit", "second")
    label = next(children(image, "StageLabel"), ElementTree.Element("StageLabel")).attrib
    first = planes.get(("0", "0", "0"), {})
    position: dict[str, Any] = {}
    for a in "ZYX":
        place = first.get(f"Position{a}", label.get(a))
        unit = first.get(f"Position{a}Unit", label.get(f"{a}Unit", ""))
        size = number_of(scale[a])
        if not size:
            units[a] = unit
        position[a] = _converted(place, unit, units[a])
    names = [channel.get("Name") for channel in children(pixels, "Channel")]
    return {"scale": scale, "units": units, "channels": names, "position": position}


def _interval(planes: Mapping[Any, Mapping[str, str]], frames: str | None) -> float | None:
    """Seconds between frames, from the times of the first and the last."""
    count = number_of(frames)
    if count is None or count < 2:
        return None
    ends = [planes.get((str(n), "0", "0"), {}) for n in (0, int(count) - 1)]
    first, last = (
        number_of(_converted(plane.get("DeltaT"), plane.get("DeltaTUnit", "s"), "s"))
        for plane in ends
    )
    if first is None or last is None or last <= first:
        return None
    return (last - first) / (count - 1)


def _converted(value: Any, unit: str, wanted: str) -> Any:
    """A number in another unit; other values are unchanged."""
    number = number_of(value)
    try:
        return value if number is None else convert(number, unit, wanted)
    except ValueError:
        return f"{value} {unit}"


def _of_lsm(known: Mapping[str, Any]) -> dict[str, Any]:
    """Sizes of LSM files are in meters and seconds."""
    scale: dict[str, Any] = {a: _times(known.get(f"VoxelSize{a}"), 1e6) for a in "ZYX"}
    position = {a: _times(known.get(f"Origin{a}"), 1e6) or None for a in "ZYX"}
    scale["T"] = known.get("TimeIntervall")
    units = {"T": "second", **dict.fromkeys("ZYX", "micrometer")}
    colors = known.get("ChannelColors")
    names = colors.get("ColorNames") if isinstance(colors, dict) else ()
    return {"scale": scale, "units": units, "position": position, "channels": names}


def _times(value: Any, factor: float) -> float | None:
    number = number_of(value)
    return None if number is None else number * factor


def _of_stk(known: Mapping[str, Any]) -> dict[str, Any]:
    unit = known.get("CalibrationUnits")
    scale = {a: known.get(f"{a}Calibration") for a in "YX"}
    if not unit_name(str(unit or "")) or not known.get("SpatialCalibration", True):
        return {}
    return {"scale": scale, "units": dict.fromkeys("YX", unit)}


def _of_svs(text: str) -> dict[str, Any]:
    """Sizes of slides are in micrometers per pixel, the same along Y and X."""
    found = re.search(r"\|\s*MPP\s*=([^|]*)", text)
    size = found[1] if found else None
    return {"scale": {"Y": size, "X": size}, "units": dict.fromkeys("YX", "micrometer")}


def _of_micromanager(known: Mapping[str, Any]) -> dict[str, Any]:
    summary = known.get("Summary")
    summary = summary if isinstance(summary, dict) else {}
    scale = dict.fromkeys("YX", summary.get("PixelSize_um"))
    scale |= {"Z": summary.get("z-step_um"), "T": _times(summary.get("Interval_ms"), 1e-3)}
    units = {"T": "second", **dict.fromkeys("ZYX", "micrometer")}
    return {"scale": scale, "units": units, "channels": summary.get("ChNames")}
