"""Train and denoise for long at tiny size; memory and open files must stay flat.

    python benchmarks/soak.py [--steps 20000] [--predictions 1000]

Memory is what the process holds (resident set), read at the start of the measured part,
after a tenth of the work as warm-up, and at its end.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from pathlib import Path

import numpy as np
import psutil


def measured() -> tuple[float, int]:
    """Resident memory in MB, and open descriptors."""
    gc.collect()
    process = psutil.Process()
    return process.memory_info().rss / 1e6, process.num_fds()


def report(what: str, before: tuple[float, int], after: tuple[float, int]) -> bool:
    grown, opened = after[0] - before[0], after[1] - before[1]
    print(f"{what}: {grown:+.1f} MB, {opened:+d} descriptors", flush=True)
    return grown < 20 and opened <= 0


def configuration(steps: int):
    from napari_hush.config import create_n2v_configuration

    config = create_n2v_configuration(
        "soak",
        "array",
        "YX",
        [16, 16],
        1,
        num_epochs=max(1, steps // 100),
        num_steps=min(steps, 100),
        model_params={"num_channels_init": 8, "depth": 1},
    )
    training = config.training_config.replace(device="cpu", checkpoint_every=0.5)
    return config.replace(training_config=training)


def soak_training(noisy, folder: Path, steps: int) -> bool:
    from napari_hush import CAREamist
    from napari_hush.events import StepsDone

    marks: list[tuple[float, int]] = []

    def watch(event) -> None:
        if isinstance(event, StepsDone) and event.first_step >= steps / 10 and not marks:
            marks.append(measured())

    careamist = CAREamist(configuration(steps), on_progress=watch)
    careamist.train(train_source=noisy, checkpoint_dir=folder / "run")
    careamist.save(folder / "soak.safetensors")
    done = len(careamist.get_losses()["train_step"])
    return report(f"{done} training steps", marks[0], measured())


def soak_predicting(noisy, folder: Path, number: int) -> bool:
    import tifffile
    import zarr

    from napari_hush import CAREamist

    tifffile.imwrite(folder / "plain.tif", noisy)
    tifffile.imwrite(folder / "packed.tif", noisy, compression="zlib", tile=(32, 32))
    zarr.save_array(str(folder / "image.zarr"), noisy)
    sources = (noisy, folder / "plain.tif", folder / "packed.tif", folder / "image.zarr")
    careamist = CAREamist(folder / "soak.safetensors")
    before = measured()
    for turn in range(number):
        if turn == number // 10:
            before = measured()
        source = sources[turn % len(sources)]
        if turn % 8 == 1:
            careamist.predict_to_disk(
                source, prediction_dir=folder / "out", overwrite=True, tile_size=[32, 32]
            )
        else:
            careamist.predict(source, tile_size=[32, 32])
    return report(f"{number} predictions", before, measured())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--predictions", type=int, default=1_000)
    options = parser.parse_args()
    noisy = np.random.default_rng(0).normal(100, 9, (64, 64)).astype("float32")
    with tempfile.TemporaryDirectory() as place:
        flat = soak_training(noisy, Path(place), options.steps)
        flat &= soak_predicting(noisy, Path(place), options.predictions)
    print("flat" if flat else "NOT FLAT")
    raise SystemExit(not flat)


if __name__ == "__main__":
    main()
