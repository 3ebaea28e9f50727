"""How often the verdict of `check_residual` is wrong, on images with ground truth.

    python benchmarks/verdict.py --data DIR [--cache DIR] [--steps 300] [--shift N]

Per image: networks trained on it for `steps` and for 20 steps, Gaussian blurs, a flat
image, the image itself, and others where the data allow. Ground truth decides whether a
result is good: SI-PSNR of the best Gaussian blur less 0.5 dB or more, and 1.5 dB above the
noisy image. It is bad if it is flat, the noisy image itself, or 2 dB below the best blur.
DIR holds the folders named in `images`; results are kept in the cache. `--shift` takes
other crops, frames and fields.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter

from napari_hush import CAREamist
from napari_hush.config import (
    create_care_configuration,
    create_n2n_configuration,
    create_n2v_configuration,
)
from napari_hush.quality import check_residual, si_psnr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Array = np.ndarray[Any, np.dtype[Any]]

GROUPS = (
    "Confocal_FISH",
    "TwoPhoton_MICE",
    "Confocal_BPAE_B",
    "Confocal_BPAE_G",
    "Confocal_BPAE_R",
    "WideField_BPAE_G",
)
BLURS = (1.0, 2.0, 3.0, 5.0)
SMALL = {"num_channels_init": 16, "depth": 2}
GOOD, GAINED, BAD = 0.5, 1.5, 2.0
"""dB below the best blur, dB above the noisy image, dB below the best blur."""


class Pair(NamedTuple):
    """A noisy image, its ground truth, and another noisy one or the target of CARE."""

    name: str
    noisy: Array
    truth: Array
    other: Array | None = None


class Case(NamedTuple):
    """A result to judge."""

    image: str
    result: str
    noisy: Array
    denoised: Array
    truth: Array
    fit_gain: bool = False


def images(data: Path, shift: int) -> Iterator[Pair]:
    """The images, cut to about 256 x 256 pixels."""
    corner = ((128, 128), (0, 0), (256, 0), (200, 256))[shift % 4]
    cut = np.s_[corner[0] : corner[0] + 256, corner[1] : corner[1] + 256]
    fmd = data / "fmd_repeats"
    for name in GROUPS:
        clean = _png(fmd / f"gt/{name}.png")[cut]
        noisy, other = (
            _png(fmd / f"raw/{name}_{1 + (shift + k) % 4}.png")[cut] for k in (0, 1)
        )
        yield Pair(name, noisy, clean, other)
    fields = sorted((data / "w2s_3ch/noisy").glob("*.tif"))
    for number in (shift % 5, (shift + 1) % 5):
        file = fields[number]
        noisy, clean = (
            tifffile.imread(data / "w2s_3ch" / kind / file.name) for kind in ("noisy", "gt")
        )
        for channel in range(3):
            name = f"w2s {number} channel {channel}"
            yield Pair(name, noisy[channel][cut], clean[channel][cut])
    calcium = data / "calcium_sim_repeats"
    yield Pair(
        "calcium",
        _png(calcium / f"noisy/{shift}.png")[cut],
        _png(calcium / "gt/gt.png")[cut],
    )
    low, high = (
        tifffile.imread(data / f"nuclei_lowhigh16/{k}.tif") for k in ("low", "high")
    )
    high = np.minimum(high, np.percentile(high, 99.9)).astype(high.dtype)
    left = (128 + 320 * shift) % 768
    part = np.s_[128:384, left : left + 256]
    yield Pair("nuclei", low[part], high[part], high[part])
    volume = np.s_[4:20, 16 * (shift % 3) :, :96]
    noisy, clean = (
        tifffile.imread(data / f"neuron_3d_semisynthetic/{k}.tif")[volume]
        for k in ("noisy", "gt")
    )
    yield Pair("neuron 3D", noisy, clean)
    for number in (1, 4, 9):
        picture = _png(data / f"set12/{number + shift % 3:02d}.png")[:256, :256]
        yield Pair(f"set12 {number + shift % 3}", _noised(picture, 25, number), picture)
    for number, sigma in ((3, 25), (12, 50)):
        picture = _png(data / f"bsd_train400/test_{number + shift:03d}.png")
        noisy = _noised(picture, sigma, number)
        yield Pair(f"bsd {number + shift} sigma {sigma}", noisy, picture)


def cases(pair: Pair, cache: Path, steps: int) -> Iterator[Case]:
    """Results of one image."""
    name, noisy, truth, other = pair
    axes = "YX" if noisy.ndim == 2 else "ZYX"
    patch, batch = ([48, 48], 8) if noisy.ndim == 2 else ([8, 24, 24], 4)
    common = ("verdict", "array", axes, patch, batch, 1)

    def n2v(steps: int, **more: Any) -> Callable[[], Array]:
        config = create_n2v_configuration(*common, steps, model_params=SMALL, **more)
        return lambda: _trained(config, noisy)

    def paired(make: Any) -> Callable[[], Array]:
        config = make(*common, num_steps=steps, model_params=SMALL)
        return lambda: _trained(config, noisy, other)

    makers = {"N2V": n2v(steps), "N2V, 20 steps": n2v(20)}
    if noisy.ndim == 2:
        makers["N2V2"] = n2v(steps // 2, use_n2v2=True)
    if name.startswith("WideField"):
        makers["structN2V"] = n2v(steps, struct_n2v_axis="square", struct_n2v_span=5)
    if name == "nuclei":
        makers["CARE"] = paired(create_care_configuration)
    elif other is not None:
        makers["N2N"] = paired(create_n2n_configuration)
    for label, make in makers.items():
        made = _kept(cache / f"{name} {label} {steps}.npy", make)
        yield Case(name, label, noisy, made, truth, label in ("CARE", "N2N"))
    pixels = noisy.astype(np.float32)
    for sigma in BLURS:
        blurred = gaussian_filter(pixels, _widths(sigma, noisy))
        yield Case(name, f"blur {sigma:g}", noisy, blurred, truth)
    yield Case(name, "flat", noisy, np.full_like(pixels, pixels.mean()), truth)
    yield Case(name, "identity", noisy, pixels, truth)
    n2v_result = _kept(cache / f"{name} N2V {steps}.npy", makers["N2V"])
    most = 0.7 * pixels + 0.3 * n2v_result
    yield Case(name, "noise left", noisy, most, truth)


def quality(case: Case) -> tuple[str, float, float]:
    """Good, bad or between; SI-PSNR; and that of the best blur; in dB."""
    pixels = case.noisy.astype(np.float32)
    best = max(
        si_psnr(gaussian_filter(pixels, _widths(sigma, pixels)), case.truth)
        for sigma in np.arange(0.5, 8.1, 0.25)
    )
    made, noisy = si_psnr(case.denoised, case.truth), si_psnr(pixels, case.truth)
    if case.result in ("flat", "identity") or made < best - BAD:
        return "bad", made, best
    if made >= best - GOOD and made >= noisy + GAINED:
        return "good", made, best
    return "between", made, best


def _widths(sigma: float, image: Array) -> tuple[float, ...]:
    return (0,) * (image.ndim - 2) + (sigma, sigma)


def _trained(config: Any, noisy: Array, target: Array | None = None) -> Array:
    careamist = CAREamist(config)
    careamist.train(train_source=noisy, train_target=target)
    return careamist.predict(noisy)


def _kept(path: Path, make: Callable[[], Array]) -> Array:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, make())
    return np.load(path)


def _png(path: Path) -> Array:
    return np.asarray(Image.open(path).convert("L"))


def _noised(picture: Array, sigma: float, seed: int) -> Array:
    noise = np.random.default_rng(25_000 + seed).normal(0, sigma, picture.shape)
    return (picture + noise).astype(np.float32)


def main() -> None:
    """Print a table of cases, and the rates."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True, type=Path, help="folder of the images")
    parser.add_argument("--cache", type=Path, default=Path("verdict-cache"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--shift", type=int, default=0, help="0 to 3, other crops")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    counts: Counter[tuple[str, str]] = Counter()
    line = "{:<24}{:<18}{:>8}{:>8}  {:<8}{:<20}{:>10}{:>6}"
    print(
        line.format("image", "result", "dB", "best", "truth", "verdict", "structure", "s")
    )
    for pair in images(options.data, options.shift):
        for case in cases(pair, options.cache / str(options.shift), options.steps):
            kind, made, best = quality(case)
            axes = "YX" if case.noisy.ndim == 2 else "ZYX"
            start = time.perf_counter()
            found = check_residual(case.noisy, case.denoised, axes, fit_gain=case.fit_gain)
            seconds = time.perf_counter() - start
            counts[kind, found.verdict] += 1
            print(
                line.format(
                    case.image,
                    case.result,
                    f"{made:.2f}",
                    f"{best:.2f}",
                    kind,
                    found.verdict,
                    f"{found.structure:.2f}",
                    f"{seconds:.1f}",
                ),
                flush=True,
            )
    _rates(counts)


def _rates(counts: Counter[tuple[str, str]]) -> None:
    verdicts = ("good", "look closer", "too noisy to judge", "structure lost")
    print()
    for kind in ("good", "between", "bad"):
        total = sum(counts[kind, verdict] for verdict in verdicts)
        shares = ", ".join(f"{counts[kind, v]} {v}" for v in verdicts)
        print(f"{total} {kind}: {shares}")


if __name__ == "__main__":
    main()
