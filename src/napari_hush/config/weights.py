"""Initial weights of training: random, or those of a built-in network."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from napari_hush.config.algorithm import AlgorithmConfig, Weights, has_built_in_layout
from napari_hush.errors import ConfigurationError

if TYPE_CHECKING:
    from napari_hush.config.configuration import Configuration

DEFAULT_WEIGHTS: Weights = "random"
"""Initial weights of new configurations, where a built-in network fits."""
FOLDER = Path(__file__).parents[1] / "models/builtin"
"""The built-in networks, one file each."""
_RANDOM, _BUILT_IN, _FOREIGN = (1e-3, 0), (3e-5, 20), (1e-3, 20)
"""Default learning rate and steps of its warm-up: from random and built-in weights, and
from built-in ones of fewer dimensions or other noise; docs/dev/pretraining.md has trials.
"""


def built_in_name(config: AlgorithmConfig) -> str | None:
    """The built-in network that training with `config` can begin with, if any.

    A network for volumes begins with one for planes, see `inflated`.
    """
    network = config.model
    kind = "denoiser" if config.needs_targets else "n2v2" if network.n2v2 else "n2v"
    name = f"{kind}-2d"
    there = has_built_in_layout(network) and (FOLDER / f"{name}.safetensors").is_file()
    return name if there else None


def with_weights(
    config: Configuration, wanted: Weights | None = None, kept: Collection[str] = ()
) -> Configuration:
    """`config` with initial weights, and the learning rate and warm-up that suit them.

    By default they are `DEFAULT_WEIGHTS`, or random where no built-in network fits.
    Learning rate and warm-up change if they are defaults, and not among the names of
    fields `kept`. Raises a ConfigurationError if built-in weights
    are `wanted` but there are none.
    """
    algorithm = config.algorithm_config
    name = built_in_name(algorithm)
    if wanted == "built-in" and name is None:
        raise ConfigurationError(
            f"No built-in network for {algorithm.algorithm} has these settings of the "
            "network; use its defaults (depth 2, 32 filters, independent channels), or "
            "random weights."
        )
    if wanted is None:
        wanted = DEFAULT_WEIGHTS if name else "random"
    rates, warmups = zip(_RANDOM, _BUILT_IN, _FOREIGN, strict=True)
    rate, warmup = _pace(wanted, algorithm)
    optimizer, schedule = algorithm.optimizer, algorithm.lr_scheduler
    if optimizer.learning_rate in rates and "learning_rate" not in kept:
        optimizer = optimizer.replace(learning_rate=rate)
    if schedule.warmup_steps in warmups and "warmup_steps" not in kept:
        schedule = schedule.replace(warmup_steps=warmup)
    changes = {"weights": wanted, "optimizer": optimizer, "lr_scheduler": schedule}
    return config.replace(algorithm_config=algorithm.replace(**changes))


def _pace(weights: Weights, algorithm: AlgorithmConfig) -> tuple[float, int]:
    """Default learning rate and steps of its warm-up."""
    if weights == "random":
        return _RANDOM
    network = algorithm.model
    inflated = network.conv_dims != 2 or network.time_context
    correlated = not algorithm.needs_targets and algorithm.n2v_config.hides_neighbours
    return _FOREIGN if inflated or correlated else _BUILT_IN
