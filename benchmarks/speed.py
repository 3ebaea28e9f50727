"""How fast training and prediction are, beside CAREamics 0.3.5 and beside the arithmetic.

    python benchmarks/speed.py train   [--peer PYTHON] [--before CHECKOUT]   patches/s
    python benchmarks/speed.py predict [--peer PYTHON] [--before CHECKOUT]   Mpixel/s, seams
    python benchmarks/speed.py memory                    of denoising 8192 x 8192
    python benchmarks/speed.py scaling                   1 to 64 megapixels, 1 and 2 cores
    python benchmarks/speed.py precision --data DIR      what bfloat16 does to pictures

The network is the default of both sides, a U-Net of depth 2 with 32 filters; patches are
64 x 64. PYTHON is one that has CAREamics 0.3.5, `quality_images.py` says what DIR holds.
CHECKOUT is another version of the project to compare with. Sides take turns; medians
count. Each prints a table and writes ``benchmarks/results/speed-*.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from measuring import MB, Partner, turns
from quality_images import SETS
from reporting import report

_OURS = "speed_hush.py"
_PEER = "speed_peer.py"


def train(options: argparse.Namespace) -> None:
    """Patches per second of a run, of the bare loop, and of the peer."""
    rows = []
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(Partner(sys.executable, _OURS))
        tasks = {
            "napari-hush": lambda batch: ours.ask(
                "train", steps=options.steps, batch=batch
            ),
            "bare loop": lambda batch: ours.ask("bare", steps=options.steps, batch=batch),
        }
        if options.before:
            before = stack.enter_context(_before(options.before))
            tasks["before"] = lambda batch: before.ask(
                "train", steps=options.steps, batch=batch
            )
        if options.peer:
            peer = stack.enter_context(Partner(options.peer, _PEER))
            tasks["CAREamics"] = lambda batch: peer.ask(
                "train", steps=options.peer_steps or options.steps, batch=batch
            )
        for batch in options.batch:
            found: dict[str, list[float]] = {side: [] for side in tasks}
            for side in tasks:
                made = tasks[side](batch)  # does not count
                how = made.get("precision", "")
                rows.append({"side": side, "batch": batch, "precision": how})
            for side in turns(options.rounds, *tasks):
                found[side].append(tasks[side](batch)["patches/s"])
            own = statistics.median(found["napari-hush"])
            for row in rows[-len(tasks) :]:
                speeds = found[row["side"]]
                row |= {
                    "patches/s": statistics.median(speeds),
                    "slowest": min(speeds),
                    "fastest": max(speeds),
                    "ours is": own / statistics.median(speeds),
                }
    goal = (
        "Goal on a processor: 2.3 times the peer, 0.95 of the bare loop; on an H200 10 "
        "times and 0.9, and with 128 patches 20 times the peer's best."
    )
    title = f"Training, median of {options.rounds} turns of {options.steps} steps"
    report("speed-train", title, rows, goal)


def predict(options: argparse.Namespace) -> None:
    """Megapixels per second, end to end, and the seams between tiles."""
    side = options.side
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(Partner(sys.executable, _OURS))
        ours.ask("train", steps=options.steps, batch=16)
        tasks: dict[str, Any] = {
            "napari-hush": lambda: ours.ask("predict", side=side),
            "napari-hush, float32": lambda: ours.ask("predict", side=side, precision="32"),
        }
        if options.before:
            before = stack.enter_context(_before(options.before))
            before.ask("train", steps=options.steps, batch=16)
            tasks["before"] = lambda: before.ask("predict", side=side)
        if options.peer:
            peer = stack.enter_context(Partner(options.peer, _PEER))
            peer.ask("train", steps=16, batch=16, side=512)
            for tile in (128, 256):
                tasks[f"CAREamics, tiles of {tile}"] = lambda tile=tile: peer.ask(
                    "predict", side=side, tile=tile
                )
        found: dict[str, list[float]] = {name: [] for name in tasks}
        for ask in tasks.values():
            ask()  # does not count
        for name in turns(options.rounds, *tasks):
            found[name].append(tasks[name]()["Mpixel/s"])
        seams = {
            precision: ours.ask("seams", side=side, precision=precision)
            for precision in ("32", "bf16")
        }
    own = statistics.median(found["napari-hush"])
    rows = [
        {
            "side": name,
            "Mpixel/s": statistics.median(speeds),
            "slowest": min(speeds),
            "fastest": max(speeds),
            "ours is": own / statistics.median(speeds),
        }
        for name, speeds in found.items()
    ]
    goal = (
        "Goal: 4 times the peer's better, 10 times on an H200; tiles against one piece "
        f"80 dB in float32, 60 dB in bfloat16; found {seams['32']:.0f} and "
        f"{seams['bf16']:.0f} dB."
    )
    title = f"Denoising {side} x {side}, median of {options.rounds} turns"
    report("speed-predict", title, rows, goal, seams=seams)


def memory(options: argparse.Namespace) -> None:
    """Most memory of denoising a large image, beyond image and result."""
    rows = []
    for side in (2048, 4096, 8192):
        with Partner(sys.executable, _OURS) as ours:
            ours.ask("train", steps=options.steps, batch=16)
            found = ours.ask("peak", side=side)
        rows.append(
            {
                "side": side,
                "beyond image and result, MB": found["grown"] / MB,
                "seconds": found["seconds"],
            }
        )
    report("speed-memory", "Memory of denoising", rows, "Goal: at most 1,000 MB.")


def scaling(options: argparse.Namespace) -> None:
    """Seconds per megapixel from 1 to 64 megapixels, on 1 to all cores."""
    sides = (1024, 2048, 4096, 8192)
    counts = sorted({1, os.cpu_count() or 1})
    found: dict[tuple[int, int], list[float]] = {}
    with Partner(sys.executable, _OURS) as ours:
        ours.ask("train", steps=options.steps, batch=16)
        for count in counts:
            ours.ask("threads", count=count)
            ours.ask("predict", side=1024)
            for side in turns(options.rounds, *map(str, sides)):
                speed = ours.ask("predict", side=int(side))["Mpixel/s"]
                found.setdefault((count, int(side)), []).append(1e3 / speed)
    rows = [
        {
            "cores": count,
            "Mpixel": side**2 / 2**20,
            "ms per Mpixel": statistics.median(found[count, side]),
            "fastest": min(found[count, side]),
            "slowest": max(found[count, side]),
        }
        for count in counts
        for side in sides
    ]
    spread = {
        count: max(costs) / min(costs)
        for count in counts
        for costs in [[r["ms per Mpixel"] for r in rows if r["cores"] == count]]
    }
    found_spread = ", ".join(f"{s:.2f} on {c}" for c, s in spread.items())
    goal = f"Goal: linear within 1.10; dearest / cheapest: {found_spread}."
    report("speed-scaling", "Cost of denoising", rows, goal)


def precision(options: argparse.Namespace) -> None:
    """What bfloat16 changes in pictures with a known truth."""
    rows = []
    for name in SETS:
        with Partner(sys.executable, _OURS) as ours:
            found = ours.ask(
                "precisions", data=options.data, name=name, steps=options.steps
            )
        rows.append(
            {
                "set": name,
                "float32, dB": f"{found['32']:.3f}",
                "bfloat16, dB": f"{found['bf16']:.3f}",
                "difference": f"{found['bf16'] - found['32']:+.4f}",
            }
        )
    goal = "Goal: less than 0.05 dB apart."
    report("speed-precision", f"SI-PSNR after {options.steps} steps", rows, goal)


def _before(checkout: Path) -> Partner:
    """The same questions to another version of the project."""
    script = checkout.resolve() / "benchmarks" / _OURS
    return Partner(sys.executable, str(script), PYTHONPATH=str(checkout.resolve() / "src"))


def main() -> None:
    """Run one of the benchmarks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = {task.__name__: task for task in (train, predict, memory, scaling, precision)}
    parser.add_argument("task", choices=known)
    parser.add_argument("--peer", help="Python that has CAREamics 0.3.5")
    parser.add_argument("--before", type=Path, help="another checkout of the project")
    parser.add_argument("--data", help="precision: folder of the images")
    parser.add_argument("--batch", type=int, nargs="+", default=[16], help="patches (16)")
    parser.add_argument("--steps", type=int, default=64, help="of one turn (64)")
    parser.add_argument("--peer-steps", type=int, help="of its turns (as many as ours)")
    parser.add_argument("--side", type=int, default=2048, help="predict: pixels (2048)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side (3)")
    options = parser.parse_args()
    if options.task == "precision" and not options.data:
        parser.error("precision needs --data DIR")
    known[options.task](options)


if __name__ == "__main__":
    main()
