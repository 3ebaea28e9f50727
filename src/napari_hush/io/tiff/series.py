"""The images that a TIFF file names, compared with the pages that it holds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tifffile

from napari_hush.errors import HushError, UnreadableFileError
from napari_hush.io.tiff.metadata import image_series
from napari_hush.io.tiff.ome import (
    Description,
    NamedPlanes,
    description_elsewhere,
    description_of,
    named_planes,
)
from napari_hush.io.tiff.pages import (
    Complaints,
    OpenTiff,
    Planes,
    frames_held,
    is_own,
    opened,
    page_offsets,
    pages_of,
    planes_of,
)

if TYPE_CHECKING:
    from napari_hush.io.tiff.layout import TiffLayout

_NAMING_ALL = ("ome", "shaped", "svs", "qpi", "scn", "philips")
"""Kinds of series that name all pages of a file."""
_SLIDE_PARTS = ("label", "macro", "map", "overview", "thumbnail")
_SUBSET = re.compile(r"subset \(([\d, ]+)\) of \(([\d, ]+)\)")
_SLIDES = ("avs", "bif", "ndpi", "philips", "qpi", "scn", "svs")
_LISTED = 3


@dataclass
class NamedImage:
    """An image that a TIFF file names."""

    number: int
    name: str
    series: Any = None
    """The series of tifffile; None if none of its planes is there."""
    planes: Planes | None = None
    files: tuple[Path, ...] = ()
    """Absolute paths of the files of its pages, that of the first page first."""
    missing: str = ""
    warning: str = ""
    left_out: str = ""
    """Its kind if it is no data, such as "label"."""
    error: HushError | None = None
    """Why its pixels cannot be read."""
    layouts: list[TiffLayout | HushError] = field(default_factory=list)
    """One per resolution level; `series` and `planes` are not kept with them."""


@dataclass
class TiffImages(OpenTiff):
    """An open TIFF file, or set of files, and the images that it names."""

    images: list[NamedImage] = field(default_factory=list)
    left_over: int = 0
    """Pages that belong to no image."""


@contextmanager
def images_in(path: Path) -> Iterator[TiffImages]:
    """Open a TIFF file, or the set of files that it belongs to, by its absolute path."""
    heard = Complaints()
    with ExitStack() as stack:

        def enter(described: Description) -> tifffile.TiffFile:
            xml = described.xml
            how: dict[str, Any] = {"omexml": xml, "is_ome": True} if xml else {}
            return stack.enter_context(opened(described.path, heard, **how))

        described = description_of(path)
        file = enter(described)
        if file.is_ome and not described.xml:
            if other := description_elsewhere(path, file.ome_metadata or ""):
                described = other
            if described.xml:
                file = enter(described)
        sources = {path, described.path, described.source or path}
        path, warning = described.path, described.warning
        xml = file.ome_metadata if file.is_ome else None
        offsets = page_offsets(path, file)
        series, unknown = image_series(file)
        if not series:
            raise UnreadableFileError(
                f"{str(path)!r} has no page with an image; replace it or leave it out."
            )
        found = TiffImages(path, file, offsets, unknown, sources)
        if file.is_imagej and series[0].kind in ("generic", "uniform"):
            series = [_imagej_series(found, series[0]), *series[1:]]
            if "ImageJ" in heard.damage:
                heard.damage = ""
        found.images = _named_images(found, series, named_planes(xml, path) if xml else [])
        _compare(found, heard.loss)
        if warning and not found.images[0].warning:
            found.images[0].warning = warning
        yield found


def _imagej_series(found: TiffImages, series: Any) -> Any:
    """A series of ImageJ that names more planes than fit into the file."""
    known, page = found.file.imagej_metadata or {}, series.keyframe
    order = str(known.get("order", "")).upper()
    axes = order[::-1] if sorted(order) == sorted("CZT") else "TZC"
    counts = {"T": "frames", "Z": "slices", "C": "channels"}
    shape = [int(known.get(counts[axis], 1)) for axis in axes]
    if shape[axes.index("C")] in (page.shaped[0], page.shaped[4]):  # colors
        shape[axes.index("C")] = 1
    pages = found.alike(page)
    if math.prod(shape) <= len(pages):
        return series
    return tifffile.TiffPageSeries(
        pages,
        (*shape, *page.shape),
        page.dtype,
        axes + page.axes,
        parent=found.file,
        kind="imagej",
    )


def _named_images(
    found: TiffImages, series: Sequence[Any], named: Sequence[NamedPlanes]
) -> list[NamedImage]:
    """The series of a file, and images of its OME-XML of which no plane is there."""
    images = [NamedImage(number, each.name, each) for number, each in enumerate(series)]
    absent = {file for each in named for file in each.absent}
    if len(named) == len(series) and not absent:
        return images
    if all(each.kind != "ome" for each in series):  # tifffile cannot use it
        if absent:
            images[0].missing = f"the planes in {_files(absent)}"
        return images
    left, result = list(images), []
    for each in named:
        image = next((i for i in left if each.holds(found.file, i.series)), None)
        if image is None:
            image = NamedImage(each.number, each.name)
            image.missing = "1 plane" if each.count == 1 else f"all {each.count} planes"
            image.files = (found.path,) if any(not name for name, _ in each.starts) else ()
        else:
            left.remove(image)
            image.number = each.number
        if each.absent:
            image.missing += f", in {_files(each.absent)}"
        result.append(image)
    for image in left:
        image.number = len(result)
        result.append(image)
    return result


def _files(names: set[str]) -> str:
    shown = [*map(repr, sorted(names)[:_LISTED])]
    more = len(names) - len(shown)
    return ", ".join(shown) + f" and {more} more files" if more else " and ".join(shown)


def _compare(found: TiffImages, loss: str) -> None:
    """Find the pages of all images, what is missing and what is left over."""
    used = set[int]()
    for image in found.images:
        _find_planes(found, image, used)
    readable = [image for image in found.images if image.planes is not None]
    kinds = {image.series.kind for image in readable}
    rest = [number for number in range(len(found.offsets)) if number not in used]
    if "imagej" in kinds:
        _add_series(found, rest)
    elif kinds & {*_NAMING_ALL}:
        found.left_over = len(rest)
    if loss:
        _report(found, loss)
    parts = [_part(image.series) for image in found.images]
    if not all(parts):
        for image, part in zip(found.images, parts, strict=True):
            image.left_out = part


def _find_planes(found: TiffImages, image: NamedImage, used: set[int]) -> None:
    """Find the pages of an image; `used` gets their numbers in the file."""
    series = image.series
    if series is None:
        return
    where, image.missing = image.missing, ""
    try:
        planes = image.planes = planes_of(found, series)
    except HushError as error:
        image.error, image.files = error, (found.path,)
        return
    first = series.keyframe.index
    if planes.pages is None and isinstance(first, int):
        used.update(range(first, first + (1 if series.is_truncated else len(series))))
    for each in series.levels[planes.pages is None :]:
        named = pages_of(each)[: planes.named]
        pages = [page for page in named if page and is_own(found.file, page)]
        used.update(page.index for page in pages if isinstance(page.index, int))
    pages = [series.keyframe] if planes.pages is None else planes.pages
    image.files = tuple(dict.fromkeys(found.path_of(p) for p in pages if p is not None))
    if planes.absent and (where or not planes.frames):
        image.missing = f"{planes.absent} of {planes.named} planes{where}"
    elif planes.frames:
        which = f"Series {image.number} of " if len(found.images) > 1 else ""
        image.warning = f"{which}{str(found.path)!r} names {planes.frames}."


def _add_series(found: TiffImages, numbers: Sequence[int]) -> None:
    """Add pages that were appended to a stack of ImageJ, which does not name them."""
    alike: dict[int, list[Any]] = {}
    for page in map(found.page, numbers):
        if page.shape:
            alike.setdefault(page.hash, []).append(page)
    for pages in alike.values():
        page = pages[0]
        shape, axes = (len(pages), *page.shape), f"I{page.axes}"
        series = tifffile.TiffPageSeries(
            pages, shape, page.dtype, axes, parent=found.file, kind="generic"
        )
        image = NamedImage(len(found.images), "", series)
        found.images.append(image)
        _find_planes(found, image, set())


def _report(found: TiffImages, loss: str) -> None:
    """Report pages that tifffile leaves out."""
    image, subset = found.images[0], _SUBSET.search(loss)
    if subset is None:
        image.warning = f"{str(found.path)!r} is not read as a whole: {loss}."
        return
    held, named = (
        [int(n) for n in text.split(",") if n.strip()] for text in subset.groups()
    )
    axes = image.series.get_axes(False)
    fewer = "".join(a for a, n, m in zip(axes, held, named, strict=False) if n != m)
    index = (found.file.micromanager_metadata or {}).get("IndexMap")
    if fewer == "T" and index is not None and index[:, 2].min() == 0:
        at = axes.index("T")
        frames = frames_held("T", named[at], held[at])
        image.warning = f"{str(found.path)!r} names {frames}."
    else:
        count = math.prod(named)
        image.missing = f"{count - math.prod(held)} of {count} planes"


def _part(series: Any) -> str:
    """The kind of an image that is no data."""
    if series is None:
        return ""
    name, page = series.name.lower(), series.keyframe
    if series.kind in _SLIDES and name in _SLIDE_PARTS:
        return str(name)
    if page.is_reduced:
        return "thumbnail" if series.kind == "lsm" else "reduced image"
    return "mask" if page.is_mask else ""
