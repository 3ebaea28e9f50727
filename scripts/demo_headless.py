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
from tqdm import tqdm

from napari_hush import CAREamist
from napari_hush.config import Configuration, create_n2v_configuration
from napari_hush.errors import DataError, HushError
from napari_hush.events import (
    Event,
    ImageStarted,
    StepsDone,
    TilesDone,
    TrainingDone,
    TrainingStarted,
)
from napari_hush.io import write_tiff

# How long the demo trains, and on what: about three minutes on two slow cores.
EPOCHS = 20
STEPS_PER_EPOCH = 14
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
    bars = Bars()
    model = CAREamist(source=configuration(image, axes, epochs), on_progress=bars)
    began = perf_counter()
    model.train(train_source=image.data)
    trained = perf_counter()
    denoised = np.asarray(model.predict(source=image.data))
    predicted = perf_counter()
    bars.close()

    files = write(image, denoised, model)
    residual = image.data.astype(np.float32) - denoised
    print(f"\nWritten into {RESULTS}/:")
    for name, what in files.items():
        print(f"  {name:<{max(map(len, files))}}  {what}")
    print(f"Training    {trained - began:6.1f} seconds on {bars.device}")
    print(f"Prediction  {predicted - trained:6.1f} seconds")
    print(f"Residual    std {residual.std():.3g}, mean {residual.mean():.2g} grey values")
    if image.truth is not None:
        before, after = psnr(image.data, image.truth), psnr(denoised, image.truth)
        print(
            f"PSNR        {before:.1f} dB before, {after:.1f} dB after (the truth is known)"
        )


def training_axes(axes: str) -> str:
    """Take a volume as slices: the network in two dimensions is the faster one."""
    if "Z" not in axes:
        return axes
    if "S" in axes:
        raise DataError(
            f"The demo has no room for axes {axes} with both S and Z; use the command "
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

    at = {letter: n // 2 for letter, n in zip(image.axes, image.data.shape, strict=True)}
    others = {letter: n for letter, n in at.items() if letter not in "YX"}
    where = "".join(f", {letter} {n}" for letter, n in others.items())

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
            "before, after and what was removed",
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
    if image.truth is not None:
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


def psnr(image: NDArray[Any], truth: NDArray[Any]) -> float:
    """Peak signal-to-noise ratio in decibels, over the truth's own range."""
    error = np.mean((image.astype(np.float64) - truth) ** 2)
    return float(20 * np.log10(np.ptp(truth) / np.sqrt(error)))


class Bars:
    """A bar on the terminal for the job that runs, fed by the engine's events."""

    def __init__(self) -> None:
        self.device = ""
        self._bar: tqdm[Any] | None = None

    def __call__(self, event: Event) -> None:
        """Take note of one event."""
        if isinstance(event, TrainingStarted):
            self.device = event.device
            self._open("Training", event.num_epochs * event.steps_per_epoch, "step")
        elif isinstance(event, StepsDone):
            self._advance(len(event.losses), f"loss {np.mean(event.losses):.3f}")
        elif isinstance(event, ImageStarted):
            self._open("Denoising", event.num_tiles, "tile")
        elif isinstance(event, TilesDone):
            self._advance(len(event.regions))
        elif isinstance(event, TrainingDone):
            self.close()

    def close(self) -> None:
        """End the bar that is shown."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _open(self, what: str, total: int, unit: str) -> None:
        self.close()
        # In a log, a line now and then instead of one that changes all the time.
        pause = 0.2 if sys.stderr.isatty() else 15
        self._bar = tqdm(total=total, desc=what, unit=unit, mininterval=pause, leave=True)

    def _advance(self, number: int, note: str = "") -> None:
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(number)


if __name__ == "__main__":
    sys.exit(main())
