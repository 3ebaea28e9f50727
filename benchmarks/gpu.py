"""All that is measured on a GPU: training, denoising, their kernels, memory and limits.

    bash benchmarks/gpu.sh [--peer PYTHON] [--small]

PYTHON is one that has CAREamics 0.3.5. Training is compared with a bare loop, with
``torch.compile`` where Triton and a C compiler are there, and with the *roofline*: what the
network's operations and bytes allow at the speeds of a product of matrices and of a copy.
``--small`` takes tiny sizes, to try the script itself. Prints tables and writes
``benchmarks/results/gpu.json`` after each of them; without a GPU it says so, and measures
the processor.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from measuring import Partner, turns
from reporting import report

Row = dict[str, Any]
BUDGET = 330
"""Seconds after which no further table is begun."""


def train(ours: Partner, peer: Partner | None, options: argparse.Namespace) -> list[Row]:
    """Patches per second."""
    rows = []
    for batch in options.batch:
        steps = max(options.steps * 16 // batch, 8)
        given = {"steps": steps, "batch": batch}
        sides: dict[str, Callable[[], Row]] = {
            "napari-hush": lambda g=given: ours.ask("train", side=options.train_side, **g),
            "bare loop": lambda g=given: ours.ask("bare", **g),
        }
        if options.compiles:
            sides["bare loop, compiled"] = lambda g=given: ours.ask(
                "bare", compiled=True, **g
            )
        if peer is not None:
            sides["CAREamics"] = lambda g=given: peer.ask("train", **g)
        found: dict[str, list[float]] = {side: [] for side in sides}
        before = dict.fromkeys(sides, 0.0)
        for side in [*sides, *turns(options.rounds, *sides)]:  # the first ones warm up
            answer = sides[side]()
            found[side].append(answer["patches/s"])
            before[side] = before[side] or answer.get("seconds before", 0.0)
        limit = ours.ask("roofline", batch=batch)
        memory = ours.ask("device_memory")
        own = statistics.median(found["napari-hush"][1:])
        for side in sides:
            speed = statistics.median(found[side][1:])
            rows.append(
                {
                    "batch": batch,
                    "side": side,
                    "patches/s": round(speed, 1),
                    "ours is": f"{own / speed:.2f}",
                    "of the roofline": f"{speed / limit['patches/s']:.2f}",
                    "bound by": limit["bound by"],
                    "first steps, s": round(before[side], 1),
                    "GPU memory, GB": round(memory, 2),
                }
            )
    return rows


def predict(ours: Partner, peer: Partner | None, options: argparse.Namespace) -> list[Row]:
    """Megapixels per second, end to end."""
    rows = []
    for side in options.side:
        ways: dict[str, Callable[[], Row]] = {
            "napari-hush": lambda side=side: ours.ask("predict", side=side)
        }
        if peer is not None:
            ways["CAREamics, tiles of 256"] = lambda side=side: peer.ask(
                "predict", side=side, tile=256
            )
        found: dict[str, list[float]] = {name: [] for name in ways}
        for name in [*ways, *turns(options.rounds, *ways)]:
            found[name].append(ways[name]()["Mpixel/s"])
        own = statistics.median(found["napari-hush"][1:])
        memory = ours.ask("device_memory")
        for name, speeds in found.items():
            speed = statistics.median(speeds[1:])
            rows.append(
                {
                    "pixels": f"{side} x {side}",
                    "side": name,
                    "Mpixel/s": round(speed, 2),
                    "ours is": f"{own / speed:.2f}",
                    "GPU memory, GB": round(memory, 2),
                }
            )
    return rows


def kernels(ours: Partner, _: Partner | None, options: argparse.Namespace) -> list[Row]:
    """The ten kernels that take longest, and the share of those bound by memory."""
    found = ours.ask("profile", batch=options.batch[-1], side=options.side[0])
    rows = []
    for what, of in found.items():
        shown = [*of["kernels"], ("all bound by memory", of["memory-bound"], False)]
        rows += [
            {
                "of": what,
                "kernel": name,
                "share": f"{share:.1%}",
                "bound by": "arithmetic" if computes else "memory",
            }
            for name, share, computes in shown
        ]
    return rows


def main() -> None:
    """Measure one table after the other, as long as there is time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", help="Python that has CAREamics 0.3.5")
    parser.add_argument("--small", action="store_true", help="tiny sizes")
    options = parser.parse_args()
    small = options.small
    options.batch, options.side = ([4], [96]) if small else ([16, 64, 128], [2048, 8192])
    options.steps, options.rounds = (2, 1) if small else (200, 3)
    options.train_side = 128 if small else 2048
    began, tables = time.monotonic(), {}
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(Partner(sys.executable, "speed_hush.py"))
        peer = None
        if options.peer:
            peer = stack.enter_context(Partner(options.peer, "speed_peer.py"))
            peer.ask("train", steps=16, batch=16)
        device = ours.ask("device")
        why = ours.ask("why_not_compiled")
        options.compiles = not why
        if why:
            print(f"torch.compile does not work here: {why}")
        if device == "cpu":
            print("There is no GPU: these are figures of the processor.")
        for table in (train, predict, kernels):
            if time.monotonic() - began > BUDGET:
                print(f"No time is left for {table.__name__!r}.")
                break
            tables[table.__name__] = rows = table(ours, peer, options)
            title = f"{table.__doc__} {device}"
            report("gpu", title, rows, "", device=device, tables=tables)


if __name__ == "__main__":
    main()
