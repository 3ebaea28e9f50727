"""Metadata of a model for the BioImage Model Zoo, with the checks of its format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from napari_hush.errors import ConfigurationError, MissingFileError

LICENSE = "CC-BY-4.0"
"""Default license of shared models: use with attribution."""
_DESCRIPTION = 1024
"""Longest description in characters."""
_COVERS = {".png", ".jpg", ".jpeg", ".gif"}
_COVER_BYTES = 500_000


@dataclass(frozen=True)
class About:
    """Metadata of a shared model; a ConfigurationError if one of them is invalid."""

    name: str = ""
    """5 to 128 letters, digits, spaces, ``_ + - ( )``; default: experiment and method."""
    authors: tuple[dict[str, str], ...] = ({"name": "not named"},)
    """Each with a "name"; optionally "affiliation", "email", "github_user", "orcid"."""
    description: str = ""
    """One sentence; by default it names the method."""
    data_description: str = ""
    """Description of the training data, as Markdown."""
    license: str = LICENSE
    """An SPDX identifier."""
    version: str = "0.1.0"
    """Version of the model."""
    covers: tuple[Path, ...] = ()
    """PNG, JPEG or GIF images; by default one is made of the test images."""
    channel_names: tuple[str, ...] = ()
    """Names of the input channels; by default ``channel0`` and so on."""
    tags: tuple[str, ...] = ()
    """Key words beside method and task, such as the organism or the microscope."""
    citations: tuple[dict[str, str], ...] = ()
    """Publications beside those of the method; each with "text" and "doi"."""
    documentation: str = ""
    """Further documentation, as Markdown."""

    def __post_init__(self) -> None:
        for name in ("name", "description", "data_description", "documentation", "version"):
            if not isinstance(value := getattr(self, name), str):
                raise ConfigurationError(
                    f"The {name.replace('_', ' ')} of the model is {value!r}; give a text."
                )
        if self.name and not re.fullmatch(r"[A-Za-z0-9_+\- ()]{5,128}", self.name):
            raise ConfigurationError(
                f"The model name {self.name!r} cannot be used; give 5 to 128 letters, "
                "digits, spaces, and _ + - ( )."
            )
        if len(self.description) > _DESCRIPTION:
            raise ConfigurationError(
                f"The description has {len(self.description)} characters; give at most "
                f"{_DESCRIPTION}, and the rest as documentation."
            )
        for number, author in enumerate(self.authors, 1):
            check_author(number, author)
        if not re.fullmatch(r"\d+\.\d+(\.\d+)?[A-Za-z0-9.+-]*", self.version):
            raise ConfigurationError(
                f"The model version {self.version!r} cannot be used; give one such as "
                "'0.1.0'."
            )
        if not re.fullmatch(r"[A-Za-z0-9.+-]+", self.license):
            raise ConfigurationError(
                f"The license {self.license!r} is not an SPDX identifier; give one such as "
                "'CC-BY-4.0', 'CC0-1.0' or 'MIT'."
            )
        for name in self.channel_names:
            if not name.isidentifier():
                raise ConfigurationError(
                    f"The channel name {name!r} cannot be used; give letters, digits and "
                    "underscores, such as 'DAPI' or 'ch_2'."
                )
        for citation in self.citations:
            _check_citation(citation)


def check_author(number: int, author: dict[str, str]) -> None:
    """Raise a ConfigurationError unless `author`, the one with this number, is valid."""
    known = "name", "affiliation", "email", "github_user", "orcid"
    if not isinstance(author, dict):
        raise ConfigurationError(
            f"Author {number} is {author!r}; give a dict, such as {{'name': 'A. Person'}}."
        )
    if unknown := author.keys() - set(known):
        raise ConfigurationError(
            f"Author {number} has the unknown entry {min(unknown)!r}; give "
            f"{', '.join(known)}."
        )
    name, orcid = author.get("name"), author.get("orcid")
    if not name:
        raise ConfigurationError(f"Author {number} has no name; give one.")
    if "/" in name:
        raise ConfigurationError(
            f"The name {name!r} of author {number} cannot be used; leave out the slash."
        )
    if orcid and not is_orcid(orcid):
        raise ConfigurationError(
            f"The ORCID {orcid!r} of {name} has a typing error; copy it from orcid.org, "
            "such as 0000-0002-1825-0097."
        )


def is_orcid(text: str) -> bool:
    """Whether `text` is ``0000-0002-1825-0097`` or alike, its check digit included."""
    if not re.fullmatch(r"([0-9]{4}-){3}[0-9]{3}[0-9X]", text):
        return False
    check = 0  # ISO 7064, MOD 11-2
    for digit in text.replace("-", ""):
        check = (2 * check + (10 if digit == "X" else int(digit))) % 11
    return check == 1


def _check_citation(citation: dict[str, str]) -> None:
    text, doi = citation.get("text"), citation.get("doi", "")
    if not text or citation.keys() - {"text", "doi"}:
        raise ConfigurationError(
            f"The publication {doi!r} has no text; give its authors, year and title."
        )
    if not re.fullmatch(r"10\.[0-9]{4,9}/\S+", doi):
        raise ConfigurationError(
            f"The DOI {doi!r} of a publication is not valid; give one such as "
            "10.1038/s41592-018-0216-7."
        )


def check_cover(path: Path) -> None:
    """Raise an error unless `path` is an image that can be a cover."""
    if not path.is_file():
        raise MissingFileError(f"There is no cover image {str(path)!r}; check the path.")
    if path.suffix.lower() not in _COVERS or path.stat().st_size > _COVER_BYTES:
        raise ConfigurationError(
            f"The cover {str(path)!r} cannot be used; give a PNG, JPEG or GIF of at most "
            f"{_COVER_BYTES // 1000} kB."
        )
