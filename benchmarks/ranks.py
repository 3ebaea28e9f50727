"""What several processes make of one training run.

    python benchmarks/ranks.py scaling   patches per second with 1, 2, 4 ... processes
    python benchmarks/ranks.py agree     how far results are from that of one process
    python benchmarks/ranks.py lost      processes killed at random moments, and resumed
    python benchmarks/ranks.py gradients how long a step takes with ways to add up gradients

Images are simulated; the network is the default U-Net of depth 2 with 32 filters. On the
CPU, each process has one thread; ``--device cuda`` trains on GPUs. Processes are started by
torchrun; in `lost`, every other time by ``hush train --devices 2``. Each prints a table and
writes ``benchmarks/results/ranks-*.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from reporting import report

from napari_hush.config import create_n2v_configuration, save_configuration
from napari_hush.events import Event, StepsDone
from napari_hush.io import write_tiff

_LIMIT = 600
_TINY = "--patch-size 16 16 --filters 8 --batch-size 4 --precision 32 --device cpu"


# ---- the three tables


def scaling(options: argparse.Namespace) -> None:
    """Strong scaling shares one batch; weak scaling gives each process as many patches."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("one batch for all", "a batch for each"):
            alone = 0.0
            for ranks in options.ranks:
                batch = options.batch * (1 if kind == "one batch for all" else ranks)
                runs = [
                    measured(Path(folder), options, ranks, batch)
                    for _ in range(options.rounds)
                ]
                speed = statistics.median(run["patches/s"] for run in runs)
                alone = alone or speed
                rows.append(
                    {
                        "scaling": kind,
                        "processes": ranks,
                        "patches per step": batch,
                        "patches/s": round(speed, 1),
                        "slowest": round(min(run["patches/s"] for run in runs), 1),
                        "fastest": round(max(run["patches/s"] for run in runs), 1),
                        "against one": round(speed / alone, 2),
                        "message, MB": round(runs[0]["message"] / 1e6, 2),
                        "message, ms": round(statistics.median(r["ms"] for r in runs), 2),
                    }
                )
    title = f"Training on {options.device}, {options.rounds} runs of {options.steps} steps"
    report(f"ranks-scaling-{options.device}", title, rows, "")


def agree(options: argparse.Namespace) -> None:
    """Weights and pictures of several processes against those of one.

    Training amplifies rounding, so one process on pixels that are moved by the last bit of
    float32 says how far apart runs come by rounding alone.
    """
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for optimizer, rate in (("SGD", 0.001), ("Adam", 0.001)):
            how = (folder, options, optimizer, rate)
            alone, weights = made(*how, 1)
            others = {
                f"{ranks} processes": made(*how, ranks) for ranks in options.ranks[1:]
            }
            others["one, last bit of pixels moved"] = made(*how, 1, moved=True)
            for what, (picture, other) in others.items():
                error = float(np.square(picture - alone).mean())
                extent = float(alone.max() - alone.min())
                apart = max(
                    float(np.abs(other[k] - w).max() / max(np.abs(w).max(), 1e-3))
                    for k, w in weights.items()
                )
                rows.append(
                    {
                        "optimizer": f"{optimizer}, {rate}",
                        "against one process": what,
                        "steps": options.steps,
                        "weights apart, of the largest": f"{apart:.1e}",
                        "pictures alike, dB": round(10 * np.log10(extent**2 / error), 1),
                    }
                )
    report("ranks-agree", "Runs against that of one process, float32", rows, "")


def lost(options: argparse.Namespace) -> None:
    """Kill one of two processes at a random moment; then go on, with one process."""
    rows = []
    draw = random.Random(0)  # noqa: S311 - no secret
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        picture(folder / "noisy.tif", 96)
        train = ["train", "noisy.tif", *_TINY.split(), "--epochs", "3", "--steps", "200"]
        train += ["--set", "checkpoint_every=0.2", "--set", "process_timeout=120", "--json"]
        wanted = answer(hush(folder, [*train, "-o", "whole.safetensors"], 1))
        for number in range(options.rounds):
            command = [*train, "-o", f"{number}.safetensors"]
            torchrun = number % 2 == 0
            job = start(folder, command, 2, torchrun=torchrun)
            wait_for(folder / f"{number}.run" / "run-state.safetensors", job)
            time.sleep(draw.uniform(0, 3))
            victims = trainers(job)
            victim = draw.choice(victims)
            os.kill(victim, signal.SIGKILL)
            began = time.monotonic()
            _, errors = job.communicate(timeout=_LIMIT)
            took = time.monotonic() - began
            again = ["resume", f"{number}.run", "--devices", "1", "--json"]
            found = answer(hush(folder, again, 1))
            rows.append(
                {
                    "started by": "torchrun" if torchrun else "hush",
                    "killed": victims.index(victim),
                    "ended after, s": round(took, 1),
                    "exit code": job.returncode,
                    "said so": "lost the others" in errors,
                    "then steps": found["steps"],
                    "validation loss": round(found["val_loss"], 4),
                    "of the run that was not killed": round(wanted["val_loss"], 4),
                }
            )
    report("ranks-lost", "One of two processes killed, then hush resume", rows, "")


def gradients(options: argparse.Namespace) -> None:
    """A bare step: one message after the backward pass, or torch's buckets during it."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for filters in (8, 32):
            more = ["--steps", str(options.steps), "--batch", str(options.batch)]
            more += ["--device", options.device, "--rounds", str(options.rounds)]
            words = [__file__, "step", "--filters", str(filters), *more]
            done = torchrun(options.ranks[-1], words, Path(folder))
            found = json.loads(done.stdout.splitlines()[-1])
            first = found["one message"]
            rows += [
                {
                    "filters": filters,
                    "gradients": way,
                    "ms per step": round(1000 * seconds, 1),
                    "of one message": f"{seconds / first:.3f}",
                }
                for way, seconds in found.items()
            ]
    title = f"{options.ranks[-1]} processes on {options.device}, batch {options.batch}"
    report(f"ranks-gradients-{options.device}", title, rows, "")


def step(options: argparse.Namespace) -> None:
    """One process of `gradients`; the first prints medians of alternating rounds."""
    import torch
    from pytorch_lightning.plugins.layer_sync import TorchSyncBatchNorm
    from torch import distributed as dist
    from torch.nn.functional import mse_loss
    from torch.nn.parallel import DistributedDataParallel

    from napari_hush.config import UNetConfig
    from napari_hush.lightning.process_group import ProcessGroup, SyncedBatchNorms
    from napari_hush.models import UNet

    on_gpu = options.device == "cuda"
    dist.init_process_group("nccl" if on_gpu else "gloo")
    ranks = ProcessGroup(dist.get_rank(), dist.get_world_size())
    device = torch.device(f"cuda:{ranks.rank}" if on_gpu else "cpu")
    generator = torch.Generator().manual_seed(ranks.rank)
    shape = (2, options.batch // ranks.count, 1, 64, 64)
    noisy, clean = torch.randn(shape, generator=generator).to(device)
    ways = ["one message", "torch's buckets"]
    ways += ["torch's buckets and SyncBatchNorm"] * on_gpu
    steps: dict[str, Any] = {}
    for way in ways:
        torch.manual_seed(0)
        network = UNet(UNetConfig(num_channels_init=options.filters)).to(device)
        own = "Sync" not in way
        network = (SyncedBatchNorms(ranks) if own else TorchSyncBatchNorm()).apply(network)
        called = network if way == "one message" else DistributedDataParallel(network)
        optimizer = torch.optim.Adam(network.parameters())

        def train(
            way: str = way, n: Any = network, c: Any = called, o: Any = optimizer
        ) -> None:
            for _ in range(options.steps):
                o.zero_grad(set_to_none=False)
                loss = mse_loss(c(noisy), clean) / ranks.count
                loss.backward()
                if way == "one message":
                    ranks.sum_gradients(n, loss.detach(), flag=False)
                else:  # the loss is shown, and all processes stop after the same step
                    ranks.total(torch.stack([loss.detach(), torch.zeros_like(loss)]))
                o.step()
            float(loss.detach())

        train()
        steps[way] = train
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way, train in steps.items():
            dist.barrier()
            began = time.perf_counter()
            train()
            seconds[way].append((time.perf_counter() - began) / options.steps)
    if ranks.is_first:
        print(json.dumps({way: statistics.median(each) for way, each in seconds.items()}))
    dist.destroy_process_group()


# ---- runs


def measured(folder: Path, options: argparse.Namespace, ranks: int, batch: int) -> Any:
    """Speed of one run, reported by its first process."""
    more = [
        "--steps",
        str(options.steps),
        "--batch",
        str(batch),
        "--device",
        options.device,
    ]
    done = torchrun(ranks, [__file__, "run", *more], folder)
    return json.loads(done.stdout.splitlines()[-1])


def run(options: argparse.Namespace) -> None:
    """One process of a run; the first prints how fast all of them were."""
    import torch

    from napari_hush import CAREamist
    from napari_hush.system.job_env import is_first

    config = create_n2v_configuration(
        "ranks", "array", "YX", [64, 64], options.batch, num_epochs=1
    )
    training = config.training_config.replace(
        num_steps=options.steps, device=options.device, precision="32", snapshots=0
    )
    config = config.replace(training_config=training)
    times: list[tuple[int, float]] = []

    def note(event: Event) -> None:
        if isinstance(event, StepsDone):
            times.append((event.first_step + len(event.losses), time.perf_counter()))

    careamist = CAREamist(config, on_progress=note)
    careamist.train(train_source=simulated(768))
    if careamist.model is None:
        raise SystemExit("nothing was trained")
    size = 4 * sum(p.numel() for p in careamist.model.network.parameters())
    milliseconds = message_ms(torch, size, options.device)
    if is_first():
        # the first steps warm up
        first = next(t for t in times if t[0] >= options.steps // 4)
        last = times[-1]
        speed = (last[0] - first[0]) * options.batch / (last[1] - first[1])
        print(json.dumps({"patches/s": speed, "message": size, "ms": milliseconds}))


def message_ms(torch: Any, size: int, device: str) -> float:
    """Milliseconds to add up `size` bytes over all processes; 0 for one alone."""
    dist = torch.distributed
    if not dist.is_initialized():
        return 0.0
    where = device if device == "cpu" else torch.device("cuda", torch.cuda.current_device())
    tensor = torch.ones(size // 4, device=where)
    times = []
    for _ in range(20):
        dist.barrier()
        began = time.perf_counter()
        dist.all_reduce(tensor)
        float(tensor[0])
        times.append(1000 * (time.perf_counter() - began))
        tensor.fill_(1.0)
    return statistics.median(times)


def made(
    folder: Path,
    options: argparse.Namespace,
    optimizer: str,
    rate: float,
    ranks: int,
    *,
    moved: bool = False,
) -> tuple[Any, dict[str, Any]]:
    """Picture and weights that `ranks` processes come to."""
    from napari_hush import CAREamist

    image = folder / f"noisy{moved:d}.tif"
    picture(image, 256, moved=moved)
    config = create_n2v_configuration(
        "ranks",
        "tiff",
        "YX",
        [64, 64],
        16,
        1,
        optimizer=optimizer,
        optimizer_params={"lr": rate},
        num_steps=options.steps,
    )
    training = config.training_config.replace(device="cpu", precision="32", logger="none")
    path = folder / "settings.yml"
    path.unlink(missing_ok=True)
    save_configuration(config.replace(training_config=training), path)
    output = f"{optimizer}-{ranks}-{moved:d}.safetensors"
    hush(folder, ["train", "settings.yml", image.name, "-o", output, "--quiet"], ranks)
    result = CAREamist(folder / output).predict(source=simulated(256))
    return result, weights_of(folder / output)


def hush(folder: Path, words: list[str], ranks: int) -> Any:
    """Run a command of hush to its end, in `ranks` processes."""
    return torchrun(ranks, ["-m", "napari_hush", *words], folder)


def torchrun(ranks: int, words: list[str], folder: Path) -> Any:
    done = subprocess.run(
        [*launcher(ranks), *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=_LIMIT,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return done


def start(folder: Path, words: list[str], ranks: int, *, torchrun: bool) -> Any:
    """Start a command of hush in several processes, and do not wait for it."""
    if torchrun:
        command = [*launcher(ranks), "-m", "napari_hush", *words]
    else:
        command = [sys.executable, "-m", "napari_hush", *words, "--devices", str(ranks)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=pipe, stderr=pipe, text=True
    )


def launcher(ranks: int) -> list[str]:
    if ranks == 1:
        return [sys.executable]
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    return [sys.executable, *words]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def trainers(job: Any) -> list[int]:
    """The processes of `job` that train, in the order in which they were started."""
    import psutil

    own = psutil.Process(job.pid)
    every = [own, *own.children(recursive=True)]
    return [p.pid for p in every if "napari_hush" in p.cmdline() and _trains(p)]


def _trains(process: Any) -> bool:
    return "torch.distributed.run" not in process.cmdline()


def wait_for(path: Path, job: Any) -> None:
    began = time.monotonic()
    while not path.exists():
        if job.poll() is not None or time.monotonic() - began > _LIMIT:
            raise SystemExit(job.communicate()[1])
        time.sleep(0.05)


# ---- images and weights


def simulated(side: int) -> Any:
    """A noisy picture with structure, float32."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    clean = 1000 + 100 * np.sin(x / 9) * np.cos(y / 7)
    return (clean + rng.normal(0, 50, clean.shape)).astype("float32")


def picture(path: Path, side: int, *, moved: bool = False) -> None:
    pixels = simulated(side)
    if not path.exists():
        write_tiff(
            path, np.nextafter(pixels, np.float32(np.inf)) if moved else pixels, "YX"
        )


def weights_of(path: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    return {k: v for k, v in load_file(path).items() if v.dtype.kind == "f"}


def answer(done: Any) -> dict[str, Any]:
    """What a command of hush printed as JSON."""
    values: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "what", choices=("scaling", "agree", "lost", "gradients", "run", "step")
    )
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--filters", type=int, default=32, help="of step")
    options = parser.parse_args()
    tables = (scaling, agree, lost, gradients, run, step)
    {table.__name__: table for table in tables}[options.what](options)


if __name__ == "__main__":
    main()
