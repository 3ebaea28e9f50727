"""Metadata of a shared model that its authors provide."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from napari_hush.errors import ConfigurationError

_ANONYMOUS = ({"name": "not named"},)
LICENSE = "CC-BY-4.0"
"""Default licence of shared models: use with attribution."""


@dataclass(frozen=True)
class About:
    """Metadata of a shared model.

    Attributes
    ----------
    name : str
        5 to 128 letters, digits, spaces, and ``_ + - ( )``; by default made of the name of
        the experiment and the method.
    authors : tuple of dict
        Each with a ``"name"`` and optionally ``"affiliation"``, ``"email"``,
        ``"github_user"``, ``"orcid"``.
    description : str
        One sentence; by default it names the method.
    data_description : str
        Description of the training data, as Markdown.
    license : str
        An SPDX identifier, e.g. "CC-BY-4.0".
    version : str
        Version of the model, e.g. "0.1.0".
    covers : tuple of Path
        PNG, JPEG or GIF images; by default one is made of the test images.
    channel_names : tuple of str
        Names of the input channels; by default ``channel0`` and so on.

    Raises
    ------
    ConfigurationError
        If one of these is invalid.
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
                "digits, spaces, and _ + - ( )."
            )
        known = {"name", "affiliation", "email", "github_user", "orcid"}
        for author in self.authors:
            if not author.get("name") or "/" in author["name"] or author.keys() - known:
                raise ConfigurationError(
                    f"The author {author} cannot be used; give a dict with a 'name' that "
                    "has no slash, and optionally 'affiliation', 'email', 'github_user' "
                    "and 'orcid'."
                )
        if not re.fullmatch(r"\d+\.\d+(\.\d+)?[A-Za-z0-9.+-]*", self.version):
            raise ConfigurationError(
                f"The model version {self.version!r} cannot be used; give one such as "
                "'0.1.0'."
            )
        if not re.fullmatch(r"[A-Za-z0-9.+-]+", self.license):
            raise ConfigurationError(
                f"The licence {self.license!r} is not an SPDX identifier; give one such as "
                "'CC-BY-4.0', 'CC0-1.0' or 'MIT'."
            )
        for name in self.channel_names:
            if not name.isidentifier():
                raise ConfigurationError(
                    f"The channel name {name!r} cannot be used; give letters, digits and "
                    "underscores, such as 'DAPI' or 'ch_2'."
                )
