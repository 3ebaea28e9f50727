"""How good the pictures are, and after how long, beside CAREamics 0.3.5.

    python benchmarks/quality.py --data DIR [--peer PYTHON] [--steps 960] [--faster 2.5]
        [--sets Confocal_FISH TwoPhoton_MICE w2s] [--methods n2v n2v2]
    python benchmarks/quality.py --all --data DIR     (see `quality_all.py`)

Trains on all images of a set together, with the defaults of either side (patches of
64 x 64, 16 in a batch), and compares with the truth: SI-PSNR, the PSNR after the best
affine fit, in dB, averaged over the images of the set. Where both sides take the same time
is seen by a third run: ours with as many times the steps as `--faster` says, which is how
much faster a step of the method is on a quiet machine (see ``speed.py train``). Prints the
tables and writes ``benchmarks/results/quality.json`` with the curves and ``quality-*.svg``,
drawn from it.

`quality_images.py` says what DIR holds. PYTHON is one that has CAREamics 0.3.5.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import quality_all
from measuring import Partner
from quality_all import score
from quality_curves import draw
from quality_images import SETS, pairs
from reporting import RESULTS, report

TTA = 8
"""Versions for the column with test-time augmentation."""
OURS, PEER, SAME_TIME = "napari-hush", "CAREamics", "napari-hush, same time"
GOALS = {
    ("n2v", OURS): 0.3,
    ("n2v2", OURS): 0.7,
    ("n2v", SAME_TIME): 0.5,
    ("n2v2", SAME_TIME): 1.0,
}
"""dB over CAREamics, by method and side."""


def main() -> None:
    """Measure, report and draw."""
    if "--all" in sys.argv:
        quality_all.main()
        return
    options = _options()
    runs = []
    for name in options.sets:
        for method in options.methods:
            sides = (
                [OURS] + [PEER] * bool(options.peer) + [SAME_TIME] * bool(options.faster)
            )
            for side in sides:
                runs.append(_run(options, name, method, side))
                _save(options, runs)
    for method in options.methods:
        of_method = [run for run in runs if run["method"] == method]
        draw(of_method, RESULTS / f"quality-{method}.svg")


def _run(options: argparse.Namespace, name: str, method: str, side: str) -> dict[str, Any]:
    ours = side != PEER
    python = sys.executable if ours else options.peer
    script = "quality_hush.py" if ours else "quality_peer.py"
    threads = {"OMP_NUM_THREADS": str(options.threads)} if options.threads else {}
    steps = round(options.steps * (options.faster if side == SAME_TIME else 1))
    marks = sorted({steps * part // 8 for part in (1, 2, 3, 4, 6, 8)} - {0})
    truth = pairs(options.data, name).truth
    with tempfile.TemporaryDirectory() as folder, Partner(python, script, **threads) as it:
        seconds = it.ask(
            "train",
            data=options.data,
            name=name,
            steps=steps,
            marks=marks,
            folder=folder,
            seed=options.seed,
            method=method,
        )
        curve = [score(Path(folder) / f"{i}.npy", truth) for i in range(1, len(marks) + 1)]
        last = {}
        for versions in (1, TTA) if ours else (1,):
            it.ask("denoise", data=options.data, name=name, folder=folder, tta=versions)
            last[versions] = score(Path(folder) / f"final-{versions}.npy", truth)
    return {
        "set": name,
        "method": method,
        "side": side,
        "steps": marks,
        "seconds": seconds,
        "curve": curve,
        "final": last[1],
        "augmented": last.get(TTA),
    }


def _save(options: argparse.Namespace, runs: list[dict[str, Any]]) -> None:
    """Print and write what there is so far: a run takes minutes."""
    rows = [
        {
            "set": run["set"],
            "method": run["method"],
            "side": run["side"],
            "steps": run["steps"][-1],
            "ms per step": 1e3 * run["seconds"][-1] / run["steps"][-1],
            "half the steps, dB": f"{_at(run, run['steps'][-1] // 2):.2f}",
            "all steps, dB": f"{run['final']:.2f}",
            f"with {TTA} versions, dB": (
                f"{run['augmented']:.2f}" if run["augmented"] else "-"
            ),
        }
        for run in runs
    ]
    report(
        options.name,
        f"SI-PSNR after {options.steps} steps of 16 patches of 64 x 64",
        rows,
        _goal(runs),
        runs=runs,
    )


def _at(run: dict[str, Any], step: int) -> float:
    return float(np.interp(step, run["steps"], run["curve"]))


def _goal(runs: list[dict[str, Any]]) -> str:
    """Differences to the peer, method by method."""
    lines = []
    for (method, side), wanted in GOALS.items():
        of = [run for run in runs if run["method"] == method]
        theirs = {run["set"]: run["final"] for run in of if run["side"] == PEER}
        for kind in ("final", "augmented"):
            gains = {
                run["set"]: run[kind] - theirs[run["set"]]
                for run in of
                if run["side"] == side and run["set"] in theirs
            }
            if gains:
                each = ", ".join(f"{name} {gain:+.2f}" for name, gain in gains.items())
                lines.append(
                    f"{method}, {side}, {'1' if kind == 'final' else TTA} versions: "
                    f"{np.mean(list(gains.values())):+.2f} dB on average ({each}); "
                    f"wanted {wanted:+.1f} and none below 0"
                )
    return "; ".join(lines) or "no peer to compare with (--peer)"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True, help="folder of the images")
    parser.add_argument("--peer", help="a Python that has CAREamics 0.3.5")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--methods", nargs="+", default=["n2v", "n2v2"])
    parser.add_argument("--steps", type=int, default=960)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument(
        "--faster", type=float, default=2.5, help="our step, times theirs; 0: equal steps"
    )
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--name", default="quality", help="of the JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
