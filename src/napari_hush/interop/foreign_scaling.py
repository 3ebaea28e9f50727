"""Pre- and postprocessing that BioImage.IO packages describe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]
_EPSILON = 1e-6
_TYPES = ("float32", "float64", "uint8", "int8", "uint16", "int16", "int32", "int64")


@dataclass(frozen=True)
class Step:
    """One step; `values` are its arguments."""

    name: str
    values: Mapping[str, Any]

    @property
    def needs_whole(self) -> bool:
        """Whether it depends on all pixels of an image."""
        return self.name in _WHOLE

    def function(self, letters: str, whole: Tensor | None) -> Function:
        """The step for pixels of the axes `letters`, of the image `whole` if needed."""
        values = self.values
        if whole is not None and self.needs_whole:
            offset, scale = _WHOLE[self.name](whole, values, letters)
            return partial(_scaled, offset, scale)
        match self.name:
            case "scale_linear":
                gain, shift = (
                    _each(values.get(name, default), letters)
                    for name, default in (("gain", 1.0), ("offset", 0.0))
                )
                return partial(_linear, gain, shift)
            case "fixed_zero_mean_unit_variance":
                mean, std = (_each(values[name], letters) for name in ("mean", "std"))
                return partial(_scaled, mean, std + float(values.get("eps", _EPSILON)))
            case "clip":
                return partial(torch.clamp, min=values.get("min"), max=values.get("max"))
            case "binarize":
                return partial(_above, _each(values["threshold"], letters))
            case "ensure_dtype":
                return partial(_cast, getattr(torch, values["dtype"]))
            case _:
                return torch.sigmoid


def steps_of(
    given: Iterable[Mapping[str, Any]], which: str, refused: type[Exception]
) -> list[Step]:
    """The steps of the "pre" or "post" processing; those that are not known are refused."""
    found = []
    for one in given:
        name = str(one.get("id") or one.get("name"))
        values = dict(one.get("kwargs") or {})
        mode = values.pop("mode", None)  # of format 0.4
        if name == "zero_mean_unit_variance" and mode == "fixed":
            name = f"fixed_{name}"
        known = name in _LOCAL or (name in _WHOLE and which == "pre")
        if not known or mode == "per_dataset" or values.get("reference_tensor"):
            how = f" ({mode})" if mode == "per_dataset" else ""
            raise refused(f"its {which}processing {name!r}{how} is not available here")
        if name == "ensure_dtype" and values.get("dtype") not in _TYPES:
            raise refused(f"it converts pixels to {values.get('dtype')!r}")
        found.append(Step(name, values))
    return found


_LOCAL = (
    "scale_linear",
    "fixed_zero_mean_unit_variance",
    "clip",
    "binarize",
    "sigmoid",
    "ensure_dtype",
)


def _each(value: Any, letters: str) -> Tensor:
    """`value` for all pixels, or a list of one per channel, ready to be broadcast."""
    numbers = torch.as_tensor(value, dtype=torch.float32)
    return numbers if numbers.ndim == 0 else numbers.reshape(-1, *(1,) * (len(letters) - 1))


def _together(values: Mapping[str, Any], letters: str) -> tuple[int, ...]:
    """Axes whose pixels are measured together; all of them by default."""
    given = values.get("axes")
    if given is None:
        return tuple(range(len(letters)))
    names = list(given) if isinstance(given, str) else [str(name) for name in given]
    chosen = {"c" if name == "channel" else name for name in names}
    return tuple(i for i, letter in enumerate(letters) if letter in chosen)


def _moments(
    whole: Tensor, values: Mapping[str, Any], letters: str
) -> tuple[Tensor, Tensor]:
    over = _together(values, letters)
    pixels = whole.double()
    mean = pixels.mean(over, keepdim=True)
    std = pixels.var(over, correction=0, keepdim=True).sqrt()
    return mean.float(), (std + float(values.get("eps", _EPSILON))).float()


def _range(whole: Tensor, values: Mapping[str, Any], letters: str) -> tuple[Tensor, Tensor]:
    names = (("min_percentile", 0.0), ("max_percentile", 100.0))
    percentiles = [float(values.get(name, default)) for name, default in names]
    over = _together(values, letters)
    low, high = np.percentile(whole.numpy(), percentiles, over, keepdims=True)
    scale = high - low + float(values.get("eps", _EPSILON))
    return torch.from_numpy(low).float(), torch.from_numpy(scale).float()


_WHOLE = {"zero_mean_unit_variance": _moments, "scale_range": _range}


def _scaled(offset: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    return (x - offset.to(x.device)) / scale.to(x.device)


def _linear(gain: Tensor, shift: Tensor, x: Tensor) -> Tensor:
    return x * gain.to(x.device) + shift.to(x.device)


def _above(threshold: Tensor, x: Tensor) -> Tensor:
    return (x > threshold.to(x.device)).float()


def _cast(dtype: torch.dtype, x: Tensor) -> Tensor:
    return x.to(dtype).float()
