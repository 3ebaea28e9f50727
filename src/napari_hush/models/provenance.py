"""Where a model comes from: when, with what software and from which data it was trained."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from napari_hush import __version__
from napari_hush.io import ImageMetadata, content_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_hush.io import Image
    from napari_hush.models.file import Model

_PACKAGES = ("numpy", "torch", "tifffile", "zarr")
"""Whose versions have a say in what comes out."""
_SOURCES = 100
"""Training images of which name and hash are kept; of others the count alone."""
_LISTED = 20
"""Training images that are named in each result; the model names all of them."""


@dataclass(frozen=True)
class Source:
    """One image that was trained on.

    Attributes
    ----------
    name : str
        Name of its file without the folder, or what arrays are called.
    sha256 : str
        See `napari_hush.io.Content`.
    whole : bool
        Whether that is the hash of all pixels, or of boxes spread over them.
    """

    name: str
    sha256: str
    whole: bool = True


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from; empty where it is not known.

    Attributes
    ----------
    date : str
        When it was trained last, ISO 8601 in UTC.
    software : dict of str to str
        Versions, by name.
    sources : tuple of Source
        What it was trained on, all runs together; no more than 100.
    num_sources : int
        How many images that were.
    ranges : tuple of (float, float)
        Smallest and largest pixel trained on, per channel.
    pixel_size : ImageMetadata
        Pixel sizes and units of the first image that has any.
    """

    date: str = ""
    software: dict[str, str] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    num_sources: int = 0
    ranges: tuple[tuple[float, float], ...] = ()
    pixel_size: ImageMetadata = field(default_factory=ImageMetadata)

    def as_json(self) -> str:
        """As text for a model file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str, channels: int) -> Provenance:
        """What `as_json` wrote.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is something else, or not that of so many `channels`.
        """
        found = json.loads(text)
        ranges = tuple((float(low), float(high)) for low, high in found["ranges"])
        if len(ranges) not in (0, channels):
            raise ValueError(f"the ranges are not those of {channels} channels")
        size = found["pixel_size"]
        return cls(
            str(found["date"]),
            {str(name): str(number) for name, number in found["software"].items()},
            tuple(Source(**_plain_source(one)) for one in found["sources"]),
            int(found["num_sources"]),
            ranges,
            ImageMetadata.of(None, dict(size["scale"]), dict(size["units"])),
        )


def provenance_of(
    images: Sequence[Image], before: Provenance | None = None, *, size: ImageMetadata | None
) -> Provenance:
    """Describe training on `images`, now and here.

    Parameters
    ----------
    images : sequence of Image
        What is trained on; may be empty where nobody knows.
    before : Provenance, optional
        Of the model that is trained on.
    size : ImageMetadata, optional
        Pixel sizes; by default those of the first image that has any.
    """
    known = before or Provenance()
    contents = [content_of(image) for image in images[:_SOURCES]]
    sources = dict.fromkeys(known.sources)
    sources |= dict.fromkeys(Source(c.name, c.sha256, c.whole) for c in contents)
    new = len(sources) - len(known.sources) + max(0, len(images) - _SOURCES)
    ranges = [[*zip(c.lowest, c.highest, strict=True)] for c in contents]
    if known.ranges:
        ranges.append(list(known.ranges))
    sizes = [size, known.pixel_size, *(image.metadata for image in images)]
    found = next((one for one in sizes if one is not None and one.scale), ImageMetadata())
    return Provenance(
        now(),
        versions(),
        tuple(sources)[:_SOURCES],
        known.num_sources + new,
        tuple(
            (min(low for low, _ in channel), max(high for _, high in channel))
            for channel in zip(*ranges, strict=True)
        ),
        replace(found, axes=None),
    )


def model_hash(model: Model) -> str:
    """SHA-256 of all that decides what a model makes of an image.

    That is its weights, statistics and configuration: not the day it was trained on, nor
    the file it lies in.
    """
    digest = hashlib.sha256(model.config.model_dump_json().encode())
    for scaling in (model.normalization, model.target_normalization):
        digest.update(json.dumps(scaling and asdict(scaling)).encode())
    for name, tensor in sorted(model.network.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def result_record(model: Model, image: Image, **settings: Any) -> dict[str, Any]:
    """All that is worth knowing of how a result came about, fit for JSON.

    Parameters
    ----------
    model : Model
        What denoises.
    image : Image
        What is denoised; parts of it are read.
    **settings
        How it is denoised.
    """
    content = content_of(image)
    known = model.provenance
    return {
        "date": now(),
        "software": versions(),
        "source": {
            "name": content.name,
            "sha256": content.sha256,
            "whole": content.whole,
            "shape": list(image.axes.shape),
            "axes": image.axes.axes,
        },
        "model": {
            "sha256": model_hash(model),
            "epochs": model.epochs,
            "steps": model.steps,
            "seed": model.config.data_config.seed,
            "trained": known.date,
            "software": known.software,
            "sources": [asdict(source) for source in known.sources[:_LISTED]],
            "num_sources": known.num_sources,
            "configuration": model.config.model_dump(mode="json"),
        },
        "settings": settings,
    }


def versions() -> dict[str, str]:
    """Versions of what has a say in the result, by name."""
    found = {"napari-hush": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # zarr is optional
            continue
    return found


def now() -> str:
    """The time, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _plain_source(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": str(found["name"]),
        "sha256": str(found["sha256"]),
        "whole": bool(found["whole"]),
    }
