"""YAML files of configurations."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import yaml

from napari_hush.config.base import Frozen
from napari_hush.config.configuration import Configuration
from napari_hush.errors import ConfigurationError, MissingFileError, UnreadableFileError
from napari_hush.system.atomic_write import whole_file

SUFFIXES = (".yml", ".yaml")


def save_configuration(config: Configuration, path: str | Path) -> Path:
    """Write `config` as YAML and return the file's path.

    Parameters
    ----------
    config : Configuration
        Settings.
    path : str or Path
        A ``.yml`` or ``.yaml`` file, or a folder, in which ``config.yml`` is written.

    Raises
    ------
    ConfigurationError
        If `path` has another suffix.
    UnwritableFileError
        If it cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "config.yml"
    if path.suffix not in SUFFIXES:
        raise ConfigurationError(
            f"Cannot save a configuration as {path.name!r}; end the name in .yml or "
            ".yaml, or give a folder."
        )
    with whole_file(path) as part:
        part.write_text(as_yaml(config), encoding="utf-8")
    return path


def as_yaml(config: Frozen) -> str:
    """`config` as YAML, with the help text of each setting above it."""
    lines = []
    values = config.model_dump(mode="json")
    for name, field in type(config).model_fields.items():
        if field.description:
            lines.append(f"# {field.description.splitlines()[0]}")
        inner = getattr(config, name)
        if isinstance(inner, Frozen):
            lines += [f"{name}:", textwrap.indent(as_yaml(inner), "  ").rstrip()]
        else:
            lines.append(yaml.safe_dump({name: values[name]}, sort_keys=False).rstrip())
    return "\n".join(lines) + "\n"


def load_configuration(path: str | Path) -> Configuration:
    """Read a configuration from a YAML file.

    Raises
    ------
    MissingFileError
        If there is no such file.
    UnreadableFileError
        If it is not valid YAML.
    ConfigurationError
        If a setting in it is unknown, out of range or contradicts another.
    """
    path = Path(path)
    name = repr(str(path))
    if not path.is_file():
        raise MissingFileError(f"There is no configuration file {name}; check the path.")
    try:
        with path.open("rb") as file:
            values = plain_values(file.read(BYTES + 1))
        if not isinstance(values, dict):
            raise ValueError("it has no settings")
        return Configuration.build(values)
    except OSError as error:
        raise UnreadableFileError(
            f"{name} could not be read ({error}); check the disk."
        ) from error
    except ConfigurationError as error:
        raise ConfigurationError(f"In {name}: {error}") from error
    except ValueError as error:
        raise UnreadableFileError(
            f"{name} is not a configuration of plain values; give a file that "
            "save_configuration wrote."
        ) from error


BYTES = 256 * 2**10
"""Limit for the size of a configuration file."""
_DEPTH = 16
# The loader in C is ten times faster, but not every build of PyYAML has it.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def plain_values(content: bytes) -> Any:
    """Parse YAML from an untrusted source.

    Raises a ValueError for invalid YAML, tags, aliases, deep nesting, or over `BYTES`.
    """
    if len(content) > BYTES:
        raise ValueError(f"it has more than {BYTES} bytes")
    text, depth = content.decode("utf-8"), 0
    try:
        for event in yaml.parse(text, _Loader):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("it has aliases")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEPTH:
                raise ValueError("it is nested too deeply")
        return yaml.load(text, _Loader)  # noqa: S506  (one of the safe loaders)
    except (yaml.YAMLError, OverflowError) as error:
        raise ValueError(f"it is not YAML of plain values: {error}") from error
