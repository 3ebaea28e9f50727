"""Provenance of models and results: date, software and data."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from napari_hush import __version__
from napari_hush.config.methods import method_of
from napari_hush.io import ImageMetadata, content_of
from napari_hush.models.unet import UNet

if TYPE_CHECKING:
    from napari_hush.io import Image
    from napari_hush.models.file import Model

_PACKAGES = ("numpy", "torch", "tifffile", "zarr")
"""Packages whose versions affect results."""
_SOURCES = 100
"""Most training images whose names and hashes are stored; others are counted."""
_LISTED = 20
"""Most training images that a result lists; the model lists all of them."""


@dataclass(frozen=True)
class Source:
    """One training image: its file name, and the hash of `napari_hush.io.Content`."""

    name: str
    sha256: str
    whole: bool = True
    """False if the hash is of boxes spread over the pixels."""


@dataclass(frozen=True)
class Provenance:
    """Provenance of a model; fields are empty if unknown."""

    date: str = ""
    """Date of its last training run, ISO 8601 in UTC."""
    software: dict[str, str] = field(default_factory=dict)
    """Versions, by name."""
    sources: tuple[Source, ...] = ()
    """Training images of all runs, at most 100."""
    num_sources: int = 0
    """Number of training images."""
    ranges: tuple[tuple[float, float], ...] = ()
    """Smallest and largest pixel of the training images, per channel."""
    pixel_size: ImageMetadata = field(default_factory=ImageMetadata)
    """Pixel sizes and units of the first image that has any."""
    precision: str = ""
    """Precision of its last training run, ``"32"`` or ``"bf16"``."""
    built_in: str = ""
    """Built-in network that it is or began with, such as ``"n2v-2d"``."""
    built_in_sha256: str = ""
    """Hash of that network."""
    unfinished: bool = False
    """Whether its last training run was stopped after few steps, long before its end."""

    def as_json(self) -> str:
        """JSON for a model file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str, channels: int) -> Provenance:
        """Parse the result of `as_json` for a model of `channels`.

        Raises KeyError, TypeError or ValueError if `text` is malformed.
        """
        found = json.loads(text)
        ranges = tuple((float(low), float(high)) for low, high in found["ranges"])
        if len(ranges) not in (0, channels):
            raise ValueError(f"the ranges are not those of {channels} channels")
        size = found["pixel_size"]
        return cls(
            str(found["date"]),
            {str(name): str(number) for name, number in found["software"].items()},
            tuple(
                Source(str(one["name"]), str(one["sha256"]), bool(one["whole"]))
                for one in found["sources"]
            ),
            int(found["num_sources"]),
            ranges,
            ImageMetadata.of(None, dict(size["scale"]), dict(size["units"])),
            precision=str(found.get("precision", "")),
            built_in=str(found.get("built_in", "")),
            built_in_sha256=str(found.get("built_in_sha256", "")),
            unfinished=bool(found.get("unfinished", False)),
        )


def provenance_of(
    images: Sequence[Image],
    before: Provenance | None = None,
    *,
    size: ImageMetadata | None,
    precision: str = "",
) -> Provenance:
    """Provenance of a model that is trained on `images` now.

    `images` are empty if they are unknown. `before` is the provenance of the model before,
    `size` has the pixel sizes; by default they are those of the first image that has any.
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
        ImageMetadata.of(None, found.scale, found.units),
        precision,
        known.built_in,
        known.built_in_sha256,
    )


def model_hash(model: Model) -> str:
    """SHA-256 of weights, statistics and configuration, which determine results.

    A model that is fitted to each image has one hash for all of them.
    """
    if model.per_image:
        digest = hashlib.sha256(b"per image")
    else:
        digest = hashlib.sha256(model.config.stable_json().encode())
        for scaling in (model.normalization, model.target_normalization):
            digest.update((scaling.as_json() if scaling else "null").encode())
    if model.own_value:
        digest.update(f"own_value {model.own_value}".encode())
    if model.built_in_share:
        digest.update(str(model.built_in_share).encode())
    for name, tensor in sorted(model.network.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def result_record(model: Model, image: Image, **settings: Any) -> dict[str, Any]:
    """Provenance of the denoised `image`, as JSON can hold it.

    `settings` are those of the prediction. Parts of the image are read for its hash.
    """
    content = content_of(image)
    known, share = model.provenance, model.built_in_share
    return {
        "date": now(),
        "software": versions(),
        "source": {
            **asdict(Source(content.name, content.sha256, content.whole)),
            "shape": list(image.axes.shape),
            "axes": image.axes.axes,
        },
        "model": {
            "sha256": model_hash(model),
            "epochs": model.epochs,
            "steps": model.steps,
            "seed": model.config.data_config.seed,
            "trained": known.date,
            **method_facts(model),
            **built_in_facts(model),
            "software": known.software,
            "sources": [asdict(source) for source in known.sources[:_LISTED]],
            "num_sources": known.num_sources,
            "configuration": model.config.model_dump(mode="json"),
            **({"own_value": list(model.own_value)} if model.own_value else {}),
            **(
                {"built_in_share": asdict(share)} if (share := model.built_in_share) else {}
            ),
        },
        "settings": settings,
    }


def is_of_network_alone(record: Mapping[str, Any]) -> bool:
    """Whether a result with this provenance is less than its model gives."""
    model = record.get("model", {})
    improves = bool(model.get("own_value") or model.get("built_in_share"))
    return improves and record.get("settings", {}).get("own_value") in ("off", False)


def method_facts(model: Model) -> dict[str, Any]:
    """The method of `model`, if it is known, and its frames before and after, if any."""
    if not isinstance(model.network, UNet):  # a package of another program
        return {}
    frames = model.config.algorithm_config.model.time_context
    return {
        "method": "denoiser" if model.per_image else method_of(model.config).key,
        **({"time_context": frames} if frames else {}),
    }


def built_in_facts(model: Model) -> dict[str, str]:
    """The origin of the weights of `model`, in words; empty if it is not known."""
    known = model.provenance
    if not known.built_in:
        # Older files do not say what their network began with.
        is_random = model.config.built_in_weights is None and isinstance(
            model.network, UNet
        )
        return {"initial_weights": "random"} if is_random else {}
    text = f"began with the built-in {known.built_in}, trained on simulated images"
    if model.per_image:
        text = (
            f"built-in denoiser {known.built_in}, simulated images, not trained on this "
            "image"
        )
    return {"built_in": text, "built_in_sha256": known.built_in_sha256}


def versions() -> dict[str, str]:
    """Versions of the packages that affect results, by name."""
    found = {"napari-hush": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # zarr is optional
            continue
    return found


def now() -> str:
    """The current time, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
