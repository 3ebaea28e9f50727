"""Take a picture of the docks in every state, at one size: see scripts/screenshots.

The training is short: how the dock looks counts here, not how good its model is.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from qtpy.QtWidgets import QLabel, QWidget
from screenshots_window import Stage, control, pause, until

from napari_hush.config import create_n2v_configuration
from napari_hush.events import StepsDone
from napari_hush.io import write_tiff
from napari_hush.io.samples import simulated
from napari_hush.models import Model, UNet, save_model
from napari_hush.models.normalization import Normalization
from napari_hush.widgets.data.training_data import TrainingData
from napari_hush.widgets.jobs.crash_recovery import discard, interrupted_runs
from napari_hush.widgets.jobs.tasks import StopRequest, Training
from napari_hush.widgets.results.pairing import result_mark
from napari_hush.widgets.settings.cost_estimate import Speed

SIZES = {
    "1366x768": (1366, 768, 330),
    "1920x1080": (1920, 1080, 330),
    "300": (1280, 1000, 300),
    "200-percent": (1366, 768, 330),
}
"""Width and height of the window and width of the dock in pixels before scaling."""
LARGE = 3072  # side in pixels of the image that is denoised halfway
EPOCHS, STEPS = 50, 10
SPEED = Speed(1e10, 0.012)  # for the estimates


def main() -> None:
    """Go from state to state."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="1366x768")
    parser.add_argument("--to", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--only", nargs="*", choices=STATES, help="these states alone")
    given = parser.parse_args()
    for name in ("HUSH_CONFIG_DIR", "HUSH_DATA_DIR"):
        os.environ[name] = tempfile.mkdtemp()
    SPEED.save("auto")  # this machine may be busy
    given.to.mkdir(parents=True, exist_ok=True)
    width, height, dock = SIZES[given.size]
    stage = Stage(given.to, (width, height), dock)
    stage.dock_only = given.size == "300"
    stage.suffix = f"-{given.size}"
    for name in given.only or STATES:
        STATES[name](stage)
    os._exit(0)  # napari's own goodbye asks questions


STATES: dict[str, Callable[[Stage], None]] = {}
"""Functions by name; each leaves the dock at rest."""


def state(take: Callable[[Stage], None]) -> Callable[[Stage], None]:
    """Add to `STATES`."""
    STATES[take.__name__] = take
    return take


@state
def empty(stage: Stage) -> None:
    """Nothing is open."""
    stage.take("empty")


@state
def checking(stage: Stage) -> None:
    """A large image, whose noise is being checked."""
    stage.show(mosaic(), "mosaic")
    stage.take("checking", wait=0.0, themes=("dark",))


@state
def chosen(stage: Stage) -> None:
    """An image with independent noise."""
    show_cells(stage)
    stage.take("chosen")


@state
def unfolded(stage: Stage) -> None:
    """All sections of the settings."""
    show_cells(stage)
    stage.unfold("fold_data", "fold_training", "fold_denoising")
    stage.take("unfolded")
    stage.unfold("fold_settings")
    stage.take("settings")
    stage.unfold("fold_settings", "fold_data", "fold_training", "fold_denoising")
    stage.unfold("fold_check")
    stage.take("noise")
    stage.unfold("fold_check")


@state
def training(stage: Stage) -> None:
    """In progress, paused, and at its end."""
    show_cells(stage)
    stage.dock.setValue(quick())
    stage.click("train")
    until(lambda: any("preview" in layer.name for layer in stage.viewer.layers))
    stage.take("training")
    stage.click("pause")
    until(lambda: stage.find("pause").text() == "Resume")
    stage.take("paused")
    stage.click("stop")
    stage.ready("train")
    stage.take("trained")


@state
def result(stage: Stage) -> None:
    """Denoised, compared with ground truth, and seen side by side."""
    truth = show_cells(stage)
    stage.unfold("fold_data")
    stage.find("truth_layer").setCurrentText(truth.name)
    stage.unfold("fold_data")
    train(stage)
    stage.denoise()
    until(lambda: "PSNR" in stage.text("compare_numbers"))
    stage.take("result")
    for view in ("swipe", "residual"):
        stage.click(f"compare_{view}")
        stage.take("compare" if view == "swipe" else view)
        stage.click(f"compare_{view}")


@state
def verdicts(stage: Stage) -> None:
    """Results of which each has another verdict."""
    from scipy.ndimage import gaussian_filter

    truth = show_cells(stage)
    noisy, clean = stage.viewer.layers["cells"], truth.data
    faint = np.random.default_rng(0).normal(clean, 60 * clean.std()).astype(np.float32)
    for name, pixels, seen in (
        ("good", clean, noisy.data),
        ("look-closer", noisy.data, noisy.data),
        ("structure-lost", gaussian_filter(noisy.data.astype(np.float32), 8), noisy.data),
        ("too-noisy", np.full_like(faint, faint.mean()), faint),
    ):
        stage.show(seen, "cells")
        source = stage.viewer.layers["cells"]
        mark = result_mark(str(source.unique_id), number=1)
        stage.viewer.add_image(pixels, name="cells denoised", metadata=mark)
        until(lambda: stage.text("verdict") not in ("", "Checking the result …"))
        stage.take(f"verdict-{name}")


@state
def denoising(stage: Stage) -> None:
    """A large layer while its result fills."""
    show_cells(stage)
    train(stage)
    stage.show(mosaic(), "mosaic")
    stage.ready("denoise")
    stage.click("denoise")
    bar = stage.find("progress")
    until(lambda: 3 * bar.value() > bar.maximum() > 4 or stage.at_rest)
    stage.take("denoising")
    stage.click("cancel")
    until(lambda: stage.at_rest)


@state
def care(stage: Stage) -> None:
    """Another method: first what it lacks, then its target and result."""
    truth = show_cells(stage)
    stage.unfold("fold_training")
    stage.click("method_4")
    stage.unfold("fold_training")
    stage.take("blocked")
    stage.find("target_layer").setCurrentText(truth.name)
    stage.take("care")
    train(stage, keep_method=True)
    stage.denoise()
    stage.click("compare_swipe")
    stage.take("care-result")
    stage.click("compare_swipe")
    stage.click("reset_all")


@state
def correlated(stage: Stage) -> None:
    """Noise that Noise2Void cannot remove."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(0).normal(0, 60, (512, 512))
    smooth = 300 + simulated()[1][:512, :512] + gaussian_filter(noise, 1.5) * 4
    stage.show(smooth.astype(np.float32), "smoothed")
    stage.settle()
    stage.take("correlated")
    stage.unfold("fold_check")
    stage.take("correlated-details")
    stage.unfold("fold_check")


@state
def unfit(stage: Stage) -> None:
    """Models that were loaded: one for stacks, and a 2D model on a stack."""
    show_cells(stage)
    for axes in ("ZYX", "YX"):
        if axes == "YX":
            stage.show(np.stack([simulated()[0]] * 5), "stack", axis_labels=tuple("zyx"))
        stage.dock.loadModel(untrained(axes))
        stage.ready("load_model")
        stage.take("unfit" if axes == "ZYX" else "plane-by-plane")


@state
def interrupted(stage: Stage) -> None:
    """An interrupted training, as a newly opened dock finds it."""
    cells = simulated()[0]
    task = Training(quick(), TrainingData((cells,)), "cells")

    def crash(event: object) -> None:
        if isinstance(event, StepsDone):
            raise InterruptedError

    with suppress(InterruptedError):
        task(crash, StopRequest())
    stage.find("interrupted").refresh()
    stage.take("interrupted")
    discard(interrupted_runs()[0].folder)
    stage.find("interrupted").refresh()


@state
def failed(stage: Stage) -> None:
    """Pixels that cannot be learned from: seen before the click, and after it."""
    broken = simulated()[1].copy()
    broken[3, 4] = np.nan
    stage.show(broken, "broken")
    stage.settle()
    stage.take("unusable")
    truth = show_cells(stage)
    truth.data = np.full_like(truth.data, 7)
    stage.unfold("fold_training")
    stage.click("method_4")
    stage.unfold("fold_training")
    stage.find("target_layer").setCurrentText(truth.name)
    stage.click("train")
    stage.ready("train")
    stage.take("failed")
    stage.click("reset_all")


@state
def dialogs(stage: Stage) -> None:
    """Help, and the form for a package."""
    from napari_hush.widgets.model.export_form import ask_about

    show_cells(stage)
    layer = stage.viewer.layers["cells"]
    stage.click("help_training")
    stage.take("help", seen=stage.find("help_window"))
    stage.click("help_training")
    ask_about(stage.dock, random_model(), "cells", layer, "YX", print)
    stage.find("export_author_0").setText("Ada Person")
    stage.find("export_orcid_0").setText("0000-0002-1825-0098")
    form = stage.find("export_form")
    stage.take("export", seen=form)
    form.reject()


@state
def files(stage: Stage) -> None:
    """The other dock: empty, with files, at work, and at its end."""
    frame, dock = stage.viewer.window.add_plugin_dock_widget("napari-hush", "Denoise files")
    pause(1)
    frame.raise_()
    seen = dock if stage.dock_only else None
    stage.take("files-empty", seen=seen)
    folder = Path(tempfile.mkdtemp()) / "raw"
    folder.mkdir()
    for number in range(6):
        write_tiff(
            folder / f"cells {number}.tif", np.tile(simulated(number)[0], (3, 3)), "YX"
        )
    (folder / "notes.tif").write_text("no image")
    control(dock, QWidget, "files_source").setText(str(folder))
    control(dock, QWidget, "files_model").setText(str(untrained("YX")))
    start = control(dock, QWidget, "files_start")
    until(start.isEnabled)
    stage.take("files-ready", seen=seen)
    start.click()
    until(lambda: "2 of" in control(dock, QLabel, "status").text() or start.isVisible())
    stage.take("files-running", seen=seen)
    until(start.isVisible)
    stage.take("files-done", seen=seen)
    frame.close()


def quick(axes: str = "YX"):
    """A configuration for a short training."""
    patch = [4, 32, 32] if "Z" in axes else [32, 32]
    return create_n2v_configuration(
        "cells", "array", axes, patch, 8, EPOCHS, num_steps=STEPS
    )


def untrained(axes: str) -> Path:
    """The file of a model with random weights."""
    path = Path(tempfile.mkdtemp()) / f"{axes}.safetensors"
    return save_model(random_model(axes), path)


def random_model(axes: str = "YX") -> Model:
    """A model with random weights."""
    config = quick(axes)
    network = UNet(config.algorithm_config.model).eval()
    return Model(config, network, Normalization((300.0,), (100.0,)))


def train(stage: Stage, *, keep_method: bool = False) -> None:
    """Train for a moment."""
    if keep_method:
        config = stage.dock.value()
        short = {"num_epochs": 4, "num_steps": STEPS}
        training = config.training_config.replace(**short)
        stage.dock.setValue(config.replace(training_config=training))
    else:
        stage.dock.setValue(quick())
    stage.click("train")
    until(lambda: stage.dock.state.done > 3 * STEPS or stage.at_rest)
    if not stage.at_rest:
        stage.click("stop")
    stage.ready("train")


def show_cells(stage: Stage):
    """Show the simulated cells alone; returns their ground truth, hidden."""
    noisy, truth = simulated()
    stage.viewer.layers.clear()
    hidden = stage.viewer.add_image(truth, name="cells (ground truth)", visible=False)
    span = (float(truth.min()), float(truth.max()))
    stage.show(noisy, "cells", keep=True, contrast_limits=span)
    stage.settle()
    return hidden


def mosaic() -> np.ndarray:
    """A large noisy image."""
    cells = simulated()[1]
    turns = [-(-LARGE // size) for size in cells.shape]
    tiled = np.tile(cells, turns)[:LARGE, :LARGE]
    return np.random.default_rng(0).poisson(tiled).astype(np.float32)


if __name__ == "__main__":
    main()
