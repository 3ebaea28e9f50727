"""Draw the pictures of the tutorials and of other pages, but for screenshots."""

import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")
from docs_diagrams import draw_diagrams
from matplotlib import pyplot as plt
from PIL import Image as Picture
from pretraining import KINDS, Detector, Optics, scene

from napari_hush import CAREamist
from napari_hush.config import create_care_configuration, create_n2v_configuration
from napari_hush.io.samples import simulated
from napari_hush.quality import check_data, check_residual

DOCS = Path(__file__).parents[1] / "docs"
TUTORIALS = ("n2v", "n2v2", "structn2v", "n2n", "care")
DETAIL = np.s_[150:310, 120:280]  # the noise of a whole image is too fine to be seen
STYLE: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 200,
}
DPI = STYLE["figure.dpi"]  # pages show pictures at half of their pixels
WIDTH, GAP, LINE = 1984, 16, 44  # of rows of images, between them, of a line of title
# Blue and orange of Okabe and Ito, which color-blind people can distinguish.
BLUE, ORANGE = "#0072B2", "#D55E00"


def main(names: Sequence[str]) -> None:
    """Draw the named pictures."""
    drawings = {
        "diagrams": draw_diagrams,
        "results": draw_results,
        "pretraining": draw_structures,
    }
    for name in names:
        if name in drawings:
            drawings[name]()
        elif name in TUTORIALS:
            draw_tutorial(name)
        else:
            sys.exit(f"No picture {name!r}; choose from {*TUTORIALS, *drawings}.")


def draw_tutorial(name: str) -> None:
    """Run the page's code as it stands, and draw what its variables hold."""
    page = (DOCS / "tutorials" / f"{name}.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    made: dict[str, Any] = {"__name__": name}
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            print(f"--- {name}", flush=True)
            exec(compile(code, f"{name}.md", "exec"), made)  # noqa: S102
        finally:
            os.chdir(before)
    noisy, denoised, ground_truth = (
        np.asarray(made[key], np.float32)[DETAIL]
        for key in ("noisy", "denoised", "ground_truth")
    )
    grey = grey_scale(ground_truth)
    draw_row(
        f"tutorial-{name}.png",
        [
            ("Before", noisy, grey),
            ("After", denoised, grey),
            ("Ground truth", ground_truth, grey),
            ("Residual", noisy - denoised, signed_scale(noisy - ground_truth)),
        ],
    )


# --- docs/results.md ----------------------------------------------------------------------


def draw_results() -> None:
    """Curves, residuals and autocorrelations, good and bad."""
    noisy, ground_truth = simulated()
    good = trained(n2v(), noisy)
    draw_losses()
    draw_residuals(noisy, ground_truth, good.predict(noisy))
    draw_correlations(ground_truth)


def n2v(**settings: Any) -> Any:
    """Noise2Void as in its tutorial."""
    given = {"num_epochs": 50, **settings}
    return create_n2v_configuration("cells", "array", "YX", [64, 64], 16, **given)


def trained(config: Any, image: Any) -> CAREamist:
    """Train on one image."""
    careamist = CAREamist(config)
    careamist.train(train_source=image)
    return careamist


def draw_losses() -> None:
    """A run as it should be, one that is too short, one that overfits."""
    noisy, ground_truth = simulated()
    good = trained(n2v(weights="random"), noisy)
    slow = trained(n2v(weights="random", optimizer_params={"lr": 3e-5}), noisy)
    few = create_care_configuration(
        "overfit", "array", "YX", [32, 32], 4, 300, augmentations=[], weights="random",
        lr_scheduler="StepLR", lr_scheduler_params={"step_size": 1000},
    )  # fmt: skip
    overfit = CAREamist(few)
    here, there = np.s_[150:214, 120:184], np.s_[300:364, 300:364]
    overfit.train(
        train_source=noisy[here],
        train_target=ground_truth[here],
        val_source=noisy[there],
        val_target=ground_truth[there],
    )
    panels = (
        ("Good: falls, then stays level", good),
        ("Too short: still falling", slow),
        ("Overfitting: validation far above", overfit),
    )
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(9, 2.9), layout="constrained")
        for axis, (title, careamist) in zip(axes, panels, strict=True):
            losses = careamist.get_losses()
            epochs = np.asarray(losses["train_epoch"]) + 1
            axis.plot(epochs, losses["train_loss"], color=BLUE, label="training")
            dashed = {"color": ORANGE, "ls": "--", "label": "validation"}
            axis.plot(np.asarray(losses["val_epoch"]) + 1, losses["val_loss"], **dashed)
            # EMA weights are far off in the first epochs.
            high = 1.4 * np.quantile(losses["train_loss"] + losses["val_loss"][5:], 0.97)
            axis.set(title=title, xlabel="epochs", ylim=(0, high))
        axes[0].set_ylabel("loss")
        axes[0].legend(frameon=False)
    save(figure, "results-loss.png")


def draw_residuals(
    noisy: NDArray[Any], ground_truth: NDArray[Any], denoised: NDArray[Any]
) -> None:
    """Residuals of a good result, of one that is too smooth, and of one with noise left."""
    image = noisy.astype(np.float32)
    results = (
        ("Good", denoised),
        ("Structure", blurred(image, 3.0)),
        ("Noise left", 0.5 * (denoised + image)),
    )
    scale = signed_scale(image[DETAIL] - ground_truth[DETAIL])
    panels = []
    for title, result in results:
        report = check_residual(image, result, "YX")
        print(title, report.verdict, f"{report.structure:.2f} {report.noise_share:.2f}")
        panels.append((f"{title}: “{report.verdict}”", (image - result)[DETAIL], scale))
    draw_row("results-residual.png", panels)


def draw_correlations(ground_truth: NDArray[Any]) -> None:
    """The autocorrelation of four kinds of noise, as check_data finds it."""
    white = np.random.default_rng(0).normal(0, 14, ground_truth.shape)
    lines = sum(
        share * np.roll(white, shift, axis=1)
        for shift, share in enumerate((0.75, 0.55, 0.35))
    )
    kinds = (
        ("White", white),
        ("Along lines", lines),
        ("Smoothed a little", 2.2 * blurred(white, 0.65)),
        ("Smoothed a lot", 6 * blurred(white, 1.8)),
    )
    scale = {"cmap": "gray", "vmin": 0, "vmax": 1}
    panels = []
    for title, noise in kinds:
        report = check_data((ground_truth + noise).astype(np.float32), "YX")
        said = " ".join(
            str(part)
            for part in (report.suggestion, report.axis, report.span)
            if part not in ("none", 1)
        )
        print(title, report.reason)
        panels.append((f"{title}\n→ {said or 'none'}", report.channels[0].noise.map, scale))
    draw_row("results-correlation.png", panels)


def blurred(image: NDArray[Any], sigma: float) -> NDArray[Any]:
    """A Gaussian blur that wraps around at the border; sigma in pixels."""
    damping = [
        np.exp(-2 * (np.pi * sigma * np.fft.fftfreq(size)) ** 2) for size in image.shape
    ]
    spectrum = np.fft.fft2(image) * damping[0][:, None] * damping[1]
    return np.fft.ifft2(spectrum).real.astype(np.float32)


# --- docs/dev/pretraining.md --------------------------------------------------------------


def draw_structures() -> None:
    """Each kind of structure, without and with noise; and two together."""
    size, shown = (256, 256), np.s_[64:192, 64:192]
    optics, detector = Optics(psf_width=2.0), Detector(photons=50, read_noise=1)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(6, 5, figsize=(7.36, 9.4), layout="constrained")
        columns = axes.reshape(3, 2, 5).swapaxes(1, 2).reshape(15, 2)
        for number, (pair, kind) in enumerate(zip(columns, (*KINDS, None), strict=True)):
            rng = np.random.default_rng([6 if kind else 27, number])
            image = optics.image(scene(rng, size, kind))[shown]
            levels = grey_scale(image) | {"vmin": 0.0}
            if kind == "flat":
                levels["vmax"] = 2.0
            noisy = detector.exposed(image, rng) / detector.photons
            for axis, shown_image in zip(pair, (image, noisy), strict=True):
                axis.imshow(shown_image, interpolation="nearest", **levels)
                axis.set_axis_off()
            pair[0].set_title(kind or "two together")
    save(figure, "pretraining.png", tight=False)


# --- drawing ------------------------------------------------------------------------------


def grey_scale(image: NDArray[Any]) -> dict[str, Any]:
    """From the darkest to the brightest of `image`."""
    low, high = np.quantile(image, [0.002, 0.999])
    return {"cmap": "gray", "vmin": low, "vmax": high}


def signed_scale(residual: NDArray[Any]) -> dict[str, Any]:
    """Blue for what was made brighter, red for what was made darker, white for 0."""
    bound = float(np.quantile(np.abs(residual), 0.998))
    return {"cmap": "RdBu_r", "vmin": -bound, "vmax": bound}


def draw_row(
    name: str, panels: Sequence[tuple[str, NDArray[Any], Mapping[str, Any]]]
) -> None:
    """Pictures side by side, each with its title and its scale.

    Each pixel of an image becomes a square of whole pixels, which avoids moire.
    """
    zoom = (WIDTH // len(panels) - GAP) // max(image.shape[1] for _, image, _ in panels)
    sides = [(zoom * image.shape[1], zoom * image.shape[0]) for _, image, _ in panels]
    lines = max(title.count("\n") for title, _, _ in panels) + 1
    width = sum(side for side, _ in sides) + GAP * (len(panels) - 1)
    height = max(side for _, side in sides) + LINE * lines
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(width / DPI, height / DPI))
        left = 0
        for (title, image, scale), (wide, high) in zip(panels, sides, strict=True):
            place = (left / width, 0, wide / width, high / height)
            axis = figure.add_axes(place)
            axis.imshow(image, interpolation="nearest", aspect="auto", **scale)
            axis.set_title(title)
            axis.set_axis_off()
            left += wide + GAP
    save(figure, name, tight=False)


def save(figure: Any, name: str, *, tight: bool = True) -> None:
    """As a PNG of 256 colors: the scale of grays and the one from blue to red."""
    path = DOCS / "images" / name
    cut = {"bbox_inches": "tight", "pad_inches": 0.04} if tight else {}
    figure.savefig(path, **cut)
    plt.close(figure)
    scales = [mpl.colormaps[scale](np.linspace(0, 1, 127)) for scale in ("gray", "RdBu_r")]
    lines = [mpl.colors.to_rgba(color) for color in (BLUE, ORANGE)]
    palette = Picture.new("P", (1, 1))
    colors = np.concatenate([*scales, lines])[:, :3] * 255
    palette.putpalette(np.rint(colors).astype(np.uint8).tobytes())
    with Picture.open(path) as picture:
        few = picture.convert("RGB").quantize(palette=palette, dither=Picture.Dither.NONE)
    few.save(path, optimize=True)
    print(f"docs/images/{name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or [*TUTORIALS, "diagrams", "results", "pretraining"])
