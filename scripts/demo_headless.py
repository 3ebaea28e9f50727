"""Train on one image, denoise it, and write what came out. Started by scripts/demo."""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from demo_image import DemoImage, load
from numpy.typing import NDArray

from napari_hush import CAREamist
from napari_hush.cli import Bars
from napari_hush.config import Configuration, create_n2v_configuration
from napari_hush.errors import DataError, HushError
from napari_hush.io import write_tiff

# How long the demo trains, and on what: about three minutes on two slow cores.
EPOCHS = 12
STEPS_PER_EPOCH = 12
BATCH_SIZE = 16
PATCH_SIZE = 64

RESULTS = Path("hush-demo")

Writer = Callable[[Path], object]


def main() -> int:
    """Run the demo; answer with the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", nargs="?", type=Path)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    given = parser.parse_args()
    try:
        demonstrate(load(given.image), given.epochs)
    except HushError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; nothing was written.", file=sys.stderr)
        return 130
    return 0


def demonstrate(image: DemoImage, epochs: int) -> None:
    """Train, denoise, write, and say what was done."""
    axes = training_axes(image.axes)
    shape = " x ".join(
        f"{letter} {n}" for letter, n in zip(axes, image.data.shape, strict=True)
    )
    print(f"Image {image.name}: {shape}, {image.data.dtype}")
    print("Ctrl-C ends the training early and continues with the model so far.")
    model = CAREamist(source=configuration(image, axes, epochs), on_progress=Bars())
    began = perf_counter()
    model.train(train_source=image.data)
    trained = perf_counter()
    denoised = np.asarray(model.predict(source=image.data))
    predicted = perf_counter()

    files = write(image, denoised, model)
    residual = image.data.astype(np.float32) - denoised
    print(f"\nWritten into {RESULTS}/:")
    for name, what in files.items():
        print(f"  {name:<{max(map(len, files))}}  {what}")
    print(f"Training    {trained - began:6.1f} seconds")
    print(f"Prediction  {predicted - trained:6.1f} seconds")
    print(f"Residual    std {residual.std():.3g}, mean {residual.mean():.2g} gray values")
    if image.ground_truth is not None:
        before, after = (psnr(data, image.ground_truth) for data in (image.data, denoised))
        print(f"PSNR        {before:.1f} dB before, {after:.1f} dB after")


def training_axes(axes: str) -> str:
    """Take a volume as slices: the network in two dimensions is the faster one."""
    if "Z" not in axes:
        return axes
    if "S" in axes:
        raise DataError(
            f"The demo does not support axes {axes} with both S and Z; use the command "
            "'hush train' for such data."
        )
    print("Taking the volume slice by slice.")
    return axes.replace("Z", "S")


def configuration(image: DemoImage, axes: str, epochs: int) -> Configuration:
    """Everything that the demo sets; the rest are the package's defaults."""
    return create_n2v_configuration(
        experiment_name=re.sub(r"[^A-Za-z0-9 _-]", "_", image.name),
        data_type="array",
        axes=axes,
        n_channels=image.data.shape[axes.index("C")] if "C" in axes else None,
        patch_size=[PATCH_SIZE, PATCH_SIZE],
        batch_size=BATCH_SIZE,
        num_epochs=epochs,
        num_steps=STEPS_PER_EPOCH,
    )


def write(image: DemoImage, denoised: NDArray[Any], model: CAREamist) -> dict[str, str]:
    """Write all results; what an earlier run wrote under their names is replaced."""
    # Drawing needs half a second of imports that a wrong argument should not wait for.
    from demo_pictures import draw_losses, draw_result

    size = dict(zip(image.axes, image.data.shape, strict=True))
    others = {letter: n // 2 for letter, n in size.items() if letter not in "YX"}
    where = "".join(f", {at} {n + 1} of {size[at]}" for at, n in others.items())

    def plane(data: NDArray[Any]) -> NDArray[Any]:
        index = tuple(others.get(letter, slice(None)) for letter in image.axes)
        shown = data[index]
        return shown if image.axes.index("Y") < image.axes.index("X") else shown.T

    jobs: dict[str, tuple[str, Writer]] = {
        f"{image.name}_denoised.tif": (
            "the denoised image",
            lambda path: write_tiff(path, denoised, image.axes, overwrite=True),
        ),
        f"{image.name}_before_after.png": (
            "before, after and residual",
            lambda path: draw_result(
                path, plane(image.data), plane(denoised), f"{image.name}{where}"
            ),
        ),
        f"{image.name}_loss.png": (
            "the loss of the training",
            lambda path: draw_losses(path, model.get_losses(), f"Training on {image.name}"),
        ),
        f"{image.name}_model.safetensors": (
            "the trained model",
            lambda path: model.save(path, overwrite=True),
        ),
    }
    if image.ground_truth is not None:
        jobs[f"{image.name}_noisy.tif"] = (
            "the simulated image, as the camera saw it",
            lambda path: write_tiff(path, image.data, image.axes, overwrite=True),
        )
    RESULTS.mkdir(exist_ok=True)
    if any((RESULTS / name).exists() for name in jobs):
        print(f"Replacing what an earlier demo of {image.name} wrote into {RESULTS}/.")
    for name, (_, make) in jobs.items():
        make(RESULTS / name)
    return {name: what for name, (what, _) in jobs.items()}


def psnr(image: NDArray[Any], ground_truth: NDArray[Any]) -> float:
    """Peak signal-to-noise ratio in decibels, over the range of the ground truth."""
    error = np.mean((image.astype(np.float64) - ground_truth) ** 2)
    return float(20 * np.log10(np.ptp(ground_truth) / np.sqrt(error)))


if __name__ == "__main__":
    sys.exit(main())
