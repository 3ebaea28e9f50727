"""The page that goes with a shared model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_hush import __version__
from napari_hush.axes import spatial_axes
from napari_hush.exchange.about import METHODS, About, citations, method_of
from napari_hush.exchange.description import description_of, name_of
from napari_hush.exchange.sample import least_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_hush.models import Model


def readme(model: Model, about: About, *, simulated: bool) -> str:
    """The page as Markdown.

    Parameters
    ----------
    model : Model
        Network and statistics.
    about : About
        Name, authors and so on.
    simulated : bool
        Whether the test images are a pattern rather than a real image.
    """
    config = model.config
    algorithm, data = config.algorithm_config, config.data_config
    network, letters = algorithm.model, spatial_axes(config.data_config.axes)
    test = (
        "a simulated pattern with noise, of the mean and standard deviation of the "
        "training data: they show that the model runs, not how well it denoises"
        if simulated
        else "part of a real image"
    )
    papers = "\n".join(
        f"- {paper['text']}, https://doi.org/{paper['doi']}" for paper in citations(config)
    )
    return f"""# {name_of(model, about)}

{description_of(model, about)}

## What it was trained on

{about.data_description or "The authors did not describe the training data."}

| | |
|---|---|
| method | {METHODS[method_of(config)]} |
| network | U-Net {network.conv_dims}D, depth {network.depth}, {network.num_channels_init} \
filters{", N2V2" if network.n2v2 else ""} |
| channels | {network.in_channels} in, {network.num_classes} out\
{"" if network.in_channels == 1 else _together(network.independent_channels)} |
| patches | {_sizes(data.patch_size)} pixels ({", ".join(letters)}), \
{data.batch_size} at once |
| trained for | {model.epochs} epochs, {model.steps} steps |
| loss | {algorithm.loss} |
| mean of the input | {_numbers(model.normalization.means)} |
| standard deviation of the input | {_numbers(model.normalization.stds)} |

## How to run it

Sizes along {", ".join(letters)} are {_sizes(least_sizes(model))} pixels or more, in steps
of {_sizes(model.network.multiple)}. Tiles need a halo of \
{_sizes(model.network.halo)} pixels, which is cut off.
Scaling of intensities is part of the description (pre- and postprocessing), so that
intensities go in and come out.

- bioimageio.core: `bioimageio predict PACKAGE.zip`
- napari-hush, with the same result as where it was trained: `hush predict PACKAGE.zip \
IMAGE.tif -o clean.tif`
- Fiji and ilastik: the TorchScript or ONNX weights

## Validation

The test images are {test}. Whether the model suits images of your own is yours to check:
look at the difference between an image and its result, which should show noise and no
structure, and compare with a clean image where there is one (PSNR, SSIM). Do not expect
good results for images of another microscope, exposure or magnification.

## What is in the package

- `weights_state.pt`, the weights, and `unet.py`, the network they belong to
- `weights.pt` and `weights.onnx`, the same for TorchScript and ONNX
- `model.safetensors` and `configuration.yml`, the same for napari-hush {__version__}
- `test_input.npy` and `test_output.npy`

## References

{papers}
"""


def _together(independent: bool) -> str:
    return ", each by itself" if independent else ", together"


def _sizes(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
