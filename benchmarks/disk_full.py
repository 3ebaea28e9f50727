"""Fill the disk at different points of training and prediction, and look at what is left.

    sudo python benchmarks/disk_full.py [--points 20]

Each point makes a separate disk (tmpfs, which needs root) and leaves too few bytes free for
the job: from none to nearly all. A third of the points each are for the checkpoint of a
training run, for saving a model, and for denoising into files. The job must end with the
error that the disk is full, and every file on the disk must be whole; once there is space,
the job must end with the same bits as an undisturbed one.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from napari_hush import CAREamist
from napari_hush.config import create_n2v_configuration
from napari_hush.errors import UnwritableFileError
from napari_hush.io import read_tiff, write_tiff
from napari_hush.lightning import load_checkpoint
from napari_hush.lightning.checkpoint import FILE

DISK = 2**25
FILES = 6
PAGE = 4096


@contextmanager
def disk():
    with tempfile.TemporaryDirectory() as place:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", place]
        subprocess.run(mount, check=True)
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", "-l", place], check=True)  # noqa: S607


@contextmanager
def filled(place: Path, free: int):
    """Leave `free` bytes."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(PAGE))
        except OSError:
            pass
    with filler.open("r+b") as file:
        file.truncate(max(0, filler.stat().st_size - -(-free // PAGE) * PAGE))
    yield
    filler.unlink()


def configuration():
    config = create_n2v_configuration(
        "full",
        "array",
        "YX",
        [16, 16],
        4,
        num_epochs=3,
        num_steps=4,
        model_params={"num_channels_init": 8},
    )
    training = config.training_config.replace(device="cpu", checkpoint_every=0.0)
    return config.replace(training_config=training)


def refused(job) -> str:
    """The message that `job` ends with; empty if it is not that of a full disk."""
    try:
        job()
    except UnwritableFileError as error:
        return str(error) if "another disk" in str(error) else ""
    return ""


def no_leftovers(place: Path) -> bool:
    return not [p for p in place.rglob("*") if p.is_file() and p.name.startswith(".")]


def state_point(place: Path, share: float, noisy, wanted) -> bool:
    """A run whose checkpoint does not fit resumes from the last one that did."""
    size = wanted["state"]
    with filled(place, int(share * 2 * size)):
        careamist = CAREamist(configuration())
        run = place / "run"
        said = refused(lambda: careamist.train(train_source=noisy, checkpoint_dir=run))
        whole = no_leftovers(place)
        kept = (run / FILE).is_file()
        if kept:
            load_checkpoint(run)
    careamist = CAREamist(configuration())
    careamist.train(train_source=noisy, **{"resume" if kept else "checkpoint_dir": run})
    return bool(said) and whole and careamist.model.sha256 == wanted["model"].sha256


def model_point(place: Path, share: float, noisy, wanted) -> bool:
    """A model that does not fit leaves the one before, and can be saved later."""
    careamist = CAREamist(wanted["model"])
    path = place / "model.safetensors"
    careamist.save(path)
    before = path.read_bytes()
    with filled(place, int(share * len(before))):
        said = refused(lambda: careamist.save(path, overwrite=True))
        whole = no_leftovers(place) and path.read_bytes() == before
    careamist.save(path, overwrite=True)
    same = CAREamist(path).model.sha256 == wanted["model"].sha256
    return bool(said) and whole and same


def result_point(place: Path, share: float, noisy, wanted) -> bool:
    """Complete results stay, and the others follow once there is space."""
    careamist = CAREamist(wanted["model"])
    size = sum(path.stat().st_size for path in wanted["results"])
    out = place / "out"

    def denoise(files):
        careamist.predict_to_disk(files, prediction_dir=out, data_type="tiff")

    def same(path):
        return np.array_equal(read_tiff(path), read_tiff(wanted["folder"] / path.name))

    with filled(place, int(share * size)):
        said = refused(lambda: denoise(wanted["sources"]))
        done = sorted(out.glob("*.tif")) if out.is_dir() else []
        whole = no_leftovers(place) and all(map(same, done))
    names = {path.stem for path in done}
    denoise([file for file in wanted["sources"] if file.stem not in names])
    ended = sorted(out.glob("*.tif"))
    return bool(said) and whole and len(ended) == FILES and all(map(same, ended))


def undisturbed(folder: Path, noisy) -> dict:
    """Results of the jobs with enough space."""
    careamist = CAREamist(configuration())
    careamist.train(train_source=noisy, checkpoint_dir=folder / "run")
    sources = [folder / f"{number}.tif" for number in range(FILES)]
    for number, path in enumerate(sources):
        write_tiff(path, noisy + number, "YX")
    results = careamist.predict_to_disk(
        sources, prediction_dir=folder / "out", data_type="tiff"
    )
    return {
        "model": careamist.model,
        "state": (folder / "run" / FILE).stat().st_size,
        "sources": sources,
        "results": results,
        "folder": folder / "out",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=20)
    options = parser.parse_args()
    noisy = np.random.default_rng(0).normal(100, 9, (96, 96)).astype("float32")
    kinds = (state_point, model_point, result_point)
    good = 0
    with tempfile.TemporaryDirectory() as folder:
        wanted = undisturbed(Path(folder), noisy)
        for number in range(options.points):
            point, turn = kinds[number % 3], number // 3
            share = turn / -(-options.points // 3)
            with disk() as place:
                passed = point(place, share, noisy, wanted)
            good += passed
            name = point.__name__.removesuffix("_point")
            print(
                f"{number:2} {name:6} {share:4.0%} of the space: "
                f"{'refused, whole, then ended' if passed else 'FAILED'}",
                flush=True,
            )
    print(f"{good} of {options.points} points")
    raise SystemExit(good != options.points)


if __name__ == "__main__":
    main()
