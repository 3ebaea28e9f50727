"""The images that `quality.py` measures on: real noise, with the truth from many frames.

Runs in the environment of the package compared with, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from PIL import Image


class Pairs(NamedTuple):
    """Noisy images and what they should look like.

    Attributes
    ----------
    noisy : ndarray
        ``(S, Y, X)``, trained on all together.
    truth : list of ndarray
        ``(Y, X)``, one for each.
    """

    noisy: np.ndarray
    truth: list[np.ndarray]


SETS = ("Confocal_FISH", "TwoPhoton_MICE", "w2s")
"""Fluorescence by confocal, two-photon and wide-field microscopes."""


def pairs(data: str | Path, name: str) -> Pairs:
    """Read a set out of the folder `data`.

    Parameters
    ----------
    data : str or Path
        Holds ``fmd_repeats/raw/NAME_{1..4}.png`` and ``fmd_repeats/gt/NAME.png`` (Zhang et
        al., CVPR 2019) and ``w2s_3ch/{noisy,gt}/*.tif`` of axes CYX (Zhou et al., ECCVW
        2020).
    name : str
        Of `SETS`, or another group of ``fmd_repeats``.
    """
    data = Path(data)
    if name == "w2s":
        files = sorted((data / "w2s_3ch/noisy").glob("*.tif"))
        noisy = [tifffile.imread(file)[0] for file in files]
        truth = [tifffile.imread(data / "w2s_3ch/gt" / file.name)[0] for file in files]
        return Pairs(np.stack(noisy), truth)
    raw = [data / f"fmd_repeats/raw/{name}_{frame}.png" for frame in range(1, 5)]
    clean = np.asarray(Image.open(data / f"fmd_repeats/gt/{name}.png"))
    noisy = [np.asarray(Image.open(file)) for file in raw]
    return Pairs(np.stack(noisy), [clean] * len(noisy))
