"""What the demo shows: the image that was named, or a simulated one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.axes import validate_axes
from napari_hush.errors import DataError, MissingFileError, UnreadableFileError
from napari_hush.io import read_image
from napari_hush.io.samples import simulated

PICTURES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class DemoImage:
    """Pixels, a letter per dimension, and what is known besides."""

    name: str
    """File name without its ending, for the names of the results."""
    data: NDArray[Any]
    axes: str
    ground_truth: NDArray[Any] | None = None
    """The same image without noise, where it is simulated."""


def load(path: Path | None, say: Any = print) -> DemoImage:
    """Read the image, or simulate one; `say` gets lines about anything unexpected."""
    if path is None:
        noisy, ground_truth = simulated()
        say("No image named: taking a simulated micrograph (cells, short exposure).")
        return DemoImage("simulated", noisy, "YX", ground_truth)
    if not path.is_file():
        raise MissingFileError(
            f"There is no file {str(path)!r}; give the path of a TIFF, PNG or JPEG image."
        )
    if path.suffix.lower() in PICTURES:
        data, axes = _read_picture(path)
        if axes == "YXC" and data.shape[-1] in (2, 4):
            say("The picture's transparency is left out.")
            data = data[..., :-1]
    else:
        data, axes = read_image(path)
    if axes == "YXC" and data.shape[-1] == 1:
        data, axes = data[..., 0], "YX"
    return DemoImage(path.stem, data, validate_axes(axes))


def _read_picture(path: Path) -> tuple[NDArray[Any], str]:
    import imageio.v3

    try:
        data = np.asarray(imageio.v3.imread(path, plugin="pillow"))
    except (OSError, ValueError) as error:
        raise UnreadableFileError(
            f"{str(path)!r} cannot be read as a picture ({error}); give a TIFF, PNG or "
            "JPEG image."
        ) from error
    if data.ndim not in (2, 3):
        raise DataError(
            f"{str(path)!r} has shape {data.shape}, but a picture has two dimensions, or "
            "three with its colours; save it as a TIFF file."
        )
    return data, "YXC"[: data.ndim]
