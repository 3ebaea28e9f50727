"""How good results are after how many steps, on every set with ground truth.

    python benchmarks/quality.py --all --data DIR [--peer PYTHON | --peer-results FILE]
        [--only SET ...] [--steps 0 10 25 50 100 300 960] [--separate | --stops]

The built-in denoiser without training; N2V, N2V2 and, where scenes were repeated,
Noise2Noise, from random and from built-in weights; CAREamics 0.3.5 after the last of the
steps. SI-PSNR in dB, averaged over the images of a set, which are trained on together. Each
curve is one training run; what is kept in its middle is what the model would give there,
and its seconds do not count. With ``--separate`` each number of steps is a run of its own,
with a schedule of that length. With ``--stops`` training ends by itself, as with *Denoise
now*, after at most the last of the steps.

Prints a table at the end and writes ``benchmarks/results/quality-all.json`` after each row;
what is in that file is not measured again. FILE has figures of CAREamics from an earlier
run. A row that failed is left out, and tried again by the next run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Partner
from quality_images import ALL, Pairs, pairs
from reporting import RESULTS, report
from scipy.ndimage import gaussian_filter

from napari_hush.quality import si_psnr

Row = dict[str, Any]
"""``set``, ``method``, ``weights``; and for each of ``steps`` ``seconds`` and ``dB``."""
PEER, DENOISER = "CAREamics", "denoiser"
STEPS = (0, 10, 25, 50, 100, 300, 960)
WIDTHS = np.arange(0.5, 6.1, 0.25)
"""Of Gaussian blurs, in pixels."""


def main() -> None:
    """Measure what is not in the file yet."""
    options = _options()
    file = RESULTS / f"{options.name}.json"
    known = json.loads(file.read_text())["runs"] if file.exists() else []
    rows: list[Row] = [{"stops": False, **row} for row in known]
    done = {_key(row) for row in rows}
    for name in options.only:
        given = pairs(options.data, name)
        for method, weights in _planned(options, given):
            row: Row = {"set": name, "method": method, "weights": weights}
            row["stops"] = options.stops and method in ("n2v", "n2v2")
            row["steps"] = _steps(options, method, weights)
            row["separate"] = options.separate and len(row["steps"]) > 1
            if _key(row) in done:
                continue
            print(f"--- {name}, {method}, {weights}", flush=True)
            try:
                row |= _measured(options, given, row)
            except SystemExit as error:
                print(error, flush=True)
                continue
            rows.append(row)
            decibels = ", ".join(f"{value:.2f}" for value in row["dB"])
            print(f"{decibels} dB; {row['seconds'][-1]:.1f} s", flush=True)
            RESULTS.mkdir(exist_ok=True)
            file.write_text(json.dumps({"runs": rows}))
    _report(options, rows)


def score(file: Path, truth: list[np.ndarray]) -> float:
    """Mean SI-PSNR in dB of the images in a file."""
    clean = np.load(file).reshape(len(truth), *truth[0].shape)
    return float(np.mean([si_psnr(c, t) for c, t in zip(clean, truth, strict=True)]))


def _key(row: Row) -> tuple[Any, ...]:
    names = (row[key] for key in ("set", "method", "weights", "separate", "stops"))
    return (*names, *(() if row["stops"] else row["steps"]))


def _planned(options: argparse.Namespace, given: Pairs) -> list[tuple[str, str]]:
    """Method and weights of the rows of a set."""
    found = [("noisy", "-"), ("best Gaussian", "-"), (DENOISER, "built-in")]
    for method in ("n2v", "n2v2", *["n2n"] * given.repeats):
        found += [(method, "random"), (method, "built-in")]
        if method != "n2n" and (options.peer or options.peer_results):
            found.append((method, PEER))
    return found


def _steps(options: argparse.Namespace, method: str, weights: str) -> list[int]:
    if method in ("noisy", "best Gaussian", DENOISER):
        return [0]
    if weights == PEER:
        return [options.steps[-1] if options.peer else 960]
    return [*options.steps[-1:]] if options.stops else [*options.steps]


def _measured(options: argparse.Namespace, given: Pairs, row: Row) -> Row:
    """Seconds and dB of a row."""
    method, weights, steps = row["method"], row["weights"], row["steps"]
    images = given.noisy.astype("float32").reshape(len(given.truth), *given.truth[0].shape)
    both = list(zip(images, given.truth, strict=True))
    if method == "noisy":
        return {"seconds": [0.0], "dB": [float(np.mean([si_psnr(*pair) for pair in both]))]}
    if method == "best Gaussian":
        best = [max(si_psnr(gaussian_filter(i, w), t) for w in WIDTHS) for i, t in both]
        return {"seconds": [0.0], "dB": [float(np.mean(best))]}
    if weights == PEER and not options.peer:
        name = {"w2s": "w2s_ch0"}.get(row["set"], row["set"])
        known = json.loads(options.peer_results.read_text())["results"]
        earlier = known.get(f"{name} n2v2={method == 'n2v2'}")
        if earlier is None:
            raise SystemExit("not in the file of earlier results")
        return {"seconds": [earlier["train_s"]], "dB": [earlier["si"]]}
    python, script = sys.executable, "quality_hush.py"
    if weights == PEER:
        python, script = options.peer, "quality_peer.py"
    threads = {"OMP_NUM_THREADS": str(options.threads)} if options.threads else {}
    found: Row = {"seconds": [], "dB": []}
    for marks in [[step] for step in steps] if row["separate"] else [steps]:
        task: Row = {"data": str(options.data), "name": row["set"]}
        if method != DENOISER:
            task |= {"steps": max(1, marks[-1]), "marks": marks, "method": method}
            task["seed"] = options.seed
            if weights != PEER:
                task |= {"weights": weights, "stops": row["stops"]}
        with (
            tempfile.TemporaryDirectory() as folder,
            Partner(python, script, **threads) as it,
        ):
            what = "built_in" if method == DENOISER else "train"
            found["seconds"] += it.ask(what, folder=folder, **task)
            if row["stops"]:
                row["steps"] = [it.ask("trained_steps")]
            files = [Path(folder) / f"{i}.npy" for i in range(1, len(marks) + 1)]
            found["dB"] += [score(file, given.truth) for file in files]
    return found


def _report(options: argparse.Namespace, rows: list[Row]) -> None:
    """Print and write the table of all rows, and means over the sets."""
    columns = sorted({step for row in rows for step in row["steps"]})
    lines = [_line(row, columns, _theirs(rows, row)) for row in rows]
    kinds = list(dict.fromkeys(_key(row)[1:5] for row in rows))
    for kind in kinds:
        of = [row for row in rows if _key(row)[1:5] == kind]
        steps = [s for s in columns if all(s in row["steps"] for row in of)]
        values = [[row["dB"][row["steps"].index(s)] for s in steps] for row in of]
        seconds = [[row["seconds"][row["steps"].index(s)] for s in steps] for row in of]
        with_peer = [peer for row in of if (peer := _theirs(rows, row))]
        means: list[Any] = [[*np.mean(v, axis=0)] for v in (values, seconds)]
        mean = dict(zip(("steps", "dB", "seconds"), (steps, *means), strict=True))
        mean |= {"set": f"mean of {len(of)}", "method": kind[0], "weights": kind[1]}
        theirs = None
        if len(with_peer) == len(of):
            dB, took = ([peer[k][-1] for peer in with_peer] for k in ("dB", "seconds"))
            theirs = {"dB": [float(np.mean(dB))], "seconds": [float(np.mean(took))]}
        lines.append(_line(mean, columns, theirs))
    title = "SI-PSNR in dB after so many steps"
    report(options.name, title, lines, _goals(rows), runs=rows)


def _theirs(rows: list[Row], row: Row) -> Row | None:
    """CAREamics' row of the same set and method, or of its better method."""
    found = [r for r in rows if r["weights"] == PEER and r["set"] == row["set"]]
    same = [peer for peer in found if peer["method"] == row["method"]]
    return max(same or found, key=lambda peer: peer["dB"][-1], default=None)


def _line(row: Row, columns: list[int], theirs: Row | None) -> dict[str, Any]:
    """A line of the table; seconds until CAREamics' dB are between those of two steps."""
    at = dict(zip(row["steps"], row["dB"], strict=True))
    line = {key: row[key] for key in ("set", "method", "weights")}
    line |= {str(step): f"{at[step]:.2f}" if step in at else "-" for step in columns}
    line |= {"s": f"{row['seconds'][-1]:.1f}", PEER: "-", "s to that": "-", "ratio": "-"}
    if theirs is None or row["weights"] not in ("random", "built-in"):
        return line
    wanted, highest = theirs["dB"][-1], np.maximum.accumulate(row["dB"])
    line[PEER] = f"{wanted:.2f}"
    if highest[-1] >= wanted:
        seconds = float(np.interp(wanted, highest, row["seconds"]))
        line["s to that"] = f"{seconds:.1f}"
        line["ratio"] = f"{theirs['seconds'][-1] / max(seconds, 0.1):.0f}"
    return line


def _goals(rows: list[Row]) -> str:
    """What built-in networks gain on CAREamics' better method; distance to Noise2Noise."""
    after: dict[Any, dict[str, float]] = {}
    for name in dict.fromkeys(row["set"] for row in rows):
        peer = _theirs(rows, {"set": name, "method": None})
        start, later = (_best(rows, name, "built-in", steps=s) for s in (0, 50))
        if peer:
            after.setdefault(f"0 steps over {PEER}", {})[name] = start - peer["dB"][-1]
            after.setdefault(f"50 steps over {PEER}", {})[name] = later - peer["dB"][-1]
        after.setdefault("50 steps over 0 steps", {})[name] = later - start
        n2n = (name, "n2n", "random")
        repeated = [r["dB"][-1] for r in rows if _key(r)[:3] == n2n]
        if repeated:
            best = _best(rows, name, seconds=300) - max(repeated)
            after.setdefault("best in 300 s over Noise2Noise", {})[name] = best
    said = []
    for what, gains in after.items():
        known = {name: gain for name, gain in gains.items() if np.isfinite(gain)}
        if known:
            least = min(known, key=lambda name: known[name])
            mean = np.mean(list(known.values()))
            said.append(
                f"{what}: {mean:+.2f} dB on average, {known[least]:+.2f} on {least}"
            )
    return "\n".join(said)


def _best(
    rows: list[Row],
    name: str,
    weights: str = "",
    *,
    steps: int | None = None,
    seconds: float = np.inf,
) -> float:
    """Highest dB on a set of what needs no repeats; NaN where nothing is known."""
    found = [
        dB
        for row in rows
        if row["set"] == name and row["method"] in (DENOISER, "n2v", "n2v2")
        if row["weights"] in ({weights} if weights else {"random", "built-in"})
        for step, took, dB in zip(row["steps"], row["seconds"], row["dB"], strict=True)
        if took <= seconds and steps in (None, step)
    ]
    return max(found, default=np.nan)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="this measurement")
    parser.add_argument("--data", required=True, type=Path, help="folder of the images")
    parser.add_argument("--only", nargs="+", choices=ALL, default=ALL, metavar="SET")
    parser.add_argument("--steps", nargs="+", type=int, default=STEPS)
    parser.add_argument("--separate", action="store_true", help="a run per number of steps")
    parser.add_argument("--stops", action="store_true", help="until the loss levels off")
    parser.add_argument("--peer", help="a Python that has CAREamics 0.3.5")
    parser.add_argument("--peer-results", type=Path, help="JSON of its earlier run")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--name", default="quality-all", help="of the JSON file")
    return parser.parse_args()
