"""ND2 files of Nikon microscopes, read frame by frame with nd2."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.io.contents import Contents, Part, split_reference
from napari_hush.io.lazy import Bounds, chunk_cache, extent
from napari_hush.io.metadata import ImageMetadata
from napari_hush.io.readers import base
from napari_hush.system.optional import require

_MOST_PACKED = 1032
"""How much smaller zlib makes a frame at most."""


class Nd2Pixels(base.FilePixels):
    """Pixels of one position: loops over time and Z, then CYX, or YXC for colors."""

    kind = "an ND2 file"

    def __init__(self, path: Path) -> None:
        file, _ = split_reference(path)
        with _opened(file) as nd2:
            frames, letters = _frames(nd2)
            number = base.image_number(path, range(len(frames)))
            present = _present(file, nd2, frames)[number]
            times, lacks, _ = base.usable_times(present, "frames")
            base.check_complete(path, lacks)
            self._frames = frames[number][:times]
            if not letters.startswith("T"):
                self._frames = self._frames[0]
            about = nd2.attributes
            count = about.channelCount or 1
            colors, rest = divmod(about.componentCount, count)
            if rest or not colors:
                raise ValueError(f"{about.componentCount} components, {count} channels")
            if count > 1 and colors > 1:
                raise base.several_colors(file)
            self._frame = (count, about.heightPx, about.widthPx or 1, colors)
            self._loops = len(letters)
            named = letters + ("YXC" if colors > 1 else "CYX")
            frame = self._frame[1:] if colors > 1 else self._frame[:3]
            shape = (*self._frames.shape, *frame)
            kept = base.squeezed(named, shape)
            metadata = base.known(kept, lambda: _metadata(nd2, kept))
            packed = about.compressionType is not None
            chunks = (1,) * self._loops + frame if packed else None
            super().__init__(path, shape, nd2.dtype, named, metadata, chunks)
        self._nd2: Any = nd2  # closed; keeps what it knows of the file

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_nd2": None}

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        lead = extent(bounds[: self._loops])
        out = np.empty(extent(bounds), self.dtype)
        inside = tuple(slice(*pair) for pair in bounds[self._loops :])
        with self._reading():
            if self._nd2 is None:
                self._nd2 = _library().ND2File(self.file)
            with self._nd2 as nd2:
                for index in np.ndindex(*lead):
                    at = tuple(b[0] + i for b, i in zip(bounds, index, strict=False))
                    out[index] = self._one(nd2, int(self._frames[at]))[inside]
        return out

    def _one(self, nd2: Any, number: int) -> NDArray[Any]:
        def read() -> NDArray[Any]:
            with base.sensible_lengths():
                frame: NDArray[Any] = nd2.read_frame(number).reshape(self._frame)
            return frame[0] if self._frame[3] > 1 else frame[..., 0]

        if self.chunks is None:
            return read()
        return chunk_cache.get((str(self.path), self.stamp, number), read)


def nd2_contents(path: Path) -> Contents:
    """The positions of a file."""
    file, _ = split_reference(path)
    found = []
    with _opened(file) as nd2:
        frames, _ = _frames(nd2)
        points = [e.parameters.points for e in nd2.experiment if e.type == "XYPosLoop"]
        names = [point.name or "" for point in points[0]] if points else []
        for number, present in enumerate(_present(file, nd2, frames)):
            _, lacks, said = base.usable_times(present, "frames")
            name = names[number] if number < len(names) else ""
            found.append(Part(path, number, name, lacks, said))
    return base.contents_of(path, found)


def _frames(nd2: Any) -> tuple[NDArray[np.int64], str]:
    """Numbers of frames, positions first, then time; and letters of what follows."""
    counts = {name: n for name, n in nd2.sizes.items() if name not in "CYXS"}
    if math.prod(counts.values()) > base.MOST_PLANES:
        raise ValueError(f"it has loops of {counts} frames")
    frames = np.arange(math.prod(counts.values())).reshape(tuple(counts.values()))
    names = list(counts)
    order = [a for a in "PT" if a in names]
    order += [a for a in names if a not in order]
    frames = frames.transpose([names.index(a) for a in order])
    if "P" not in names:
        frames = frames[None]
    if "T" not in names:
        frames = frames[:, None]
    return frames, base.letters_of_dimensions([a for a in order if a != "P"], "")


def _present(file: Path, nd2: Any, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which frames are in the file; nd2 reads zeros for others."""
    offsets = getattr(nd2._rdr, "_frame_offsets", None)  # noqa: SLF001
    if offsets is None:  # the format of before 2009
        return np.ones(frames.shape, bool)
    about, end = nd2.attributes, file.stat().st_size
    size = about.heightPx * (about.widthBytes or 0)
    if about.compressionType is not None:
        size //= _MOST_PACKED
    return np.isin(frames, [number for number, at in offsets.items() if at + size <= end])


def _metadata(nd2: Any, axes: str) -> ImageMetadata:
    """Pixel sizes in micrometers, time between frames in seconds, names of channels."""
    channels = nd2.metadata.channels or []
    scale: dict[str, float] = {}
    if channels and all(channels[0].volume.axesCalibrated[:2]):
        scale |= dict(zip("XY", nd2.voxel_size(), strict=False))
    for loop in nd2.experiment:
        if loop.type == "ZStackLoop":
            scale["Z"] = abs(loop.parameters.stepUm)
        if loop.type in ("TimeLoop", "NETimeLoop"):
            phases = getattr(loop.parameters, "periods", [loop.parameters])
            if len(phases) == 1:
                scale["T"] = (phases[0].periodMs or phases[0].periodDiff.avg or 0) / 1000
    units = {a: "second" if a == "T" else "micrometer" for a in scale}
    names = [] if axes.endswith("C") else [each.channel.name for each in channels]
    return ImageMetadata.of(axes, scale, units, channels=names)


def _library() -> Any:
    return require("nd2", "microscopes", "Reading ND2 files")


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    library = _library()
    with base.parsing(file, "an ND2 file"), library.ND2File(file) as nd2:
        yield nd2
