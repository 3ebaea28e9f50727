"""Kill training at random moments, resume it, and compare bits with a run left alone.

    python benchmarks/kill_resume.py [--rounds 50]

Each round starts training in a process of its own, kills it (SIGKILL) at a random moment
between its start and its expected end, and lets it go on in a new process. One worker
process that has the imports done forks the runs, so that fifty rounds take minutes.
"""

from __future__ import annotations

import argparse
import multiprocessing
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
        device="cpu", precision="32", ema_decay=0.99, save_state_every=0.02
    )
    return config.replace(training_config=training)


def train(method: str, folder: str) -> None:
    """One attempt: go on if something is there, else begin."""
    import torch

    from napari_hush import CAREamist
    from napari_hush.lightning.state import FILE

    torch.set_num_threads(1)
    noisy = np.random.default_rng(0).normal(100, 9, (80, 80)).astype("float32")
    careamist = CAREamist(configuration(method))
    where = {"resume" if (Path(folder) / FILE).is_file() else "state_dir": folder}
    target = {"train_target": noisy[::-1].copy()} if method == "care" else {}
    careamist.train(train_source=noisy, **target, **where)


def finished(folder: Path):
    from napari_hush.lightning import load_state

    state = load_state(folder)
    if not state.position.ended:
        raise SystemExit(f"The run in {folder} did not end.")
    return state


def same(one, other) -> bool:
    import torch

    equal = one.tensors.keys() == other.tensors.keys() and all(
        torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items()
    )
    return equal and one.losses.as_dict() == other.losses.as_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None, help="of the moments")
    options = parser.parse_args()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["napari_hush.careamist", "napari_hush.lightning"])
    rng = np.random.default_rng(options.seed)
    good = killed = 0
    with tempfile.TemporaryDirectory() as place:
        whole, seconds = {}, {}
        for method in ("n2v", "care"):
            folder = Path(place) / method
            for _ in range(2):  # the first one also loads what is loaded late
                started = time.perf_counter()
                process = context.Process(target=train, args=(method, str(folder)))
                process.start()
                process.join()
                seconds[method] = time.perf_counter() - started
                whole[method] = finished(folder)
                for file in folder.iterdir():
                    file.unlink()
        for number in range(options.rounds):
            method = ("n2v", "care")[number % 2]
            folder = Path(place) / f"round{number}"
            process = context.Process(target=train, args=(method, str(folder)))
            process.start()
            moment = rng.uniform(0, seconds[method])
            process.join(moment)
            process.kill()
            process.join()
            was_killed = process.exitcode != 0
            killed += was_killed
            if was_killed or not folder.exists():
                process = context.Process(target=train, args=(method, str(folder)))
                process.start()
                process.join()
            equal = same(finished(folder), whole[method])
            good += equal
            print(
                f"round {number:2} {method}: {'killed' if was_killed else 'ended'} at "
                f"{moment:5.2f} s, {'same bits' if equal else 'OTHER BITS'}",
                flush=True,
            )
    print(f"{good} of {options.rounds} ended with the same bits; {killed} were killed")
    raise SystemExit(good != options.rounds)


if __name__ == "__main__":
    main()
