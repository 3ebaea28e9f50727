"""BioImage.IO packages, which contain all that other programs need to run a model."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from napari_hush import __version__
from napari_hush.axes import spatial_axes
from napari_hush.config import as_yaml
from napari_hush.config.methods import method_of
from napari_hush.dataset import require_finite
from napari_hush.errors import counted
from napari_hush.interop.bioimageio_about import About, check_cover
from napari_hush.interop.bioimageio_rdf import (
    architecture_source,
    citations_of,
    described,
    description_of,
    halos,
    least_sizes,
    name_of,
    round_up,
)
from napari_hush.interop.onnx import onnx_model
from napari_hush.interop.torchscript import Denoiser, torchscript_bytes
from napari_hush.models.file import model_bytes, require_own
from napari_hush.prediction import check_suits
from napari_hush.prediction.tiles import Tile, read_tile
from napari_hush.system.atomic_write import whole_file

if TYPE_CHECKING:
    from napari_hush.io import Image
    from napari_hush.models import Model

DESCRIPTION = "rdf.yaml"
"""Name of the description in a package."""


def write_package(
    model: Model, path: Path, *, image: Image | None = None, about: About | None = None
) -> None:
    """Write `model` as a BioImage.IO package.

    It contains the weights (PyTorch, TorchScript and ONNX), the normalization, test images,
    a cover, documentation, and the model file, which `open_model` reads back exactly. The
    center of the noisy `image` becomes test image and cover; by default these are
    simulated.

    Raises a HushError without the package onnx, a ConfigurationError or MissingFileError
    for wrong channel names or covers in `about`, a DataError for an image that does not
    fit the model, and an UnwritableFileError.
    """
    require_own(model, "exported")
    about = about or About()
    noisy, clean = sample_pair(model, image)
    covers = _covers(about.covers) or {"cover.png": cover(noisy[0], clean[0])}
    files = {
        "README.md": readme(model, about, simulated=image is None).encode(),
        **covers,
        "test_input.npy": _npy(noisy),
        "test_output.npy": _npy(clean),
        "weights_state.pt": _state(model),
        "unet.py": architecture_source().encode(),
        "weights.onnx": onnx_model(model, scaled=False).SerializeToString(),
        "configuration.yml": as_yaml(model.config).encode(),
        "weights.pt": torchscript_bytes(model, scaled=False),
        "model.safetensors": model_bytes(model),
    }
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    text = described(model, about, hashes, list(covers), clean)
    rdf = yaml.safe_dump(text, sort_keys=False, allow_unicode=True)
    with (
        whole_file(path, follow=True) as part,
        zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as pack,
    ):
        pack.writestr(DESCRIPTION, rdf)
        for name, content in files.items():
            pack.writestr(name, content)


def _covers(paths: tuple[Path, ...]) -> dict[str, bytes]:
    found = {}
    for number, path in enumerate(paths):
        check_cover(path)
        found[f"cover{number or ''}{path.suffix.lower()}"] = path.read_bytes()
    return found


def _npy(pixels: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, pixels)
    return buffer.getvalue()


def _state(model: Model) -> bytes:
    buffer = io.BytesIO()
    state = model.network.state_dict()
    torch.save({name: t.detach().cpu().contiguous() for name, t in state.items()}, buffer)
    return buffer.getvalue()


_SIZES = {2: (256, 256), 3: (16, 64, 64)}
"""Sizes ``((Z), Y, X)`` of test images, unless the network needs larger ones."""


def sample_pair(
    model: Model, image: Image | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A noisy image and its result, both float32 ``(1, C, (Z), Y, X)``.

    The noisy one is the center of the central sample of `image`, padded by reflection if it
    is too small; by default a noisy pattern with the mean and standard deviation of the
    training data. The result is computed with zero padding, as other programs do.
    """
    least, steps = least_sizes(model), model.network.multiple
    sizes = tuple(
        round_up(max(pair), step)
        for *pair, step in zip(least, _SIZES[len(steps)], steps, strict=True)
    )
    noisy = _simulated(model, sizes) if image is None else _cut(model, image, sizes)
    with torch.inference_mode():
        clean = Denoiser(model).eval()(torch.from_numpy(noisy[None]))
    return noisy[None], clean.numpy()


def _cut(model: Model, image: Image, sizes: tuple[int, ...]) -> NDArray[np.float32]:
    check_suits(model, image)
    sample = image.samples[len(image.samples) // 2]
    outer = tuple(
        ((have - want) // 2, (have - want) // 2 + want)
        for have, want in zip(sample.shape[1:], sizes, strict=True)
    )
    pixels = read_tile(sample, Tile(0, (), outer))
    require_finite(pixels, image.name)
    return np.ascontiguousarray(pixels, np.float32)


def _simulated(model: Model, sizes: tuple[int, ...]) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    pattern: Any = 0.0
    for axis, grid in enumerate(np.meshgrid(*map(np.arange, sizes), indexing="ij")):
        pattern = pattern + np.sin(grid / (5.0 + 2 * axis))
    pattern = pattern / pattern.std()
    channels = []
    for mean, std in zip(model.normalization.means, model.normalization.stds, strict=True):
        noise = rng.normal(0, 1, sizes)
        channels.append(mean + std * (0.8 * pattern + 0.6 * noise))
    return np.stack(channels).astype(np.float32)


_SIDE = 256
"""Pixels of each half of a cover along Y and X."""


def cover(noisy: NDArray[Any], clean: NDArray[Any]) -> bytes:
    """A PNG of `noisy` (left) and `clean` (right), both ``(C, (Z), Y, X)``.

    It shows the first channel and the central plane, from quantile 0.5 % to 99.5 %.
    """
    halves = [_grey(_square(_plane(pixels))) for pixels in (noisy, clean)]
    return png(np.concatenate(halves, axis=1))


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Gray values ``(Y, X)`` as a PNG file."""
    height, width = pixels.shape
    # Each row starts with the number of its filter, 0 for none.
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = pixels
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return (
        struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))
    )


def _plane(pixels: NDArray[Any]) -> NDArray[Any]:
    first: NDArray[Any] = pixels[0]
    return first if first.ndim == 2 else first[len(first) // 2]


def _square(plane: NDArray[Any]) -> NDArray[Any]:
    """The central square, resized by nearest neighbor."""
    side = min(*plane.shape, _SIDE)
    top, left = ((size - side) // 2 for size in plane.shape)
    index = np.arange(_SIDE) * side // _SIDE
    return plane[np.ix_(top + index, left + index)]


def _grey(plane: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = np.quantile(plane, (0.005, 0.995))
    share = (plane - low) / max(high - low, np.finfo(np.float32).tiny)
    grey: NDArray[np.uint8] = (share.clip(0, 1) * 255).astype(np.uint8)
    return grey


def readme(model: Model, about: About, *, simulated: bool) -> str:
    """The documentation as Markdown; `simulated` test images are declared as such."""
    config = model.config
    algorithm, data = config.algorithm_config, config.data_config
    network, axes = algorithm.model, ", ".join(spatial_axes(data.axes))
    filters = f"{network.num_channels_init} filters{', N2V2' if network.n2v2 else ''}"
    together = ""
    if network.in_channels > 1:
        together = ", independent" if network.independent_channels else ", together"
    test = (
        "a simulated pattern with noise, with the mean and standard deviation of the "
        "training data: they show that the model runs, not how well it denoises"
        if simulated
        else "part of a real image"
    )
    papers = "\n".join(
        f"- {one['text']}, https://doi.org/{one['doi']}"
        for one in citations_of(model, about)
    )
    return f"""# {name_of(model, about)}

{description_of(model, about)}
{f"{chr(10)}{about.documentation.strip()}{chr(10)}" if about.documentation else ""}
## Training data

{about.data_description or "The authors did not describe the training data."}

| | |
|---|---|
| method | {method_of(config).name} |
| network | U-Net {network.conv_dims}D, depth {network.depth}, {filters} |
| channels | {network.in_channels} in, {network.num_classes} out{together} |
| patches | {_sizes(data.patch_size)} pixels ({axes}), batch size {data.batch_size} |
| training | {counted(model.epochs, "epoch")}, {counted(model.steps, "step")} |
| loss | {algorithm.loss} |
| mean of the input | {_numbers(model.normalization.means)} |
| standard deviation of the input | {_numbers(model.normalization.stds)} |

## How to run it

Sizes along {axes} are {_sizes(least_sizes(model))} pixels or more, in steps
of {_sizes(model.network.multiple)}. Tiles need a halo of {_sizes(halos(model))} \
pixels, which is cropped.
Normalization is part of the description (pre- and postprocessing), so that input and
output are intensities.

- bioimageio.core: `bioimageio predict PACKAGE.zip`
- napari-hush, with exactly the results of the original model: `hush predict PACKAGE.zip \
IMAGE.tif -o clean.tif`
- Fiji and ilastik: the TorchScript or ONNX weights

## Validation

The test images are {test}. Validate the model on your own images: the residual (image
minus result) should show noise and no structure; if there is ground truth, compute PSNR
and SSIM. Do not expect good results for another microscope, exposure or magnification.

## Content of the package

- `weights_state.pt` and `unet.py`, weights and architecture for PyTorch
- `weights.pt` and `weights.onnx`, the same for TorchScript and ONNX
- `model.safetensors` and `configuration.yml`, the same for napari-hush {__version__}
- `test_input.npy` and `test_output.npy`

## References

{papers}
"""


def _sizes(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
