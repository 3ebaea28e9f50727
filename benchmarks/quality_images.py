"""The images that `quality.py` measures on: noisy ones with ground truth.

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
        ``(S, Y, X)``, trained on all together, or ``(Z, Y, X)``.
    truth : list of ndarray
        ``(Y, X)``, one for each, or the volume.
    repeats : bool
        Whether all are of the same scene, with independent noise.
    """

    noisy: np.ndarray
    truth: list[np.ndarray]
    repeats: bool = False

    @property
    def volume(self) -> bool:
        """Whether it is one volume."""
        return self.truth[0].ndim == 3

    @property
    def axes(self) -> str:
        """Axes of the noisy images."""
        return "ZYX" if self.volume else "SYX"

    @property
    def patch_size(self) -> list[int]:
        """Pixels of a patch."""
        return [16, 32, 32] if self.volume else [64, 64]

    @property
    def batch_size(self) -> int:
        """Patches of a step."""
        return 8 if self.volume else 16


SETS = ("Confocal_FISH", "TwoPhoton_MICE", "w2s")
"""Fluorescence by confocal, two-photon and wide-field microscopes."""
ALL = (
    *("Confocal_FISH", "Confocal_BPAE_B", "Confocal_BPAE_G", "Confocal_BPAE_R"),
    *("TwoPhoton_MICE", "WideField_BPAE_G", "w2s", "w2s_1", "w2s_2", "calcium"),
    *("nuclei", "neuron", "set12_256", "set12_512", "bsd400"),
)
"""All sets with ground truth; natural images get noise of standard deviation 25."""


def pairs(data: str | Path, name: str) -> Pairs:
    """Read a set out of the folder `data`.

    Parameters
    ----------
    data : str or Path
        Holds ``fmd_repeats/raw/NAME_{1..4}.png`` and ``fmd_repeats/gt/NAME.png`` (Zhang et
        al., CVPR 2019), ``w2s_3ch/{noisy,gt}/*.tif`` of axes CYX (Zhou et al., ECCVW
        2020), ``calcium_sim_repeats``, ``nuclei_lowhigh16``, ``neuron_3d_semisynthetic``,
        ``set12`` and ``bsd_train400``.
    name : str
        Of `ALL`; ``w2s`` is its first channel.
    """
    data = Path(data)
    kind, _, part = name.partition("_")
    if kind == "w2s":
        channel, files = int(part or 0), sorted((data / "w2s_3ch/noisy").glob("*.tif"))
        noisy = [tifffile.imread(file)[channel] for file in files]
        truth = [tifffile.imread(data / "w2s_3ch/gt" / file.name) for file in files]
        return Pairs(np.stack(noisy), [image[channel] for image in truth])
    if kind in ("set12", "bsd400"):
        return _natural(data / {"bsd400": "bsd_train400"}.get(kind, kind), int(part or 180))
    if kind == "nuclei":
        low, high = (
            tifffile.imread(data / f"nuclei_lowhigh16/{k}.tif") for k in ("low", "high")
        )
        high = np.minimum(high, np.percentile(high, 99.9)).astype(high.dtype)  # hot pixels
        return Pairs(low[None], [high])
    if kind == "neuron":
        folder = data / "neuron_3d_semisynthetic"
        return Pairs(
            tifffile.imread(folder / "noisy.tif"), [tifffile.imread(folder / "gt.tif")]
        )
    if kind == "calcium":
        folder = data / "calcium_sim_repeats"
        raw, clean = sorted((folder / "noisy").glob("*.png")), folder / "gt/gt.png"
    else:
        raw = [data / f"fmd_repeats/raw/{name}_{frame}.png" for frame in range(1, 5)]
        clean = data / f"fmd_repeats/gt/{name}.png"
    noisy = np.stack([np.asarray(Image.open(file)) for file in raw])
    return Pairs(noisy, [np.asarray(Image.open(clean))] * len(noisy), repeats=True)


def _natural(folder: Path, size: int) -> Pairs:
    """The images of `size` pixels, with noise that is seeded by their place in the list."""
    noisy, truth = [], []
    for number, file in enumerate(sorted(folder.glob("*.png"))):
        clean = np.asarray(Image.open(file)).astype("float32")
        if clean.shape == (size, size):
            noise = np.random.default_rng(25000 + number).normal(0, 25, clean.shape)
            noisy.append(clean + noise.astype("float32"))
            truth.append(clean)
    return Pairs(np.stack(noisy), truth)
