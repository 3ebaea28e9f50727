"""Kill prediction to disk at random moments, go on, and compare with a run left alone.

    python benchmarks/kill_predict.py [--rounds 50]

TIFF and OME-Zarr in turn. Each round denoises an image in a separate process, kills it
(SIGKILL) at a random moment between its start and its expected end, and denoises again in
a new process, with what the first one left. Pixels of all resolutions, axes and sizes have
to be those of the run left alone, and nothing may be left beside the result. One worker
process that has the imports done forks the runs, so that fifty rounds take minutes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np

TILE = 32


def model(path: Path) -> None:
    import torch

    from napari_hush.config import create_n2v_configuration
    from napari_hush.models import Model, UNet, save_model
    from napari_hush.models.normalization import Normalization

    config = create_n2v_configuration("kill", "array", "TYX", [16, 16], 4, num_epochs=1)
    training = config.training_config.replace(device="cpu", precision="32")
    torch.manual_seed(0)
    network = UNet(config.algorithm_config.model).eval()
    config = config.replace(training_config=training)
    save_model(Model(config, network, Normalization((1000.0,), (30.0,))), path)


def denoise(model_path: str, source: str, target: str) -> None:
    """One attempt: begin, or go on if something is there; shards as small as tiles."""
    import torch

    from napari_hush import CAREamist
    from napari_hush.io.zarr import write as zarr_write
    from napari_hush.prediction import to_file

    torch.set_num_threads(1)
    zarr_write.SHARD_BYTES, zarr_write._CHUNK = 1, {2: TILE // 2, 3: TILE // 2}
    zarr_write._SMALLEST = TILE
    to_file.KEPT_EVERY = 0.02
    CAREamist(model_path).predict_to_disk(
        source, prediction_dir=target, tile_size=[TILE, TILE], resume=True, check=False
    )


def content(path: Path) -> dict:
    """All pixels, and what is said of them."""
    from napari_hush.io import read_metadata, read_tiff

    if path.is_dir():
        import zarr

        group = zarr.open_group(path, mode="r")
        arrays = {name: np.asarray(array) for name, array in group.arrays()}
    else:
        arrays = {"0": read_tiff(path)}
    left = sorted(p.name for p in path.parent.iterdir() if p != path)
    return {"arrays": arrays, "sizes": read_metadata(path), "beside": left}


def same(one: dict, other: dict) -> bool:
    return (
        one["sizes"] == other["sizes"]
        and one["beside"] == other["beside"] == []
        and one["arrays"].keys() == other["arrays"].keys()
        and all(
            np.array_equal(pixels, other["arrays"][name])
            for name, pixels in one["arrays"].items()
        )
    )


def main() -> None:
    from napari_hush.io import write_tiff

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None, help="of the moments")
    options = parser.parse_args()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["napari_hush.careamist", "napari_hush.prediction.to_file", "zarr", "tifffile"]
    )
    rng = np.random.default_rng(options.seed)
    good = killed = gone_on = 0
    with tempfile.TemporaryDirectory() as place:
        model_path, source = Path(place) / "m.safetensors", Path(place) / "noisy.tif"
        model(model_path)
        noisy = np.random.default_rng(0).normal(1000, 30, (3, 200, 200)).astype("uint16")
        write_tiff(
            source,
            noisy,
            "TYX",
            scale={"T": 2.0, "Y": 0.1, "X": 0.1},
            units={"T": "second", "Y": "micrometer", "X": "micrometer"},
        )

        def attempt(target: Path):
            target.parent.mkdir(exist_ok=True)
            arguments = (str(model_path), str(source), str(target))
            process = context.Process(target=denoise, args=arguments)
            process.start()
            return process

        whole, seconds = {}, {}
        for ending in ("tif", "ome.zarr"):
            for turn in range(2):  # the first one also does the late imports
                target = Path(place) / f"whole{turn}{ending}" / f"clean.{ending}"
                started = time.perf_counter()
                attempt(target).join()
                seconds[ending] = time.perf_counter() - started
                whole[ending] = content(target)
        for number in range(options.rounds):
            ending = ("tif", "ome.zarr")[number % 2]
            target = Path(place) / f"round{number}" / f"clean.{ending}"
            process = attempt(target)
            moment = rng.uniform(0, seconds[ending])
            process.join(moment)
            process.kill()
            process.join()
            was_killed = process.exitcode != 0
            killed += was_killed
            partly = target.with_name(f".{target.name}.tiles").exists()
            gone_on += partly
            if was_killed:
                attempt(target).join()
            equal = target.exists() and same(content(target), whole[ending])
            good += equal
            print(
                f"round {number:2} {ending:8}: {'killed' if was_killed else 'ended'} at "
                f"{moment:5.2f} s{', some tiles there' if partly else ''}, "
                f"{'same bits' if equal else 'OTHER BITS'}",
                flush=True,
            )
    print(
        f"{good} of {options.rounds} ended with the same bits; {killed} were killed, "
        f"{gone_on} of them with an unfinished result to go on with"
    )
    raise SystemExit(good != options.rounds)


if __name__ == "__main__":
    main()
