"""Whether each method is worth its name on real images: structN2V, N2N, CARE, and 3D.

    python benchmarks/quality_methods.py --data DIR [--only CASE ...] [--steps 480]

Each case trains with the defaults, but for the steps, and compares SI-PSNR in dB with what
the method has to beat. DIR holds the folders named in `CASES`; see `quality_images.py`.
Prints a table and writes ``benchmarks/results/quality-methods.json``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from quality_images import pairs
from reporting import report
from scipy.ndimage import gaussian_filter

from napari_hush import CAREamist
from napari_hush.config import (
    create_care_configuration,
    create_n2n_configuration,
    create_n2v_configuration,
)
from napari_hush.io import open_images
from napari_hush.quality import check_data, si_psnr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

FISH, WIDE = "Confocal_FISH", "WideField_BPAE_G"


def structured(data: Path, steps: int) -> dict[str, Any]:
    """Wide-field noise that neighbours share: structN2V as the advisor says, and N2V."""
    images = pairs(data, WIDE)
    advice = _advice(images.noisy)
    plain = _n2v(images.noisy, "SYX", steps)
    struct = _n2v(
        images.noisy,
        "SYX",
        steps,
        struct_n2v_axis=advice.axis,
        struct_n2v_span=advice.span,
    )
    return {
        "case": f"structN2V, {advice.axis} {advice.span}",
        "advised": advice.method,
        "dB": _mean(struct, images.truth),
        "against": "N2V",
        "dB of that": _mean(plain, images.truth),
        "wanted": 1.5,
    }


def advised(data: Path, steps: int) -> dict[str, Any]:
    """What the advisor says of white noise; N2V after half the steps against the noisy."""
    images = pairs(data, FISH)
    return {
        "case": "N2V, confocal",
        "advised": _advice(images.noisy).method,
        "dB": _mean(_n2v(images.noisy, "SYX", steps // 2), images.truth),
        "against": "noisy",
        "dB of that": _mean(images.noisy, images.truth),
        "wanted": 0.0,
    }


def repeats(data: Path, steps: int) -> dict[str, Any]:
    """Noise2Noise from the first two exposures, against N2V on the same two."""
    images = pairs(data, FISH)
    two, truth = images.noisy[:2], images.truth[:2]
    config = create_n2n_configuration(
        "n2n", "array", "SYX", [64, 64], 16, 1, num_steps=steps
    )
    careamist = CAREamist(config)
    careamist.train(train_source=two, train_target=two[::-1])
    return {
        "case": "N2N, two exposures",
        "dB": _mean(careamist.predict(two), truth),
        "against": "N2V",
        "dB of that": _mean(_n2v(two, "SYX", steps), truth),
        "wanted": 0.0,
    }


def exposures(data: Path, steps: int) -> dict[str, Any]:
    """CARE from short to long exposures: left half for training, right for evaluation."""
    low, high = (
        tifffile.imread(next((data / "nuclei_lowhigh16").glob(f"*{kind}*.tif")))
        for kind in ("low", "high")
    )
    high = np.minimum(high, np.percentile(high, 99.9)).astype(high.dtype)
    half = low.shape[-1] // 2
    config = create_care_configuration(
        "care", "array", "YX", [64, 64], 16, 1, num_steps=steps
    )
    careamist = CAREamist(config)
    careamist.train(train_source=low[:, :half], train_target=high[:, :half])
    test, truth = low[:, half:], high[:, half:]
    return {
        "case": "CARE, nuclei",
        "dB": si_psnr(careamist.predict(test), truth),
        "against": "best Gaussian",
        "dB of that": _best_gaussian(test, truth),
        "wanted": 2.0,
    }


def volume(data: Path, steps: int) -> dict[str, Any]:
    """N2V in 3D, against the best Gaussian."""
    folder = data / "neuron_3d_semisynthetic"
    noisy, truth = (
        tifffile.imread(next(folder.glob(f"*{kind}*.tif"))) for kind in ("noisy", "gt")
    )
    clean = _n2v(noisy, "ZYX", steps // 4, patch=[16, 32, 32], batch=8)
    return {
        "case": "N2V in 3D, neuron",
        "dB": si_psnr(clean, truth),
        "against": "best Gaussian",
        "dB of that": _best_gaussian(noisy, truth),
        "wanted": 0.5,
    }


def thin(data: Path, steps: int) -> dict[str, Any]:
    """Five planes and time: that it runs; how much of the variance was taken as noise."""
    noisy = tifffile.imread(next((data / "cho_3d_timelapse").glob("*.tif")))
    config = create_n2v_configuration(
        "thin", "array", "TZYX", [5, 64, 64], 4, 1, steps // 8
    )
    careamist = CAREamist(config)
    careamist.train(train_source=noisy)
    clean = careamist.predict(noisy)
    kept = float(np.corrcoef(clean.ravel(), noisy.ravel())[0, 1])
    return {
        "case": f"N2V in 3D, Z = 5, {clean.shape}",
        "dB": kept,
        "against": "correlation with the source, above 0.5",
        "dB of that": 0.5,
        "wanted": 0.0,
    }


CASES: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    task.__name__: task for task in (structured, advised, repeats, exposures, volume, thin)
}


def _n2v(
    noisy: NDArray[Any],
    axes: str,
    steps: int,
    *,
    patch: Sequence[int] = (64, 64),
    batch: int = 16,
    **more: Any,
) -> NDArray[np.float32]:
    config = create_n2v_configuration(
        "quality", "array", axes, list(patch), batch, 1, steps, **more
    )
    careamist = CAREamist(config)
    careamist.train(train_source=noisy)
    clean: NDArray[np.float32] = careamist.predict(noisy)
    return clean


def _advice(noisy: NDArray[Any]) -> Any:
    (image,) = open_images(noisy, "array", "SYX")
    return check_data(image).advice


def _mean(clean: Any, truth: Any) -> float:
    both = zip(clean, truth, strict=True)
    return float(np.mean([si_psnr(c, t) for c, t in both]))


def _best_gaussian(noisy: NDArray[Any], truth: NDArray[Any]) -> float:
    pixels = noisy.astype("float32")
    widths = np.arange(0.5, 6.1, 0.25)
    return max(si_psnr(gaussian_filter(pixels, width), truth) for width in widths)


def main() -> None:
    """Run the cases one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True, type=Path, help="folder of the images")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--steps", type=int, default=480)
    options = parser.parse_args()
    rows = []
    for name in options.only:
        start = time.perf_counter()
        found = CASES[name](options.data, options.steps)
        rows.append(
            {
                "case": found["case"],
                "advised": found.get("advised", "-"),
                "dB": f"{found['dB']:.2f}",
                "against": found["against"],
                "that, dB": f"{found['dB of that']:.2f}",
                "gained": f"{found['dB'] - found['dB of that']:+.2f}",
                "wanted": f"{found['wanted']:+.1f}",
                "s": time.perf_counter() - start,
            }
        )
        report(
            "quality-methods",
            f"SI-PSNR of the methods, {options.steps} steps",
            rows,
            "Goal: at least the gain in the table.",
        )


if __name__ == "__main__":
    main()
