"""Draw the pictures of docs/gallery.md from published images: see scripts/docs_pictures.

The images are part of packages on PyPI; docs/gallery.md quotes their licenses:

    pip download --no-deps --only-binary :all: -d WHEELS spotiflow==0.6.5 \
        napari-flim-phasor-plotter==0.2.3 napari-cellseg3d==0.2.4
    pip install sdtfile ptufile
    bash scripts/docs_pictures gallery WHEELS

The commands that denoise them are those of the page.
"""

import io
import os
import re
import shlex
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from napari_hush.cli import main as hush
from napari_hush.io import write_tiff

DOCS = Path(__file__).parents[1] / "docs"
GAP, LINE, TEXT = 8, 30, 20  # pixels: between panels, height of the titles, letters


@dataclass(frozen=True)
class Detail:
    """A part of an image, shown in files before and after."""

    files: tuple[str, ...]
    titles: tuple[str, ...]
    part: tuple[slice | int, ...]
    limits: tuple[float, float]
    """Gray values shown black and white, in each panel."""
    zoom: int = 2


BEFORE, AFTER = "Before", "After"
PICTURES = {
    "gallery-movie": Detail(
        ("telomeres.tif", "telomeres_denoised.tif", "telomeres_mean.tif"),
        ("One frame", "Denoised", "Mean of 50 frames"),
        np.s_[20, 0:133, 43:162],
        (98, 122),
    ),
    "gallery-photon-counting": Detail(
        ("hazelnut.tif", "hazelnut_denoised.tif", "hazelnut_mean.tif"),
        ("One scan", "Denoised", "Mean of five scans"),
        np.s_[15:185, 80:199],
        (0, 130),
    ),
    "gallery-two-photon": Detail(
        ("receptacle.tif", "receptacle_denoised.tif"),
        (BEFORE, AFTER),
        np.s_[240:410, 70:251],
        (0, 420),
    ),
    "gallery-live-cells": Detail(
        ("nuclei.tif", "nuclei_built_in.tif", "nuclei_denoised.tif"),
        (BEFORE, "Built-in denoiser", "structN2V"),
        np.s_[355:500, 440:559],
        (97, 145),
    ),
    "gallery-light-sheet": Detail(
        ("brain.tif", "brain_denoised.tif"),
        (BEFORE, AFTER),
        np.s_[60, 0:86, 0:90],
        (330, 900),
        zoom=4,
    ),
    "gallery-resampled": Detail(
        ("spots.tif", "spots_denoised.tif"),
        (BEFORE, AFTER),
        np.s_[0:150, 0:181],
        (1170, 1420),
    ),
}


def main(wheels: Path) -> None:
    """Write the images as files, run the commands of the page, and draw."""
    wheels = wheels.resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, (pixels, axes) in images(wheels).items():
            write_tiff(f"{name}.tif", pixels, axes)
        for words in commands():
            print("hush", shlex.join(words), flush=True)
            if hush([*words, "--quiet"]):
                sys.exit(1)
        for name, detail in PICTURES.items():
            path = DOCS / "images" / f"{name}.png"
            draw(detail).save(path, optimize=True)
            print(f"docs/images/{path.name}: {path.stat().st_size / 1000:.0f} kB")
        os.chdir(DOCS)  # Windows removes no folder that is in use


def images(wheels: Path) -> dict[str, tuple[NDArray[Any], str]]:
    """Pixels and axes of the images in the packages, by the name of their file."""
    flim = "napari_flim_phasor_plotter/data/{}_FLIM_single_image"
    spots = "spotiflow/sample_data/images/img_{}_2d.tif"
    scans = photons(member(wheels, flim.format("hazelnut") + ".ptu"), ".ptu")
    movie = tiff(member(wheels, "spotiflow/sample_data/images/timelapse_telomeres_2d.tif"))
    movie = movie[:50]
    tract = photons(member(wheels, flim.format("seminal_receptacle") + ".sdt"), ".sdt")
    return {
        "telomeres": (movie, "TYX"),
        "telomeres_mean": (movie.mean(axis=0, dtype=np.float32), "YX"),
        "hazelnut": (scans[0], "YX"),
        "hazelnut_mean": (scans.mean(axis=0, dtype=np.float32), "YX"),
        "receptacle": (tract[0], "YX"),
        "nuclei": (tiff(member(wheels, spots.format("terra"))), "YX"),
        "brain": (tiff(member(wheels, "examples/c5image.tif")), "ZYX"),
        "spots": (tiff(member(wheels, spots.format("hybiss"))), "YX"),
    }


def member(wheels: Path, name: str) -> bytes:
    """A file in one of the wheels."""
    for path in wheels.glob("*.whl"):
        with zipfile.ZipFile(path) as wheel:
            if name in wheel.namelist():
                return wheel.read(name)
    sys.exit(f"No wheel in {wheels} holds {name}.")


def tiff(data: bytes) -> NDArray[Any]:
    """The pixels of a TIFF file."""
    return tifffile.imread(io.BytesIO(data))


def photons(data: bytes, suffix: str) -> NDArray[np.uint16]:
    """Photons per pixel, of all arrival times: frames, Y, X."""
    path = Path(f"photons{suffix}").resolve()
    path.write_bytes(data)
    if suffix == ".sdt":
        import sdtfile

        counts = sdtfile.SdtFile(path).data[0].sum(axis=-1)[None]
    else:
        import ptufile

        with ptufile.PtuFile(path) as file:  # axes: T, Y, X, channel, arrival time
            counts = file.decode_image(channel=0, dtime=-1, keepdims=False)
    return counts.astype(np.uint16)


def commands() -> list[list[str]]:
    """The commands of the page, in its order."""
    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    lines = re.findall(r"`hush ((?:train|predict) [^`]*)`", text)
    return [shlex.split(line) for line in lines]


def draw(detail: Detail) -> Picture.Image:
    """The panels side by side, each with its title above it."""
    low, high = detail.limits
    panels = []
    for file in detail.files:
        pixels = tifffile.imread(file)
        shown = pixels[detail.part[-pixels.ndim :]].astype(np.float32)
        gray = np.rint(255 * np.clip((shown - low) / (high - low), 0, 1)).astype(np.uint8)
        panels.append(Picture.fromarray(gray.repeat(detail.zoom, 0).repeat(detail.zoom, 1)))
    width, height = panels[0].size
    whole = Picture.new("L", (len(panels) * (width + GAP) - GAP, height + LINE), color=255)
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(TEXT)
    for column, (panel, title) in enumerate(zip(panels, detail.titles, strict=True)):
        left = column * (width + GAP)
        whole.paste(panel, (left, LINE))
        pen.text((left + width // 2, LINE // 2), title, fill=0, font=font, anchor="mm")
    return whole


if __name__ == "__main__":
    main(Path(sys.argv[1]))
