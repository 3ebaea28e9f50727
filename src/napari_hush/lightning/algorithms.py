"""Algorithms as pairs of functions: prepare a batch, and compute its loss.

A new paired loss is one function and its line in ``_LOSSES``, and its name in
`napari_hush.config`; network, data, optimizer and loop stay the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from torch.nn import functional

from napari_hush import n2v

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from napari_hush.config import AlgorithmConfig
    from napari_hush.dataset.batches import Share

    Prepared = tuple[Tensor, Any, float | Tensor]


@dataclass(frozen=True)
class Algorithm:
    """The parts of training in which methods differ."""

    prepare: Callable[[tuple[Tensor, ...], torch.Generator, Share], Prepared]
    """``(batch, generator, share) -> (input, answer, part)``: from tensors
    ``(B, C, *spatial)``, which are `share` of a batch, to the input of the network, the
    second argument of `loss`, and their weight in the loss of the whole batch."""
    loss: Callable[[Tensor, Any], Tensor]
    """``(prediction, answer) -> Tensor``: a float32 scalar."""


def algorithm(config: AlgorithmConfig) -> Algorithm:
    """The algorithm of `config`."""
    if config.algorithm == "n2v":
        return Algorithm(partial(_n2v, config=config), n2v.loss)
    return Algorithm(_pairs, _LOSSES[config.loss])


def _n2v(
    batch: tuple[Tensor, ...],
    generator: torch.Generator,
    share: Share,
    *,
    config: AlgorithmConfig,
) -> Prepared:
    masked = n2v.mask(batch[0], config.n2v_config, generator, share.first, share.whole)
    return masked.patches, masked, masked.part


def _pairs(batch: tuple[Tensor, ...], generator: torch.Generator, share: Share) -> Prepared:
    return batch[0], batch[1], share.count / share.whole


def _mean_absolute(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.l1_loss(prediction.float(), target)


def _mean_squared(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(prediction.float(), target)


_LOSSES: dict[str, Callable[[Tensor, Any], Tensor]] = {
    "mae": _mean_absolute,
    "mse": _mean_squared,
}
