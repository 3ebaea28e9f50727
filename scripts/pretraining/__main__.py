"""The command ``bash scripts/pretrain``: train one of the built-in networks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from napari_hush.errors import HushError
from napari_hush.models.device import choose_precision
from napari_hush.system.signals import OnTermination
from pretraining.training import Recipe, pretrain

_VOLUMES: dict[str, Any] = {
    "batch_size": 4,
    "patch_size": (16, 48, 48),
    "scene_size": (32, 128, 128),
    "scenes": 100,
    "new_every": 8,
}
RECIPES: Mapping[str, Recipe] = {
    "denoiser-2d": Recipe(steps=8_000),
    "n2v-2d": Recipe(goal="blind", steps=6_000, seed=1),
    "n2v2-2d": Recipe(goal="blind", network={"n2v2": True}, steps=6_000, seed=2),
    "denoiser-3d": Recipe(
        network={"time_context": 2},
        steps=3_000,
        patch_size=(5, 64, 64),
        scene_size=(24, 160, 160),
        scenes=100,
        new_every=8,
        seed=3,
    ),
    "n2v-3d": Recipe(
        goal="blind", network={"conv_dims": 3}, steps=2_000, seed=4, **_VOLUMES
    ),
}
"""The built-in networks by name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, or go on training; 0 at the end, 1 where stopped, 2 for unusable input."""
    parser = argparse.ArgumentParser("bash scripts/pretrain", description=__doc__)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--to", required=True, type=Path, help="folder of the results")
    parser.add_argument("--steps", type=int, help="another length of the training")
    parser.add_argument("--batch-size", type=int, help="another number of patches")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--threads", type=int, default=1, help="decides bits, by rounding")
    parser.add_argument("--rate", type=float, help="another learning rate")
    parser.add_argument("--start", type=Path, help="weights to go on from, a .safetensors")
    parser.add_argument(
        "--precision", default="auto", choices=("auto", "32", "bf16"), help="decides bits"
    )
    options = parser.parse_args(arguments)
    if options.start is not None and not options.start.is_file():
        parser.error(f"there is no file {str(options.start)!r} to start from")
    torch.set_num_threads(options.threads)
    changed = {
        "steps": options.steps,
        "batch_size": options.batch_size,
        "rate": options.rate,
        "precision": choose_precision(options.precision, torch.device(options.device)),
    }
    recipe = replace(RECIPES[options.recipe], **{k: v for k, v in changed.items() if v})
    signals: list[int] = []
    try:
        with OnTermination(signals.append):
            weights = pretrain(
                recipe,
                options.to,
                start=options.start,
                device=options.device,
                should_stop=lambda: bool(signals),
            )
    except HushError as error:
        print(error, file=sys.stderr)
        return 2
    print(weights or "Stopped; the same command goes on from here.")
    return 0 if weights else 1


if __name__ == "__main__":
    sys.exit(main())
