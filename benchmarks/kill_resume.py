"""Kill training at random moments, resume it, and compare bits with a run left alone.

    python benchmarks/kill_resume.py [--rounds 50] [--dock]

Each round starts training in a separate process, kills it (SIGKILL) at a random moment
between its start and its expected end, and resumes it in a new process. One worker
process that has the imports done forks the runs, so that fifty rounds take minutes. With
``--dock`` the job of the dock is killed and resumed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np


def configuration(method: str):
    from napari_hush.config import create_care_configuration, create_n2v_configuration

    create = create_n2v_configuration if method == "n2v" else create_care_configuration
    config = create(
        method,
        "array",
        "YX",
        [16, 16],
        4,
        num_epochs=4,
        num_steps=12,
        model_params={"num_channels_init": 8},
    )
    training = config.training_config.replace(
        device="cpu", precision="32", ema_decay=0.99, checkpoint_every=0.02
    )
    return config.replace(training_config=training)


def pixels(method: str):
    """Training image and target."""
    noisy = np.random.default_rng(0).normal(100, 9, (80, 80)).astype("float32")
    return noisy, noisy[::-1].copy() if method == "care" else None


def train(method: str, folder: str) -> None:
    """One attempt: go on if something is there, else begin."""
    import torch

    from napari_hush import CAREamist
    from napari_hush.lightning.checkpoint import FILE

    torch.set_num_threads(1)
    noisy, target = pixels(method)
    careamist = CAREamist(configuration(method))
    where = {"resume" if (Path(folder) / FILE).is_file() else "checkpoint_dir": folder}
    careamist.train(train_source=noisy, train_target=target, **where)


def train_in_dock(method: str, folder: str) -> None:
    """The same as the dock does it; what comes of it goes into a file."""
    import torch

    os.environ["HUSH_DATA_DIR"] = folder
    from napari_hush.widgets.data.training_data import TrainingData
    from napari_hush.widgets.jobs.crash_recovery import interrupted_runs
    from napari_hush.widgets.jobs.tasks import StopRequest, Training

    torch.set_num_threads(1)
    runs = interrupted_runs()
    if runs:
        task = Training.of(runs[0])
    else:
        noisy, target = pixels(method)
        data = TrainingData((noisy,), () if target is None else (target,))
        task = Training(configuration(method), data, "cells")
    engine = task(lambda event: None, StopRequest())
    if interrupted_runs():
        raise SystemExit("The training is over, but still offered.")
    found = {name: w.numpy() for name, w in engine.model.network.state_dict().items()}
    found |= {f"losses.{name}": np.array(v) for name, v in engine.get_losses().items()}
    np.savez(Path(folder) / "found.npz", **found)


def finished(folder: Path):
    """What came of the run in `folder`, by name."""
    if (folder / "found.npz").is_file():
        with np.load(folder / "found.npz") as found:
            return dict(found)
    from napari_hush.lightning import load_checkpoint

    state = load_checkpoint(folder)
    if not state.position.ended:
        raise SystemExit(f"The run in {folder} did not end.")
    found = {name: tensor.numpy() for name, tensor in state.tensors.items()}
    return found | {name: np.array(v) for name, v in state.losses.as_dict().items()}


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(values, other[name]) for name, values in one.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None, help="of the moments")
    parser.add_argument("--dock", action="store_true", help="kill the job of the dock")
    options = parser.parse_args()
    attempt = train_in_dock if options.dock else train
    context = multiprocessing.get_context("forkserver")
    preloaded = ["napari_hush.careamist", "napari_hush.lightning"]
    context.set_forkserver_preload([*preloaded, "napari_hush.widgets.jobs.tasks"])
    rng = np.random.default_rng(options.seed)
    good = killed = kept = 0
    with tempfile.TemporaryDirectory() as place:
        whole, seconds = {}, {}
        for method in ("n2v", "care"):
            folder = Path(place) / method
            for _ in range(2):  # the first one also does the late imports
                started = time.perf_counter()
                process = context.Process(target=attempt, args=(method, str(folder)))
                process.start()
                process.join()
                seconds[method] = time.perf_counter() - started
                whole[method] = finished(folder)
                shutil.rmtree(folder)
        for number in range(options.rounds):
            method = ("n2v", "care")[number % 2]
            folder = Path(place) / f"round{number}"
            process = context.Process(target=attempt, args=(method, str(folder)))
            process.start()
            moment = rng.uniform(0, seconds[method])
            process.join(moment)
            process.kill()
            process.join()
            was_killed = process.exitcode != 0
            killed += was_killed
            kept += was_killed and any(folder.rglob("run-state.safetensors"))
            if was_killed or not folder.exists():
                process = context.Process(target=attempt, args=(method, str(folder)))
                process.start()
                process.join()
            equal = same(finished(folder), whole[method])
            good += equal
            print(
                f"round {number:2} {method}: {'killed' if was_killed else 'ended'} at "
                f"{moment:5.2f} s, {'same bits' if equal else 'OTHER BITS'}",
                flush=True,
            )
    print(
        f"{good} of {options.rounds} ended with the same bits; {killed} were killed, "
        f"{kept} of them with a state to go on from"
    )
    raise SystemExit(good != options.rounds)


if __name__ == "__main__":
    main()
