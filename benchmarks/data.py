"""How the data part compares: speed, memory, files larger than memory, start, scaling.

    python benchmarks/data.py loader   [--peer PYTHON]   batches per second from memory
    python benchmarks/data.py memory   [--peer PYTHON]   most memory of set-up on 1 GB
    python benchmarks/data.py large                      6 GB that stay on disk
    python benchmarks/data.py start                      from nothing to the first batch
    python benchmarks/data.py scaling                    epochs over 1 to 64 million pixels

PYTHON is one that has CAREamics 0.3.5 (``python -m venv DIR``, then ``DIR/bin/pip install
careamics==0.3.5``). Each prints a table and writes ``benchmarks/results/data-*.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import generating
from measuring import GB, MB, Partner, turns
from reporting import report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OURS = "data_hush.py"
_PEER = "data_peer.py"

LOADER_GOAL = 20
"""Times the peer's patches per second."""
MEMORY_GOAL = 1.2
"""Times the bytes of the pixels."""
LARGE_GOAL = 1.5
"""Gigabytes held, however large the files are."""


def loader(options: argparse.Namespace) -> None:
    """Batches ready for the network, 64 x 64, 16 in a batch, from 1024 x 1024 float32."""
    threads = {"OMP_NUM_THREADS": str(options.threads)} if options.threads else {}
    with contextlib.ExitStack() as stack:
        ours = Partner(sys.executable, _OURS, **threads)
        sides = {"napari-hush": stack.enter_context(ours)}
        sides["napari-hush"].ask("prepare", shape=[1024, 1024])
        for workers in (-1, 0) if options.peer else ():
            partner = stack.enter_context(Partner(options.peer, _PEER, **threads))
            made = partner.ask("prepare", shape=[1024, 1024], workers=workers)
            sides[f"CAREamics, {made['workers']} workers"] = partner
        rows = []
        for masked in (False, True):
            speeds = _alternate(
                sides,
                options.rounds,
                lambda partner, masked=masked: _speed(
                    partner.ask("run", seconds=options.seconds, masked=masked)
                ),
            )
            for side, found in speeds.items():
                rows.append(
                    {
                        "loader": side,
                        "blind spots": "set" if masked else "not set",
                        "patches/s": statistics.median(found),
                        "slowest": min(found),
                        "fastest": max(found),
                        "ours is": statistics.median(speeds["napari-hush"])
                        / statistics.median(found),
                    }
                )
    ratio = min([row["ours is"] for row in rows[1 : len(sides)]], default=float("nan"))
    title = (
        f"Batches from memory, median of {options.rounds} turns of {options.seconds} s"
        f"{f', torch on {options.threads} threads' if options.threads else ''}"
    )
    goal = f"Goal: {LOADER_GOAL} times the faster loader of the peer; found {ratio:.1f}."
    report("data-loader", title, rows, goal)


def memory(options: argparse.Namespace) -> None:
    """Most memory of set-up in memory and the first batch, each in a fresh process."""
    size = options.gigabytes or 1
    rows = []
    with _folder(options) as folder:
        one, several = folder / "one.tif", folder / "several"
        generating.stack(one, size * GB)
        cases = [
            ("array, uint16", "uint16", None, size * GB),
            ("array, float32", "float32", None, size * GB),
            ("TIFF, one file, uint16", "tiff", one, one.stat().st_size),
            ("TIFF, folder, uint16", "tiff", several, generating.tiffs(several, size * GB)),
        ]
        for name, kind, source, nbytes in cases:
            row: dict[str, Any] = {"pixels": name, "GB": nbytes / GB}
            for side, python, script in _sides(options):
                with Partner(python, script) as partner:
                    found = partner.ask(
                        "memory",
                        kind=kind,
                        source=source and str(source),
                        nbytes=nbytes,
                    )
                row[f"{side}: peak / pixels"] = found["grown"] / nbytes
                row[f"{side}: s"] = found["seconds"]
            rows.append(row)
    worst = max(row["napari-hush: peak / pixels"] for row in rows)
    goal = f"Goal: at most {MEMORY_GOAL} times the pixels; found {worst:.2f} at most."
    report("data-memory", "Most memory of set-up and the first batch", rows, goal)


def large(options: argparse.Namespace) -> None:
    """Two epochs over files that stay on disk, and as many patches from memory."""
    size = (options.gigabytes or 6) * GB
    rows, traces = [], {}
    with Partner(sys.executable, _OURS) as partner:
        partner.ask("prepare", shape=[8192, 8192], dtype=options.dtype)
        from_memory = statistics.median(
            _speed(partner.ask("run", seconds=options.seconds)) for _ in range(3)
        )
    for name, axes, data_type, generate in (
        ("TIFF files", "YX", "tiff", generating.tiffs),
        ("OME-Zarr", "TYX", "zarr", generating.ome_zarr),
    ):
        if options.only not in (None, data_type):
            continue
        with _folder(options) as work, _cache_in(work) as cache:
            folder = work / data_type
            nbytes = generate(folder, size, options.dtype)
            with Partner(sys.executable, _OURS, HUSH_CACHE_DIR=cache) as partner:
                found = partner.ask(
                    "large",
                    folder=str(folder),
                    axes=axes,
                    data_type=data_type,
                    epochs=options.epochs,
                )
        traces[data_type] = found.pop("trace")
        for number, epoch in enumerate(found["epochs"], 1):
            speed = _speed(epoch)
            grown = epoch["median"] - found["epochs"][0]["median"]
            rows.append(
                {
                    "source": f"{name}, {nbytes / GB:.1f} GB",
                    "set-up, s": found["setup_seconds"],
                    "epoch": number,
                    "patches/s": speed,
                    "against memory": f"{speed / from_memory:.0%}",
                    "most held, GB": max(epoch["most"], found["setup_most"]) / GB,
                    "median held, GB": epoch["median"] / GB,
                    "grown since epoch 1, MB": grown / MB,
                }
            )
    imports = found["imports"] / GB
    most = max(row["most held, GB"] for row in rows)
    goal = (
        f"Goal: under {LARGE_GOAL} GB and flat; found {most:.2f} GB at most, of which "
        f"{imports:.2f} GB are the imports."
    )
    title = (
        f"Files that stay on disk, {options.dtype}, not cached by the system "
        f"when an epoch begins; from memory {from_memory:,.0f} patches/s"
    )
    name = f"data-large-{options.only}" if options.only else "data-large"
    report(name, title, rows, goal, from_memory=from_memory, traces=traces)


def start(options: argparse.Namespace) -> None:
    """From nothing to the first batch of a Zarr store, twice."""
    with _folder(options) as work, _cache_in(work) as cache:
        folder = work / "zarr"
        generating.ome_zarr(folder, (options.gigabytes or 6) * GB)
        chunks = sum(path.is_file() for path in (folder / "0" / "c").rglob("*"))
        rows = []
        for name in ("first time", "second time"):
            with Partner(sys.executable, _OURS, HUSH_CACHE_DIR=cache) as partner:
                found = partner.ask("start", folder=str(folder), axes="TYX")
            rows.append(
                {
                    "": name,
                    "set-up, s": found["setup_seconds"],
                    "first batch, s": found["batch_seconds"],
                    "chunks read by set-up": found["setup_reads"],
                    "of them distinct": found["distinct"],
                    "by the first batch": found["batch_reads"],
                    "chunks there": chunks,
                }
            )
    passes = rows[0]["chunks read by set-up"] / chunks
    goal = (
        f"Goal: one pass over the chunks, none the second time; found {passes:.2f} and "
        f"{rows[1]['chunks read by set-up'] / chunks:.2f}."
    )
    report("data-start", "From nothing to the first batch of an OME-Zarr", rows, goal)


def scaling(options: argparse.Namespace) -> None:
    """One epoch over 1 to 64 million pixels."""
    sides = [1024, 2048, 4096, 8192]
    with contextlib.ExitStack() as stack:
        partners, setups, patches = {}, {}, {}
        for side in sides:
            partner = stack.enter_context(Partner(sys.executable, _OURS))
            made = partner.ask("prepare", shape=[side, side])
            partners[str(side)] = partner
            setups[side], patches[side] = made["seconds"], made["patches"]
            partner.ask("run", seconds=0.5)

        def pace(partner: Partner) -> float:
            found = partner.ask("run", seconds=options.seconds)
            return found["seconds"] / found["patches"]

        paces = _alternate(partners, options.rounds, pace)
    rows = []
    for side in sides:
        each = statistics.median(paces[str(side)])
        rows.append(
            {
                "million pixels": side * side / 2**20,
                "patches": patches[side],
                "epoch, s": each * patches[side],
                "ns per pixel": each / 64**2 * 1e9,
                "fastest": min(paces[str(side)]) / 64**2 * 1e9,
                "slowest": max(paces[str(side)]) / 64**2 * 1e9,
                "set-up, s": setups[side],
            }
        )
    costs = [row["ns per pixel"] for row in rows]
    goal = f"Goal: linear; dearest / cheapest pixel is {max(costs) / min(costs):.2f}."
    report("data-scaling", "One epoch over float32 arrays", rows, goal)


def _alternate(
    partners: dict[str, Partner], rounds: int, measure: Callable[[Partner], float]
) -> dict[str, list[float]]:
    """What `measure` finds of each, in turns, after one turn that does not count."""
    found: dict[str, list[float]] = {name: [] for name in partners}
    for name in partners:
        measure(partners[name])
    for name in turns(rounds, *partners):
        found[name].append(measure(partners[name]))
    return found


def _speed(found: dict[str, float]) -> float:
    return found["patches"] / found["seconds"]


def _sides(options: argparse.Namespace) -> list[tuple[str, str, str]]:
    sides = [("napari-hush", sys.executable, _OURS)]
    if options.peer:
        sides.append(("CAREamics", options.peer, _PEER))
    return sides


@contextlib.contextmanager
def _folder(options: argparse.Namespace) -> Iterator[Path]:
    """A new folder for generated images, deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="hush-", dir=options.work) as folder:
        yield Path(folder)


@contextlib.contextmanager
def _cache_in(folder: Path) -> Iterator[str]:
    """A cache of statistics that is empty at first and goes with the images."""
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        yield cache


def main() -> None:
    """Run one of the benchmarks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = {task.__name__: task for task in (loader, memory, large, start, scaling)}
    parser.add_argument("task", choices=known)
    parser.add_argument("--peer", help="Python that has CAREamics 0.3.5")
    parser.add_argument("--work", help="folder for generated images (a temporary one)")
    parser.add_argument("--gigabytes", type=float, help="size of the generated images")
    parser.add_argument("--only", choices=["tiff", "zarr"], help="large: one kind of file")
    parser.add_argument("--threads", type=int, help="loader: of torch, both sides")
    parser.add_argument("--epochs", type=int, default=2, help="large: how many (2)")
    parser.add_argument("--dtype", default="uint16", help="large: of the pixels (uint16)")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side (7)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one turn (1)")
    options = parser.parse_args()
    known[options.task](options)


if __name__ == "__main__":
    main()
