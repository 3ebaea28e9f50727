"""Options and output that several commands share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

IMAGES = "TIFF files or Zarr stores, or a folder of TIFF files"


def print_answer(options: argparse.Namespace, text: str, values: dict[str, Any]) -> None:
    """Print the result of a command as text or as JSON, or nothing with ``--quiet``."""
    if options.json:
        print(json.dumps(values))
    elif not options.quiet:
        print(text)


def help_of(description: str | None, default: Any) -> str:
    """The first line of a field's description, as argparse help with the default."""
    text = (description or "").split("\n")[0].rstrip(".").replace("%", "%%")
    text = text[:1].lower() + text[1:]
    text, _, without = text.partition("; None ")  # which no option can be
    if default is None and without:
        default = without.partition(" ")[2]
    return text if default is None else f"{text} (default: {default})"
