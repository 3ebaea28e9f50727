"""YAML from anybody, read within bounds.

Reading it executes nothing and takes little memory, whatever is in it: its size and depth
are bounded, and it may not repeat parts of itself (YAML's aliases), of which a few lines
can stand for gigabytes.
"""

from __future__ import annotations

from typing import Any

import yaml

BYTES = 256 * 2**10
"""Size that a configuration does not have."""
_DEPTH = 16
"""How deep its values lie at most, and more."""
# The one written in C is ten times faster, and not in every build of the package.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def plain_values(content: bytes) -> Any:
    """The plain values that a YAML file of UTF-8 holds.

    Raises
    ------
    ValueError
        If it is no YAML, has tags of other languages, is larger than `BYTES`, deeper than
        anything sensible, or repeats parts of itself.
    """
    if len(content) > BYTES:
        raise ValueError(f"it has more than {BYTES} bytes")
    text = content.decode("utf-8")
    depth = 0
    try:
        for event in yaml.parse(text, _Loader):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("it repeats parts of itself (aliases)")
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > _DEPTH:
                raise ValueError("its values lie too deep")
        return yaml.load(text, _Loader)  # noqa: S506  (one of the safe loaders)
    except (yaml.YAMLError, OverflowError) as error:
        raise ValueError(f"it is no YAML of plain values: {error}") from error
