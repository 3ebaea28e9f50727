"""Named tensors and a header of text in one file, read within bounds.

The format is safetensors: raw numbers and a header of JSON, so that reading it executes
nothing. What a file says of itself is checked before memory is taken for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import safetensors
import torch
from safetensors.torch import save

from napari_hush.io.memory import require_memory
from napari_hush.models.unet import UNet
from napari_hush.writing import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from napari_hush.config import UNetConfig

_HEADER = 8 * 2**20
"""Bytes that a header does not have; a network of depth 6 has some ten thousand."""


@dataclass(frozen=True)
class TensorFile:
    """What a file of tensors says of itself.

    Attributes
    ----------
    path : Path
        The file.
    header : dict of str to str
        Its texts.
    shapes : dict of str to tuple of int
        Shape of each tensor, by its name.
    """

    path: Path
    header: dict[str, str]
    shapes: dict[str, tuple[int, ...]]

    def tensors(self) -> dict[str, Tensor]:
        """Read all tensors.

        Raises
        ------
        ValueError
            If the file cannot be read.
        """
        try:
            with safetensors.safe_open(self.path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in self.shapes}
        except (safetensors.SafetensorError, OSError, RuntimeError) as error:
            raise ValueError(str(error)) from error


def open_tensors(path: Path) -> TensorFile:
    """Read what a file of tensors says of itself, and none of the tensors.

    Raises
    ------
    ValueError
        If it is no such file, is damaged, or has a header of unheard-of size.
    OutOfMemoryError
        If there is less memory than its tensors take.
    """
    try:
        needed = path.stat().st_size
        require_memory(needed, f"What {str(path)!r} holds", "close other programs first")
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
        if size > _HEADER:
            raise ValueError(f"its header would have {size} bytes")
        with safetensors.safe_open(path, framework="pt") as opened:
            header = opened.metadata() or {}
            shapes = {
                name: tuple(opened.get_slice(name).get_shape())
                for name in opened.keys()  # noqa: SIM118
            }
    except (safetensors.SafetensorError, OSError, RuntimeError) as error:
        raise ValueError(str(error)) from error
    return TensorFile(path, header, shapes)


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]
) -> None:
    """Write `tensors` and `header` to `path`; the file appears once it is whole.

    Raises
    ------
    UnwritableFileError
        If it cannot be written; what was there stays.
    """
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    with whole_file(path) as part:
        part.write_bytes(save(plain, dict(header)))


def weight_shapes(config: UNetConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of what a network of `config` holds, without making it."""
    with torch.device("meta"):
        weights = UNet(config).state_dict()
    return {name: tuple(weight.shape) for name, weight in weights.items()}


def new_network(config: UNetConfig) -> UNet:
    """A network with random weights, if there is room for it.

    Raises
    ------
    OutOfMemoryError
        If there is not.
    """
    needed = 4 * sum(math.prod(shape) for shape in weight_shapes(config).values())
    require_memory(
        needed,
        f"A network of depth {config.depth} with {config.num_channels_init} filters",
        "use fewer of either",
    )
    return UNet(config)


def check_weights(found: Mapping[str, tuple[int, ...]], config: UNetConfig) -> None:
    """Compare the shapes of weights with what a network of `config` holds.

    Raises
    ------
    ValueError
        If they are not the same; names the first that differs.
    """
    wanted = weight_shapes(config)
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            raise ValueError(
                f"the weights {name!r} are {found.get(name, 'missing')}, but a network of "
                f"this configuration has {wanted.get(name, 'none of that name')}"
            )
