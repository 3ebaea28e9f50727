"""The recipe of the Noise2Void papers on BSD68: Gaussian noise of 25 grey values.

    python benchmarks/bsd68.py --data DIR [--test DIR] [--methods n2v n2v2]
        [--steps 20000] [--batch 64] [--filters 64]

Trains on the 400 images of 180 x 180 pixels in ``DIR/bsd_train400`` and judges on the
images of the test folder (``DIR/set12`` unless given; BSD68 is not part of DIR): PSNR at a
range of 255, nothing clipped, as the papers report it (Krull et al., CVPR 2019: 27.71;
Höck et al., ECCVW 2022, arXiv:2211.08512: 28.32), and SI-PSNR. Meant for a GPU, where the
defaults should take a few minutes; a processor takes hours.

Prints a table and writes ``benchmarks/results/bsd68.json``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from reporting import report

from napari_hush import CAREamist
from napari_hush.config import create_n2v_configuration
from napari_hush.quality import psnr, si_psnr

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIGMA = 25
_TRAIN_SEED, _TEST_SEED = 25_000, 68_000


def images(folder: Path) -> list[NDArray[np.float32]]:
    """The pictures of a folder, by name, in grey values."""
    files = sorted(p for p in folder.iterdir() if p.suffix in (".png", ".tif", ".jpg"))
    if not files:
        raise SystemExit(f"There is no picture in {str(folder)!r}.")
    return [np.asarray(Image.open(file).convert("L"), dtype="float32") for file in files]


def noisy(clean: list[NDArray[np.float32]], seed: int) -> list[NDArray[np.float32]]:
    """Each with separate noise, not clipped."""
    return [
        image + np.random.default_rng(seed + i).normal(0, SIGMA, image.shape)
        for i, image in enumerate(clean)
    ]


def main() -> None:
    """Train and evaluate each method."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--test", type=Path, help="folder of the test images")
    parser.add_argument("--methods", nargs="+", default=["n2v", "n2v2"])
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--filters", type=int, default=64)
    options = parser.parse_args()
    train = np.stack(noisy(images(options.data / "bsd_train400"), _TRAIN_SEED))
    truth = images(options.test or options.data / "set12")
    test = noisy(truth, _TEST_SEED)
    rows = []
    for method in options.methods:
        config = create_n2v_configuration(
            "BSD68",
            "array",
            "SYX",
            [64, 64],
            options.batch,
            1,
            options.steps,
            use_n2v2=method == "n2v2",
            weights="random",
            model_params={"num_channels_init": options.filters},
        )
        careamist = CAREamist(config)
        start = time.perf_counter()
        careamist.train(train_source=train.astype("float32"))
        trained = time.perf_counter() - start
        for versions in (1, 8):
            clean = [
                careamist.predict(image.astype("float32"), axes="YX", tta=versions)
                for image in test
            ]
            both = list(zip(clean, truth, strict=True))
            at_255 = np.mean([psnr(c, t, data_range=255) for c, t in both])
            rows.append(
                {
                    "method": method,
                    "versions": versions,
                    "PSNR at 255, dB": f"{at_255:.2f}",
                    "SI-PSNR, dB": f"{np.mean([si_psnr(c, t) for c, t in both]):.2f}",
                    "training, s": trained,
                }
            )
    report(
        "bsd68",
        f"Gaussian noise of {SIGMA}, {len(test)} test images, {options.steps} steps",
        rows,
        "Goal on BSD68: N2V 27.7 dB, N2V2 28.2 dB.",
    )


if __name__ == "__main__":
    main()
