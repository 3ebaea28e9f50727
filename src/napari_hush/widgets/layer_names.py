"""The engine's sentences about "the array", told of the layer that it came from. No Qt."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_hush.errors import HushError
from napari_hush.events import Caution

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_hush.events import Event

__all__ = ["of_layer", "refusals_name"]


def of_layer(event: Event, name: str) -> Event:
    """`event`, where a caution calls the array by the name of its layer."""
    if isinstance(event, Caution):
        return replace(event, message=_named(event.message, name))
    return event


@contextmanager
def refusals_name(name: str) -> Iterator[None]:
    """Have refusals raised in here call the array by the name of its layer."""
    try:
        yield
    except HushError as error:
        error.args = (_named(str(error), name), *error.args[1:])
        raise


def _named(sentence: str, name: str) -> str:
    for words in ("the array", "The array"):
        sentence = sentence.replace(words, f"“{name}”")
    return sentence
