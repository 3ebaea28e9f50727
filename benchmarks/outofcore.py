"""Peak memory and speed of denoising images that are larger than memory.

    python benchmarks/outofcore.py [--gigabytes 1 2 4] [--network small] [--side 8192]
        [--work DIR]

Generated images of 64-bit floats, OME-Zarr to OME-Zarr and BigTIFF to BigTIFF, with a
network so small that reading and writing count, or with the default one. Each run is a
separate process, which reports its peak of resident memory beyond that with the model
loaded, and the processor time per megapixel, which other work on the machine hardly
changes.
The same pixels are denoised from memory to memory for comparison. Takes twice the size of
the largest image on the disk of DIR, by default that of temporary files.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TILE = 1024
NETWORKS = {"small": {"num_channels_init": 8, "depth": 1}, "default": {}}
"""The small one has a fiftieth of the arithmetic, so that reading and writing count."""


def model(path: Path, network: str) -> None:
    import torch

    from napari_hush.config import create_n2v_configuration
    from napari_hush.models import Model, UNet, save_model
    from napari_hush.models.normalization import Normalization

    config = create_n2v_configuration(
        "small",
        "array",
        "TYX",
        [16, 16],
        4,
        num_epochs=1,
        model_params=NETWORKS[network],
    )
    training = config.training_config.replace(device="cpu", precision="32")
    torch.manual_seed(0)
    unet = UNet(config.algorithm_config.model).eval()
    config = config.replace(training_config=training)
    save_model(Model(config, unet, Normalization((1000.0,), (30.0,))), path)


def planes(gigabytes: int, side: int):
    """One plane after the other: noise that differs from plane to plane."""
    rng = np.random.default_rng(0)
    block = rng.normal(1000, 30, (TILE, TILE))
    for number in range(2 * gigabytes):
        moved = np.roll(block, 37 * number, (0, 1))
        yield np.tile(moved, (side // TILE, side // TILE))


def generate(kind: str, gigabytes: int, side: int, path: Path) -> None:
    shape = (2 * gigabytes, side, side)
    if kind == "tiff":
        import tifffile

        with tifffile.TiffWriter(path, bigtiff=True, ome=True) as file:
            file.write(
                planes(gigabytes, side),
                shape=shape,
                dtype="float64",
                photometric="minisblack",
                metadata={
                    "axes": "TYX",
                    "PhysicalSizeX": 0.1,
                    "PhysicalSizeY": 0.1,
                    "TimeIncrement": 2.0,
                },
            )
        return
    import zarr

    axes = [
        {"name": "t", "type": "time", "unit": "second"},
        *({"name": a, "type": "space", "unit": "micrometer"} for a in "yx"),
    ]
    scale = [{"type": "scale", "scale": [2.0, 0.1, 0.1]}]
    levels = [{"path": "0", "coordinateTransformations": scale}]
    ome = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}
    group = zarr.open_group(path, mode="w", zarr_format=3, attributes={"ome": ome})
    array = group.create_array(
        "0",
        shape=shape,
        chunks=(1, TILE // 2, TILE // 2),
        dtype="float64",
        compressors=zarr.codecs.BloscCodec(cname="lz4", clevel=1),
        dimension_names=["t", "y", "x"],
    )
    for number, plane in enumerate(planes(gigabytes, side)):
        array[number] = plane


def memory(what: str) -> int:
    """Bytes, of what the kernel counts for this process: VmRSS now, VmHWM at most."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("This needs Linux, which reports the peak of memory.")


def run(kind: str, network: str, model_path: str, source: str, target: str) -> None:
    """Denoise, and print memory and time; runs in a separate process."""
    import torch

    from napari_hush import CAREamist

    torch.set_num_threads(1)
    tile = [TILE, TILE] if network == "small" else None  # what fits a usual one
    careamist = CAREamist(model_path)
    careamist.predict(np.full((1, 64, 64), 1000.0), axes="TYX")  # all is imported
    if kind == "memory":
        import zarr

        pixels = np.asarray(zarr.open_array(f"{source}/0", mode="r"))
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = memory("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    if kind == "memory":
        careamist.predict(pixels, axes="TYX", tile_size=tile, dtype="source")
    else:
        careamist.predict_to_disk(
            source,
            prediction_dir=target,
            axes="TYX",
            tile_size=tile,
            dtype="source",
        )
    found = {
        "own": before,
        "peak": memory("VmHWM") - before,
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
    }
    print(json.dumps(found))


def same_pixels(kind: str, model_path: Path, source: Path, target: Path) -> bool:
    """Whether a corner of the last plane is what is made of it in memory."""
    from napari_hush import CAREamist
    from napari_hush.io import open_images

    data_type = "zarr" if kind == "zarr" else "tiff"
    noisy, clean = (open_images(p, data_type, "TYX")[0].data for p in (source, target))
    if noisy.shape != clean.shape or noisy.dtype != clean.dtype:
        return False
    part = np.asarray(noisy[-1:, -256:, -256:])
    made = CAREamist(model_path).predict(part, dtype="source")
    return bool(np.allclose(made[:, 64:, 64:], clean[-1:, -192:, -192:], rtol=1e-5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--kinds", nargs="+", default=["zarr", "tiff", "memory"])
    parser.add_argument("--network", choices=NETWORKS, default="small")
    parser.add_argument(
        "--side", type=int, default=8192, help="pixels, of planes of 0.5 GB"
    )
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--run", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(*options.run)
        return
    place = Path(tempfile.mkdtemp(prefix="outofcore", dir=options.work))
    good = True
    try:
        model(place / "m.safetensors", options.network)
        for kind in options.kinds:
            # From memory to memory it need not be large: it is there to be compared with.
            sizes = options.gigabytes[:1] if kind == "memory" else options.gigabytes
            for gigabytes in sizes:
                ending = "ome.tif" if kind == "tiff" else "ome.zarr"
                source, target = place / f"in.{ending}", place / f"out.{ending}"
                generate(kind, gigabytes, options.side, source)
                command = [sys.executable, __file__, "--run", kind, options.network]
                command += map(str, (place / "m.safetensors", source, target))
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(done.stderr)
                found = json.loads(done.stdout.splitlines()[-1])
                pixels = 2 * gigabytes * options.side**2 / 1e6
                line = f"{found['peak'] / 1e6:6.0f} MB beyond {found['own'] / 1e6:.0f} MB"
                if kind == "memory":
                    line = "(all in memory)"
                else:
                    same = same_pixels(kind, place / "m.safetensors", source, target)
                    good &= found["peak"] < 1e9 and same
                    line += ", pixels as in memory" if same else ", OTHER PIXELS"
                took = 1000 * found["cpu"] / pixels
                print(
                    f"{kind:6} {gigabytes} GB: {line}; {took:.1f} ms of processor per "
                    f"megapixel, {pixels / found['wall']:.2f} Mpx/s",
                    flush=True,
                )
                for path in (source, target):
                    if path.is_dir():
                        shutil.rmtree(path)
                    elif path.exists():
                        os.unlink(path)
    finally:
        shutil.rmtree(place)
    raise SystemExit(not good)


if __name__ == "__main__":
    main()
