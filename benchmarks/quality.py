"""How good the pictures are, and after how long, beside CAREamics 0.3.5.

    python benchmarks/quality.py --data DIR [--peer PYTHON] [--steps 960]
        [--sets Confocal_FISH TwoPhoton_MICE w2s] [--methods n2v n2v2]

Trains on all images of a set together, with the defaults of either side (patches of
64 x 64, 16 in a batch), and compares with the truth: SI-PSNR, the PSNR after the best
affine fit, in dB, averaged over the images of the set. Prints the tables and writes
``benchmarks/results/quality.json`` with the curves and ``quality-*.svg``, drawn from it.

`quality_images.py` says what DIR holds. PYTHON is one that has CAREamics 0.3.5.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Partner, turns
from quality_curves import draw
from quality_images import SETS, pairs
from reporting import RESULTS, report

from napari_hush.judgement import si_psnr

TTA = 8
"""Versions for the column with test-time augmentation."""


def main() -> None:
    """Measure, report and draw."""
    options = _options()
    runs = []
    for name in options.sets:
        for method in options.methods:
            for side in turns(1, *(["napari-hush"] + ["CAREamics"] * bool(options.peer))):
                runs.append(_run(options, name, method, side))
                _save(options, runs)
    for method in options.methods:
        of_method = [run for run in runs if run["method"] == method]
        draw(of_method, RESULTS / f"quality-{method}.svg")


def _run(options: argparse.Namespace, name: str, method: str, side: str) -> dict[str, Any]:
    ours = side == "napari-hush"
    python = sys.executable if ours else options.peer
    script = "quality_hush.py" if ours else "quality_peer.py"
    threads = {"OMP_NUM_THREADS": str(options.threads)} if options.threads else {}
    marks = sorted({options.steps * part // 8 for part in (1, 2, 3, 4, 6, 8)} - {0})
    truth = pairs(options.data, name).truth
    with tempfile.TemporaryDirectory() as folder, Partner(python, script, **threads) as it:
        seconds = it.ask(
            "train",
            data=options.data,
            name=name,
            steps=options.steps,
            marks=marks,
            folder=folder,
            seed=options.seed,
            use_n2v2=method == "n2v2",
        )
        curve = [_score(Path(folder) / f"{i}.npy", truth) for i in range(1, len(marks) + 1)]
        last = {}
        for versions in (1, TTA) if ours else (1,):
            it.ask("denoise", data=options.data, name=name, folder=folder, tta=versions)
            last[versions] = _score(Path(folder) / f"final-{versions}.npy", truth)
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


def _score(file: Path, truth: list[np.ndarray]) -> float:
    clean = np.load(file).reshape(len(truth), *truth[0].shape)
    return float(np.mean([si_psnr(c, t) for c, t in zip(clean, truth, strict=True)]))


def _save(options: argparse.Namespace, runs: list[dict[str, Any]]) -> None:
    """Print and write what there is so far: a run takes minutes."""
    rows = [
        {
            "set": run["set"],
            "method": run["method"],
            "side": run["side"],
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
    for method, wanted in (("n2v", 0.3), ("n2v2", 0.7)):
        final = {(r["set"], r["side"]): r["final"] for r in runs if r["method"] == method}
        both = [s for s, side in final if side == "CAREamics"]
        gains = [final[s, "napari-hush"] - final[s, "CAREamics"] for s in both]
        if gains:
            each = ", ".join(f"{s} {g:+.2f}" for s, g in zip(both, gains, strict=True))
            lines.append(
                f"{method}: {np.mean(gains):+.2f} dB on average ({each}); "
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
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--name", default="quality", help="of the JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
