"""Pairs of a noisy layer and its result. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_hush.widgets.data.helper_layers import bare, is_view
from napari_hush.widgets.data.layers import RESULT, source_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.components import LayerList
    from napari.layers import Layer

    from napari_hush.models import Model


def result_mark(source_id: str, **facts: Any) -> dict[str, Any]:
    """Metadata for a result of the layer `source_id`, with more `facts`."""
    return {RESULT: {"source_id": source_id, **facts}}


def remembered(result: Layer) -> dict[str, Any]:
    """The facts about a result, which may be changed; empty for another layer."""
    mark = result.metadata.get(RESULT, {})
    return mark if isinstance(mark, dict) else {}


def next_number(source_id: str, layers: Iterable[Layer]) -> int:
    """Number for the next result of the layer `source_id`, from 1."""
    taken = [_number(layer) for layer in layers if _source_id(layer) == source_id]
    return max(taken, default=0) + 1


def first_looks(source_id: str, layers: Iterable[Layer]) -> list[Layer]:
    """The results of the layer `source_id` from before training, the user's own left out.

    The user's own are those that were renamed or saved.
    """
    return [
        layer
        for layer in layers
        if _source_id(layer) == source_id and is_first(layer) and not _is_kept(layer)
    ]


def earlier_looks(result: Layer, layers: Iterable[Layer]) -> list[Layer]:
    """The first looks from before `result` was denoised with a trained model."""
    return [
        layer
        for layer in first_looks(_source_id(result), layers)
        if 0 < remembered(layer)["before"] <= _number(result)
    ]


def is_better(first: Layer, result: Layer) -> bool:
    """Whether the verdict on a first look is better than that on `result`."""
    rank, other = (
        _RANKS.get((remembered(layer).get("quality") or {}).get("verdict", ""), 1)
        for layer in (first, result)
    )
    return rank > other and "quality" in remembered(first)


def has_lost(result: Layer, model: Model) -> bool:
    """Whether `result` is of `model` and its verdict is that structure was lost.

    Not for the output of the network alone, which is less than the model gives.
    """
    from napari_hush.models.provenance import is_of_network_alone

    known = remembered(result)
    provenance = known.get("provenance") or {}
    if is_of_network_alone(provenance):
        return False
    made = provenance.get("model", {})
    is_its = made.get("trained") == model.provenance.date
    is_its = is_its and made.get("steps") == model.steps
    lost = (known.get("quality") or {}).get("verdict") == "structure lost"
    return is_its and lost and not is_first(result)


_RANKS = {"good": 2, "structure lost": 0}
"""The verdicts of `check_residual` in order; others are between them."""


def note_name(result: Layer) -> None:
    """Record the name that a result was given, so that another one is the user's."""
    remembered(result)["name"] = result.name


def _is_kept(result: Layer) -> bool:
    known = remembered(result)
    return bool(known.get("saved")) or known.get("name", result.name) != result.name


def is_first(result: Layer) -> bool:
    """Whether it is a first look by the built-in denoiser, before training."""
    return bool(remembered(result).get("before", 0))


def pair_of(layer: Image | None, layers: Iterable[Layer]) -> tuple[Image, Image] | None:
    """The noisy layer and its result, of which `layer` is one; None if one is missing.

    A noisy layer is paired with its last result.
    """
    if layer is None:
        return None
    images = [item for item in layers if isinstance(item, Image) and not is_view(item)]
    source_id = _source_id(layer)
    if source_id:
        before = next((item for item in images if str(item.unique_id) == source_id), None)
        return None if before is None else (before, layer)
    mine = str(layer.unique_id)
    results = [item for item in images if _source_id(item) == mine]
    newest = max(reversed(results), key=_number, default=None)
    return None if newest is None else (layer, newest)


def to_save(layer: Image | None, layers: LayerList) -> tuple[Image | None, Image] | None:
    """The source and the result of `layer`; else a result whose source was removed.

    That is the selected layer or `layer`, or the last one without a source if there is no
    `layer`. None if there is no such result.
    """
    if (pair := pair_of(layer, layers)) is not None:
        return pair
    ids = {str(item.unique_id) for item in layers}
    left = [item for item in layers if (of := _source_id(item)) and of not in ids]
    results = [item for item in left if isinstance(item, Image)]
    for one in (bare(layers.selection.active), layer):
        if one in results:
            return None, one
    return (None, results[-1]) if results and layer is None else None


def why_not_comparable(pair: tuple[Image, Image] | None) -> str:
    """Why `pair` cannot be compared; empty if it can."""
    if pair is None:
        return "Denoise first; then you can compare the result with its source."
    before, after = (tuple(source_of(layer).shape) for layer in pair)
    if before != after:
        return (
            f"“{pair[0].name}” has the shape {before} and “{pair[1].name}” {after}; only "
            "layers of the same shape can be compared."
        )
    return ""


def is_partial(result: Layer) -> bool:
    """Whether a part of `result` is not denoised, as while it is filled."""
    return bool(remembered(result).get("partial", False))


def has_targets(result: Layer) -> bool:
    """Whether the model of `result` was trained with targets.

    The result then has their gray values, which may differ from those of its source.
    """
    if is_first(result):
        return False
    found: Any = remembered(result).get("provenance") or {}
    for key in ("model", "configuration", "algorithm_config"):
        found = found.get(key, {})
    return bool(found.get("loss", "n2v") != "n2v")


def _source_id(layer: Layer) -> str:
    return str(remembered(layer).get("source_id", ""))


def _number(layer: Layer) -> int:
    return int(remembered(layer).get("number", 0))
