"""What people write about a model they share, beyond what the model knows itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_hush.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_hush.config import Configuration

_ANONYMOUS = ({"name": "not named"},)
LICENSE = "CC-BY-4.0"
"""Licence of what is shared, unless another is named: use with attribution."""


@dataclass(frozen=True)
class About:
    """Name, authors and descriptions of a shared model.

    Attributes
    ----------
    name : str
        5 to 128 letters, digits, blanks, and ``_ + - ( )``; empty for one made of the
        experiment's name and the method.
    authors : tuple of dict
        Each with a ``"name"``, and as wished ``"affiliation"``, ``"email"``,
        ``"github_user"``, ``"orcid"``.
    description : str
        One sentence; empty for one made of the method.
    data_description : str
        What the training data are, as Markdown.
    license : str
        An SPDX identifier, e.g. "CC-BY-4.0".
    version : str
        Of the model, e.g. "0.1.0".
    covers : tuple of Path
        PNG, JPEG or GIF images; none for one that is made of the test images.
    channel_names : tuple of str
        Of the input; empty for ``channel0`` and so on.

    Raises
    ------
    ConfigurationError
        If one of these is not as it should be.
    """

    name: str = ""
    authors: tuple[dict[str, str], ...] = _ANONYMOUS
    description: str = ""
    data_description: str = ""
    license: str = LICENSE
    version: str = "0.1.0"
    covers: tuple[Path, ...] = field(default=())
    channel_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name and not re.fullmatch(r"[A-Za-z0-9_+\- ()]{5,128}", self.name):
            raise ConfigurationError(
                f"The model name {self.name!r} cannot be used; give 5 to 128 letters, "
                "digits, blanks, and _ + - ( )."
            )
        known = {"name", "affiliation", "email", "github_user", "orcid"}
        for author in self.authors:
            if not author.get("name") or "/" in author["name"] or author.keys() - known:
                raise ConfigurationError(
                    f"The author {author} cannot be used; give a dict with a 'name' that "
                    "has no slash, and as wished 'affiliation', 'email', 'github_user' "
                    "and 'orcid'."
                )
        if not re.fullmatch(r"\d+\.\d+(\.\d+)?[A-Za-z0-9.+-]*", self.version):
            raise ConfigurationError(
                f"The model version {self.version!r} cannot be used; give one such as "
                "'0.1.0'."
            )
        if not re.fullmatch(r"[A-Za-z0-9.+-]+", self.license):
            raise ConfigurationError(
                f"The licence {self.license!r} is no SPDX identifier; give one such as "
                "'CC-BY-4.0', 'CC0-1.0' or 'MIT'."
            )
        for name in self.channel_names:
            if not name.isidentifier():
                raise ConfigurationError(
                    f"The channel name {name!r} cannot be used; give letters, digits and "
                    "underscores, such as 'DAPI' or 'ch_2'."
                )


METHODS = {
    "n2v": "Noise2Void",
    "n2v2": "Noise2Void 2",
    "structn2v": "structN2V",
    "n2n": "Noise2Noise",
    "care": "CARE",
}
"""Names of the methods."""


def method_of(config: Configuration) -> str:
    """Which of `METHODS` a model was trained with."""
    algorithm = config.algorithm_config
    if algorithm.needs_targets:
        return algorithm.algorithm
    if algorithm.n2v_config.hides_neighbours:
        return "structn2v"
    return "n2v2" if algorithm.model.n2v2 else "n2v"


_PAPERS = {
    "unet": (
        "Ronneberger et al. (2015), U-Net: Convolutional Networks for Biomedical Image "
        "Segmentation",
        "10.1007/978-3-319-24574-4_28",
    ),
    "n2v": (
        "Krull et al. (2019), Noise2Void: Learning Denoising from Single Noisy Images",
        "10.1109/CVPR.2019.00223",
    ),
    "n2v2": (
        "Höck et al. (2022), N2V2: Fixing Noise2Void Checkerboard Artifacts with Modified "
        "Sampling Strategies and a Tweaked Network Architecture",
        "10.48550/arXiv.2211.08512",
    ),
    "structn2v": (
        "Broaddus et al. (2020), Removing Structured Noise with Self-Supervised Blind-Spot "
        "Networks",
        "10.1109/ISBI45749.2020.9098336",
    ),
    "n2n": (
        "Lehtinen et al. (2018), Noise2Noise: Learning Image Restoration without Clean "
        "Data",
        "10.48550/arXiv.1803.04189",
    ),
    "care": (
        "Weigert et al. (2018), Content-Aware Image Restoration: Pushing the Limits of "
        "Fluorescence Microscopy",
        "10.1038/s41592-018-0216-7",
    ),
}


def citations(config: Configuration) -> list[dict[str, Any]]:
    """What to cite for a model: its method, what that builds on, and the network."""
    method = method_of(config)
    builds_on = ["n2v"] if method in ("n2v2", "structn2v") else []
    papers = (_PAPERS[name] for name in (method, *builds_on, "unet"))
    return [{"text": text, "doi": doi} for text, doi in papers]
