"""Prediction on Dask workers against one process: pixels, speed, memory, size of the graph.

    python benchmarks/dask_prediction.py [--gigabytes 4] [--workers 3] [--network small]
        [--work DIR] [--json FILE]
    python benchmarks/dask_prediction.py --plan

Denoises an OME-Zarr (16 bit) of that size in one process and on a LocalCluster, each
worker with one thread, and once more while one of the workers is killed. "Against one
process" compares processor time per megapixel, which other work on the machine hardly
changes, and time with as many threads in one process as there are workers. `--plan` reads
no pixels: numbers for a volume of 1 PB. Takes three times the size on the disk of DIR.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil

NETWORKS = {"small": {"num_channels_init": 8, "depth": 1}, "default": {}}
"""The small one has a fiftieth of the arithmetic, so that everything else counts."""


def model(network: str, axes: str = "TYX"):
    import torch

    from napari_hush.config import create_n2v_configuration
    from napari_hush.models import Model, UNet
    from napari_hush.models.normalization import Normalization

    config = create_n2v_configuration(
        "dask", "zarr", axes, [16] * (len(axes) - ("T" in axes)), 4,
        model_params=NETWORKS[network],
    )  # fmt: skip
    training = config.training_config.replace(device="cpu", precision="32")
    config = config.replace(training_config=training)
    torch.manual_seed(0)
    unet = UNet(config.algorithm_config.model).eval()
    return Model(config, unet, Normalization((1000.0,), (60.0,)))


class Processes:
    """Processor time and largest resident memory of all children, as of 0.5 s ago.

    Those that were killed, or started later, count as well.
    """

    def __init__(self) -> None:
        self._cpu: dict[int, float] = {}
        self._peak: dict[int, int] = {}
        self._ended = threading.Event()
        self._sample()
        self._before = dict(self._cpu)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            self._sample()

    def _sample(self) -> None:
        for process in psutil.Process().children(recursive=True):
            try:
                times, now = process.cpu_times(), process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            self._cpu[process.pid] = times.user + times.system
            self._peak[process.pid] = max(now, self._peak.get(process.pid, 0))

    def end(self) -> tuple[float, int]:
        """Seconds since the start, and bytes of the largest process."""
        self._ended.set()
        self._thread.join()
        self._sample()
        return sum(self._cpu.values()) - sum(self._before.values()), max(
            self._peak.values()
        )


def here(place: Path, name: str, threads: int, network: str) -> dict[str, float]:
    """Denoise in this process."""
    import torch

    from napari_hush import CAREamist

    torch.set_num_threads(threads)
    careamist = CAREamist(model(network))
    careamist.predict(np.full((1, 64, 64), 1000.0), axes="TYX")  # all is imported
    wall, cpu = time.perf_counter(), time.process_time()
    predict(careamist, place, name, network)
    return {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
    }


def predict(careamist, place: Path, name: str, network: str, client=None) -> None:
    careamist.predict_to_disk(
        place / "in.ome.zarr",
        prediction_dir=place / f"{name}.ome.zarr",
        axes="TYX",
        check=False,
        client=client,
    )


def on_workers(
    place: Path, name: str, workers: int, network: str, *, kill: bool
) -> dict[str, object]:
    """Denoise on a LocalCluster, and report on its processes."""
    import dask
    from distributed import Client, LocalCluster

    from napari_hush import CAREamist
    from napari_hush.events import TilesDone

    killed: list[int] = []
    with (
        dask.config.set({"distributed.worker.profile.enabled": False}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.run(warm_up)
        pids = list(client.run(os.getpid).values())
        most, submit = [0, 0], client.submit
        keys = set()

        def counted(function, *arguments, **more):
            keys.add(more["key"])
            sent = len(pickle.dumps((function, *arguments)))
            tasks = len(cluster.scheduler.tasks) + 1
            most[:] = max(most[0], tasks), max(most[1], sent)
            return submit(function, *arguments, **more)

        client.submit = counted

        def watch(event) -> None:
            if not isinstance(event, TilesDone) or not kill or killed:
                return
            if event.done > event.num_tiles // 3:
                killed.append(pids[0])
                os.kill(pids[0], signal.SIGKILL)

        careamist = CAREamist(model(network), on_progress=watch)
        processes = Processes()
        wall, cpu = time.perf_counter(), time.process_time()
        predict(careamist, place, name, network, client)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        of_workers, peak = processes.end()
    return {
        "wall": wall,
        "cpu": cpu + of_workers,
        "peak_mb": round(peak / 1e6),
        "tasks": len(keys),
        "tasks_at_once": most[0],
        "bytes_per_task": most[1],
        "killed": bool(killed),
    }


def warm_up() -> None:
    """Import what a worker needs, and nothing else, and compute once."""
    import torch

    from napari_hush.config import UNetConfig
    from napari_hush.models import UNet
    from napari_hush.prediction import dask_worker  # noqa: F401

    with torch.inference_mode():
        UNet(UNetConfig()).eval()(torch.zeros(1, 1, 64, 64))


def equal(one: Path, other: Path) -> bool:
    """Whether all files of two stores are equal but their names in the metadata."""
    files = [sorted(p.relative_to(s) for p in s.rglob("*")) for s in (one, other)]
    same = files[0] == files[1]
    for path in files[0] if same else ():
        if (one / path).is_file() and path != Path("zarr.json"):
            same = same and (one / path).read_bytes() == (other / path).read_bytes()
    return same


def plan(workers: int = 1000) -> dict[str, object]:
    """What a volume of 1 PB (16 bit) takes, from the code that plans it."""
    from distributed import Client, LocalCluster

    from napari_hush.config import InferenceConfig
    from napari_hush.io import Image
    from napari_hush.io.lazy import LazyPixels
    from napari_hush.prediction import dask_worker, on_dask
    from napari_hush.prediction.to_file import FileTarget, FileWork

    class Huge(LazyPixels):
        def _read(self, bounds):
            raise AssertionError("a plan reads no pixels")

    side = round((1e15 / 2) ** (1 / 3))
    process = psutil.Process()
    image = Image.from_array(Huge((side,) * 3, "uint16"), "ZYX", "brain")
    made = model("default", "ZYX")
    config = InferenceConfig.build(
        {
            "data_type": "array",
            "axes": "ZYX",
            "image_means": made.normalization.means,
            "image_stds": made.normalization.scales,
            "dtype": "source",
        }
    )
    target = FileTarget(Path("brain_clean.ome.zarr"), "zarr", "", {})
    before, began = process.memory_info().rss, time.perf_counter()
    work = FileWork(made, image, target, config)
    took = time.perf_counter() - began
    count, sizes = len(work.blocks), []
    left = count
    while left:
        sizes.append(on_dask.batch_size(left, count, workers))
        left -= sizes[-1]
    bounds = [part.inner for part in work.blocks[count // 2]]
    pixels = sum(math.prod(p.stop - p.start for p in box) for box in bounds)
    fixed = dask_worker.Plan("0.0", "cpu", "32", work.denoiser.tile_size)
    part = dask_worker.Part(fixed, "/shared/.brain_clean.ome.zarr.part")
    arguments = ("hush-" + "0" * 32, "write", part, count - 10, count)
    found = {
        "voxels": side**3,
        "tiles": work.num_tiles,
        "shards": count,
        "shard_mb": pixels * 2 / 1e6,
        "planned_in_s": round(took, 2),
        "planned_with_mb": round((process.memory_info().rss - before) / 1e6, 1),
        "journal_mb": count * 8 / 1e6,
        "workers": workers,
        "tasks": len(sizes),
        "tasks_at_once": on_dask.AT_ONCE * workers,
        "largest_task_shards": sizes[0],
        "largest_task_gb_written": sizes[0] * pixels * 2 / 1e9,
        "bytes_of_a_task": len(pickle.dumps((dask_worker.call, *arguments))),
    }
    # Memory of a scheduler that has all the tasks, and that of those it has at once.
    with (
        LocalCluster(
            n_workers=0, processes=False, dashboard_address=":0", silence_logs=50
        ) as cluster,
        Client(cluster) as client,
    ):
        for name, number in (("at_once", found["tasks_at_once"]), ("all", len(sizes))):
            before = process.memory_info().rss
            futures = [
                client.submit(dask_worker.call, *arguments, key=f"{name}-{n}")
                for n in range(number)
            ]
            while len(cluster.scheduler.tasks) < number:
                time.sleep(0.1)
            found[f"scheduler_mb_{name}"] = round(
                (process.memory_info().rss - before) / 1e6, 1
            )
            for future in futures:
                future.cancel()
            del futures
            while cluster.scheduler.tasks:
                time.sleep(0.1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=4)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--network", choices=NETWORKS, default="small")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--runs", nargs="+", default=["one", "threads", "dask", "killed"], metavar="RUN"
    )
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--here", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        place, name, threads = options.here
        print(json.dumps(here(Path(place), name, int(threads), options.network)))
        return
    found: dict[str, object] = {}
    if options.plan:
        found = plan()
        for key, value in found.items():
            print(f"{key:26} {value:>22,}")
    else:
        found = compare(options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


def compare(options: argparse.Namespace) -> dict[str, object]:
    from generating import ome_zarr

    place = Path(tempfile.mkdtemp(prefix="dask", dir=options.work))
    found: dict[str, object] = {}
    try:
        nbytes = ome_zarr(place / "in.ome.zarr", options.gigabytes * 1e9)
        megapixels = nbytes / 2e6
        print(f"{nbytes / 1e9:.2f} GB, {megapixels:,.0f} megapixels of 16 bit", flush=True)
        environment = os.environ | {"OMP_NUM_THREADS": str(options.workers)}
        threads_of = {"one": 1, "threads": options.workers, "dask": 0, "killed": 0}
        for name in options.runs:
            if threads := threads_of[name]:
                command = [sys.executable, __file__, "--network", options.network]
                command += ["--here", str(place), name, str(threads)]
                done = subprocess.run(
                    command, stdout=subprocess.PIPE, text=True, check=True, env=environment
                )
                run = json.loads(done.stdout.splitlines()[-1])
            else:
                workers, network = options.workers, options.network
                run = on_workers(place, name, workers, network, kill=name == "killed")
            store = place / f"{name}.ome.zarr"
            if name != "one":
                if name != "threads" and "one" in found:
                    run["equal"] = equal(place / "one.ome.zarr", store)
                shutil.rmtree(store)
            found[name] = run
            figures = ", ".join(
                f"{key} {value:.1f}" if isinstance(value, float) else f"{key} {value}"
                for key, value in run.items()
            )
            print(
                f"{name:8} {megapixels / run['wall']:6.2f} Mpx/s, "
                f"{1000 * run['cpu'] / megapixels:6.1f} ms of processor per Mpx; {figures}",
                flush=True,
            )
    finally:
        shutil.rmtree(place)
    return found


if __name__ == "__main__":
    main()
