"""Runs of several processes, all forked from one that has imported everything.

Called as ``python together.py FOLDER``; what each process saw and made goes into files
there, named after the run and the number of the process.
"""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import numpy as np

from napari_hush import CAREamist
from napari_hush.config import create_n2v_configuration
from napari_hush.dataset import PatchDataset
from napari_hush.errors import HushError
from napari_hush.events import StepsDone, TrainingStarted

LIMIT = 120
"""Seconds after which a run counts as hanging."""


def main(folder):
    run(folder, "one", 1)
    run(folder, "two", 2)
    run(folder, "four", 4)
    run(folder, "killed", 2, at_step={1: (5, signal.SIGKILL)})
    run(folder, "killed", 3, resume=True)
    run(folder, "stuck", 2, at_step={1: (5, signal.SIGSTOP)}, process_timeout=3)
    run(folder, "stopped", 2, at_step={1: (4, None)})
    run(folder, "crowded", 5)
    run(folder, "other", 2, other_data=True)


def run(folder, name, ranks, **more):
    """Fork `ranks` processes and wait for them; what is stuck at the end is killed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    started = time.monotonic()
    children = []
    for rank in range(ranks):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                environment(rank, ranks, port)
                code = train(folder, name, rank, **more)
            finally:
                sys.stdout.flush()
                os._exit(code)
        children.append(child)
    codes = [None] * ranks
    loses_one = any(number is not None for _, number in more.get("at_step", {}).values())
    while None in codes and time.monotonic() - started < LIMIT:
        time.sleep(0.05)
        for rank, child in enumerate(children):
            if codes[rank] is None and os.waitpid(child, os.WNOHANG)[0] == child:
                codes[rank] = "ended"
        if codes[0] is not None and loses_one:
            break  # the others are dead or asleep
    for rank, child in enumerate(children):
        if codes[rank] is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    write(folder, name, "all", {"codes": codes})


def environment(rank, ranks, port):
    """Variables that torchrun sets for several processes."""
    if ranks > 1:
        os.environ |= {
            "TORCHELASTIC_RUN_ID": "test",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(ranks),
            "LOCAL_WORLD_SIZE": str(ranks),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }


def train(
    folder, name, rank, at_step=None, process_timeout=60, resume=False, other_data=False
):
    seen = []
    gather = PatchDataset.__getitems__

    def watched(dataset, indices):
        if dataset.augmentation is not None:  # not the first look, nor validation
            seen.append([int(i) for i in indices])
        return gather(dataset, indices)

    PatchDataset.__getitems__ = watched
    config = create_n2v_configuration(
        "together",
        "array",
        "YX",
        [16, 16],
        4,
        num_epochs=3,
        model_params={"num_channels_init": 8},
        optimizer="SGD",
        optimizer_params={"lr": 0.05, "momentum": 0.9},
    )
    training = config.training_config.replace(
        precision="32", device="cpu", checkpoint_every=0, process_timeout=process_timeout
    )
    config = config.replace(training_config=training)
    events = []
    careamist = CAREamist(config, on_progress=events.append)
    careamist.callbacks = (at(at_step[rank], careamist),) if rank in (at_step or {}) else ()
    said = ""
    try:
        careamist.train(
            train_source=picture()[: 32 if other_data and rank else 48],
            **{"resume" if resume else "checkpoint_dir": folder / f"{name}.run"},
        )
    except HushError as error:
        said = f"{type(error).__name__}: {error}"
    else:
        careamist.save(folder / f"{name}{resume:d}-{rank}.safetensors")
    write(
        folder,
        f"{name}{resume:d}",
        rank,
        {
            "said": said,
            "seen": seen,
            "losses": careamist.get_losses(),
            "events": [type(e).__name__ for e in events],
            "steps": [e.first_step for e in events if isinstance(e, StepsDone)],
            "started": [
                (e.processes, e.batch_size)
                for e in events
                if isinstance(e, TrainingStarted)
            ],
            "normalization": careamist.model and careamist.model.normalization.means,
        },
    )
    return 0


def at(what, careamist):
    """A callback that, before a step, sends this process a signal, or asks to stop."""
    import pytorch_lightning as L

    step, number = what

    class At(L.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if pl_module.steps == step:
                if number is None:
                    careamist.stop_training()
                else:
                    os.kill(os.getpid(), number)

    return At()


def picture():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:48, :52]
    return (1000 + 50 * np.sin(x / 5) * np.cos(y / 7) + rng.normal(0, 30, y.shape)).astype(
        "float32"
    )


def write(folder, name, rank, values):
    (folder / f"{name}-{rank}.json").write_text(json.dumps(values))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
