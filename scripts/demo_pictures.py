"""The demo's pictures: before, after and residual; and the loss."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

STYLE = {
    "font.size": 13,
    "axes.titlesize": 16,
    "axes.labelsize": 14,
    "figure.titlesize": 18,
    "figure.dpi": 110,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
INK = "#1f6f8b"
ACCENT = "#d1495b"
DETAIL = 128  # pixels; the noise of a whole image is too fine to be seen


def draw_result(
    path: Path, noisy: NDArray[Any], denoised: NDArray[Any], title: str
) -> None:
    """Draw one plane before and after on one scale, the residual, and a detail."""
    noisy, denoised = noisy.astype(np.float32), denoised.astype(np.float32)
    removed = noisy - denoised
    low, high = np.quantile(denoised, [0.002, 0.999])
    grey = {"cmap": "gray", "vmin": low, "vmax": max(high, low + 1e-6)}
    bound = max(float(np.quantile(np.abs(removed), 0.998)), 1e-6)
    signed = {"cmap": "RdBu_r", "vmin": -bound, "vmax": bound}
    top, left, side = _detail(denoised)
    columns = (
        ("Before", noisy, grey),
        ("After", denoised, grey),
        (f"Removed (before - after), std {removed.std():.3g}", removed, signed),
    )
    with plt.rc_context(STYLE):
        height, width = denoised.shape
        panel = 5.4
        first = panel * float(np.clip(height / width, 0.3, 1.6))
        figure, axes = plt.subplots(
            2,
            3,
            figsize=(3 * panel + 1.5, first + panel + 0.6),
            height_ratios=(first, panel),
            layout="constrained",
        )
        figure.suptitle(title)
        for column, (label, plane, look) in enumerate(columns):
            whole, part = axes[:, column]
            shown = whole.imshow(plane, interpolation="nearest", **look)
            whole.set_title(label)
            whole.add_patch(
                Rectangle((left, top), side, side, fill=False, edgecolor=ACCENT, lw=1.8)
            )
            part.imshow(
                plane[top : top + side, left : left + side],
                interpolation="nearest",
                extent=(left, left + side, top + side, top),
                **look,
            )
            for axis, line in ((whole, 0.0), (part, 2.2)):
                axis.set(xticks=[], yticks=[])
                for spine in axis.spines.values():
                    spine.set(visible=line > 0, color=ACCENT, linewidth=line)
            if column == 1:
                figure.colorbar(
                    shown, ax=axes[:, :2], location="left", shrink=0.6, aspect=35, pad=0.01
                ).set_label("gray value, one scale for before and after")
        figure.colorbar(
            shown, ax=axes[:, 2], location="right", shrink=0.6, aspect=35, pad=0.03
        ).set_label("gray values removed")
        figure.savefig(path)
        plt.close(figure)


def draw_losses(path: Path, losses: Mapping[str, Sequence[float]], title: str) -> None:
    """Draw the loss of every step, and the means of the epochs."""
    step_loss = np.asarray(losses["train_step_loss"], dtype=float)
    steps = np.asarray(losses["train_step"], dtype=float) + 1
    per_epoch = steps[-1] / max(len(losses["train_epoch"]), 1)
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(9, 5.4), layout="constrained")
        axis.plot(steps, step_loss, color=INK, alpha=0.25, lw=1, label="each step")
        for key, at, label, look in (
            ("train", 0.5, "training, mean of the epoch", {"color": INK, "marker": "o"}),
            ("val", 1.0, "validation", {"color": ACCENT, "marker": "s"}),
        ):
            epochs = np.asarray(losses[f"{key}_epoch"], dtype=float)
            values = np.asarray(losses[f"{key}_loss"], dtype=float)
            if len(values):
                axis.plot(
                    (epochs + at) * per_epoch, values, lw=2.2, ms=5, label=label, **look
                )
        # A few steps may stick out of the picture; no mean does.
        means = [*losses["train_loss"], *losses["val_loss"]]
        lowest = min(step_loss.min(), *means)
        highest = max(np.quantile(step_loss, 0.985), *means)
        margin = 0.15 * max(highest - lowest, 1e-6)
        axis.set_ylim(max(lowest - margin, 0), highest + margin)
        axis.set(xlabel="optimizer steps", ylabel="loss (squared error, normalized)")
        axis.set_title(title)
        axis.grid(alpha=0.2)
        axis.legend(frameon=False)
        axis.text(
            0.0,
            -0.19,
            "Measured against noisy pixels, the loss ends near their noise, not at 0.",
            transform=axis.transAxes,
            fontsize=11,
            color="#666666",
        )
        figure.savefig(path)
        plt.close(figure)


def _detail(plane: NDArray[Any]) -> tuple[int, int, int]:
    """Top, left and side of the square with the most structure in it."""
    side = min(DETAIL, *plane.shape)
    stride = max(side // 2, 1)
    corners = [
        (top, left)
        for top in range(0, plane.shape[0] - side + 1, stride)
        for left in range(0, plane.shape[1] - side + 1, stride)
    ]
    top, left = max(
        corners,
        key=lambda c: float(plane[c[0] : c[0] + side, c[1] : c[1] + side].std()),
    )
    return top, left, side
