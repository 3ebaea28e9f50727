"""Damage real small files at random, read them, and see that nothing but a sentence comes.

    python benchmarks/fuzz.py [--number 20000] [--seed 0] [--only tiff] [--keep DIR]

Each trial changes one of a few sound files in one to four places (bits, numbers, lengths,
words, blocks, the end), or replaces it by noise, and reads it as far as a person would:
what it says of itself, a region, and all of it where that is not much. It may be read all
the same, or be refused by an error of this package. Any other error, more than 2 seconds
of the processor and more than 500 MB of memory are defects; the file is kept for each.
The same seed makes the same files.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import copy
import json
import logging
import os
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_hush.errors import DataError, HushError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SECONDS = 2.0
BYTES = 500 * 2**20
WHOLE = 64 * 2**20
"""Bytes of pixels up to which all of them are read."""
NUMBERS = (0, 1, 2, 7, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
WORDS = (
    *("0", "-1", "1e999", "nan", "null", "true", '""', "[]", "{}", "[[[[", "'", '"', "\\"),
    *("99999999999999999999", "&a", "*a", "!!python/object:os.system", "\x00", "\ufeff"),
    *("/etc/passwd", "../..", "1.5", "-9223372036854775808", "2026-01-01", "<f8", "|O"),
)
VALUES = (None, True, 0, -1, 2**70, 0.5, 1e300, "", "a", "0", "..", ".", "1,5", [], {}, [1])


@dataclass(frozen=True)
class Format:
    """Sound files of one format, and how they are read.

    `make` writes them into a folder and names those that may be damaged; `read` takes the
    folder of one of them. Each has a separate folder.
    """

    make: Callable[[Path], Iterable[Path]]
    read: Callable[[Path], None]
    words: float = 0.2
    """How much of the damage is done to words and numbers, where there are braces."""
    values: float = 0.0
    """How often values of JSON are exchanged instead, which stays sound."""
    head: int | None = None
    """Most damage is done within so many bytes, where the structure is."""
    kept: tuple[int, int] | None = None
    """Start and stop of bytes that are not changed."""
    apart: bool = False
    """Read in a process of its own, since the library may end it: that is counted."""


# ---- damage


def damaged(content: bytes, draw: np.random.Generator, form: Format) -> bytes:
    """`content` with one to four changes."""
    if draw.random() < 0.01:
        return draw.bytes(int(draw.integers(0, 2 * len(content) + 1)))
    if draw.random() < form.values and content.startswith(b"{"):
        return _other_values(content, draw)
    changed = bytearray(content)
    for _ in range(int(draw.integers(1, 5))):
        if draw.random() < form.words and (b"{" in changed or b": " in changed):
            changed = _other_words(changed, draw)
        else:
            changed = _other_bytes(changed, draw, form.head)
    if form.kept is not None:
        start, stop = form.kept
        if len(changed) != len(content) and changed[start:stop] != content[start:stop]:
            return content[:start]  # what follows has moved
        changed[start:stop] = content[start:stop]
    return bytes(changed)


def _other_bytes(
    content: bytearray, draw: np.random.Generator, head: int | None
) -> bytearray:
    end = len(content)
    if head is not None and draw.random() < 0.8:
        end = min(end, head)
    at = int(draw.integers(0, max(1, end)))
    match int(draw.integers(0, 8)):
        case 0 if content:
            content[at % len(content)] ^= 1 << int(draw.integers(0, 8))
        case 1 if content:
            content[at % len(content)] = int(draw.integers(0, 256))
        case 2 | 3:
            size = int(draw.choice([1, 2, 4, 8]))
            number = int(draw.choice(np.array(NUMBERS, object))) % 2 ** (8 * size)
            order = "little" if draw.random() < 0.7 else "big"
            content[at : at + size] = number.to_bytes(size, order)
        case 4:
            del content[at : at + int(draw.integers(1, 64))]
        case 5:
            content[at:at] = draw.bytes(int(draw.integers(1, 64)))
        case 6:
            del content[at:]
        case _:
            block = content[at : at + int(draw.integers(1, 64))]
            place = int(draw.integers(0, len(content) + 1))
            content[place : place + len(block)] = block
    return content


def _other_values(content: bytes, draw: np.random.Generator) -> bytes:
    """JSON that is sound, with one to four other values."""
    tree = json.loads(content)
    for _ in range(int(draw.integers(1, 5))):
        places = [*_places(tree)]
        if not places:
            break
        inside, key = places[int(draw.integers(0, len(places)))]
        other, name = places[int(draw.integers(0, len(places)))]
        match int(draw.integers(0, 4)):
            case 0:
                del inside[key]
            case 1:
                inside[key] = json.loads(json.dumps(other[name]))
            case 2:
                inside[key] = [inside[key], inside[key]]
            case _:
                inside[key] = copy.deepcopy(VALUES[int(draw.integers(0, len(VALUES)))])
    return json.dumps(tree).encode()


def _places(tree: object) -> Iterator[tuple[dict | list, str | int]]:
    """Each value in JSON: what it is in, and its key."""
    if isinstance(tree, dict | list):
        for key in range(len(tree)) if isinstance(tree, list) else tree:
            yield tree, key
            yield from _places(tree[key])


def _other_words(content: bytearray, draw: np.random.Generator) -> bytearray:
    parts = re.split(rb"([\w.+-]+)", bytes(content))
    if len(parts) < 3:
        return content + bytearray(str(draw.choice(WORDS)).encode())
    at = int(draw.integers(0, len(parts)))
    match int(draw.integers(0, 6)):
        case 0 | 1:
            parts[at | 1 if (at | 1) < len(parts) else 1] = str(draw.choice(WORDS)).encode()
        case 2:
            parts[at] = parts[int(draw.integers(0, len(parts)))]
        case 3:
            del parts[at : at + int(draw.integers(1, 6))]
        case 4:
            parts[at:at] = parts[at : at + int(draw.integers(1, 9))]
        case _:
            parts[at] = parts[at] * int(draw.choice([2, 30, 3000]))
    return bytearray(b"".join(parts))


# ---- formats


def make_tiff(folder: Path) -> Iterable[Path]:
    import tifffile

    from napari_hush.io import write_tiff

    rng = np.random.default_rng(0)
    grey = rng.integers(0, 999, (3, 20, 24)).astype(np.uint16)
    size = {"scale": {"X": 0.1, "Y": 0.1, "Z": 1.0}, "units": {"X": "micrometer"}}
    size |= {"position": {"Y": 3.0}, "channels": ["DAPI"]}
    record = {"source": {}, "model": {}, "software": {}}
    write_tiff(folder / "imagej.tif", grey, "ZYX", record=record, **size)
    write_tiff(folder / "shaped.tif", grey.astype(float), "ZYX", record=record, **size)
    write = partial(tifffile.imwrite, photometric="minisblack")
    write_tiff(folder / "ome.ome.tif", grey, "ZYX", record=record, **size)
    write(folder / "tiles.tif", grey[0], tile=(16, 16), compression="zlib")
    write(folder / "strips.tif", grey, rowsperstrip=7, compression="zlib", predictor=True)
    write(folder / "big.tif", grey[0], byteorder=">", bigtiff=True)
    colours = (grey[..., None] % 255).astype(np.uint8).repeat(3, -1)
    write(folder / "colours.tif", colours, photometric="rgb")
    with tifffile.TiffWriter(folder / "series.tif") as file:
        file.write(grey[0], metadata={"axes": "YX"})
        file.write(grey[:2, :9], metadata={"axes": "ZYX"}, compression="zlib")
    with tifffile.TiffWriter(folder / "levels.ome.tif") as file:
        file.write(grey, subifds=1, photometric="minisblack", tile=(16, 16))
        file.write(grey[:, ::2, ::2], subfiletype=1, photometric="minisblack")
    aborted = folder / "aborted.ome.tif"
    xml = _ome_of_frames([aborted.name] * 3)
    write(aborted, grey[:2], description=xml, metadata=None)
    return sorted(folder.glob("*.tif"))


def make_tiff_set(folder: Path) -> Iterable[Path]:
    import tifffile

    names = ["a.ome.tif", "b.ome.tif", "c.ome.tif"]
    (folder / "set").mkdir()
    for number, name in enumerate(names):
        xml = _ome_of_frames(names, name)
        plane = np.full((20, 24), number, np.uint16)
        how = {"compression": "zlib", "description": xml, "metadata": None}
        tifffile.imwrite(folder / "set" / name, plane, **how)
    return sorted((folder / "set").iterdir())


def read_tiff_set(folder: Path) -> None:
    from napari_hush.io import open_images

    for image in open_images(folder, "tiff", "TYX"):
        _look_at(image)


def _ome_of_frames(files: list[str], own: str = "") -> str:
    """OME-XML of an image with one frame in each of these files; `own` has it."""
    data = "".join(
        f'<TiffData FirstT="{t}" IFD="{files[:t].count(name)}" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:{name}</UUID></TiffData>'
        for t, name in enumerate(files)
    )
    return (
        f'<?xml version="1.0"?><OME UUID="urn:uuid:{own or files[0]}"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="24" SizeY="20" '
        f'SizeZ="1" SizeC="1" SizeT="{len(files)}"><Channel ID="Channel:0:0" '
        f'SamplesPerPixel="1"/>{data}</Pixels></Image></OME>'
    )


def read_tiff(folder: Path) -> None:
    from napari_hush.io import (
        images_of,
        open_images,
        read_image,
        read_metadata,
        read_record,
    )
    from napari_hush.io.tiff.read import TiffPixels

    (path,) = folder.glob("*.tif")
    for attempt in (read_metadata, read_record):
        with contextlib.suppress(HushError):
            attempt(path)
    for reference in images_of(path, "tiff"):
        dimensions = TiffPixels(reference).ndim
        axes = {3: "ZYX", 4: "ZYXC"}.get(dimensions, "YX")
        (image,) = open_images(reference, "tiff", axes)
        _look_at(image)
        if image.nbytes <= WHOLE:
            with contextlib.suppress(DataError):  # not every file names its axes
                read_image(reference)


def make_zarr(folder: Path) -> Iterable[Path]:
    import zarr

    pixels = np.random.default_rng(0).integers(0, 999, (3, 20, 24)).astype(np.uint16)
    axes = [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"]
    scale = {"type": "scale", "scale": [1.0, 0.1, 0.1]}
    place = {"type": "translation", "translation": [0, 5, "6"]}
    datasets = [{"path": "0", "coordinateTransformations": [scale, place]}]
    omero = {"channels": [{"label": "a", "window": {"min": 0, "max": 9}}]}
    sequence = {"type": "sequence", "output": {"name": "w"}, "transformations": [scale]}
    images = {
        "0.1": {"datasets": [{"path": "0"}]},
        "0.3": {"axes": ["z", "y", "x"], "datasets": [{"path": "0"}]},
        "0.4": {"name": "", "axes": axes, "datasets": datasets},
        "0.5": {"name": "", "axes": axes, "datasets": datasets},
        "0.6": {
            "coordinateSystems": [{"name": "w", "axes": axes}],
            "datasets": [{"path": "0", "coordinateTransformations": [sequence]}],
        },
    }

    def modern(version: str) -> bool:
        return version in ("0.5", "0.6")

    def group(place, version: str, known: dict):
        made = zarr.create_group(place, zarr_format=3 if modern(version) else 2)
        known = {"version": version, **known}
        made.attrs.update({"ome": known} if modern(version) else known)
        return made

    def image(place, version: str) -> None:
        known = {"version": version, **images[version]}
        made = group(place, version, {"multiscales": [known], "omero": omero})
        array = made.create_array("0", shape=pixels.shape, chunks=(2, 16, 16), dtype="u2")
        array[:] = pixels

    for version in (2, 3):
        array = zarr.create_array(
            folder / f"array{version}" / "a.zarr",
            shape=pixels.shape,
            chunks=(1, 8, 9),
            dtype="u2",
            zarr_format=version,
        )
        array[:] = pixels
    for version in images:
        image(folder / f"image{version}" / "a.zarr", version)
    named = {"rows": [{"name": "A"}], "columns": [{"name": "1"}]}
    well = {"path": "A/1", "rowIndex": 0, "columnIndex": 0}
    fields = {"images": [{"path": "0", "acquisition": 0}]}
    for version in ("0.4", "0.5"):
        plate = folder / f"plate{version}" / "a.zarr"
        group(plate, version, {"plate": {**named, "wells": [well], "field_count": 1}})
        group(plate / "A", version, {})
        group(plate / "A" / "1", version, {"well": fields})
        image(plate / "A" / "1" / "0", version)
        run = folder / f"run{version}" / "a.zarr"
        group(run, version, {"bioformats2raw.layout": 3})
        group(run / "OME", version, {"series": ["0"]})
        image(run / "0", version)
    (run / "OME" / "METADATA.ome.xml").write_text('<OME><Image ID="0"/></OME>')
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    described = [p for p in files if p.suffix == ".json" or p.name.startswith(".z")]
    chunks = [p for p in files if p not in described]
    return [*described, *described, chunks[0], chunks[-1]]


def read_zarr(folder: Path) -> None:
    from napari_hush.io import (
        CollectedResults,
        list_files,
        open_images,
        read_metadata,
        read_record,
    )

    path = folder / "a.zarr"
    for attempt in (read_metadata, read_record, lambda p: list_files(p, "zarr")):
        with contextlib.suppress(HushError):
            attempt(path)
    with contextlib.suppress(HushError):
        _look_at(open_images(path, "zarr", "YX")[0])
    for image in open_images(path, "zarr", "ZYX"):
        _look_at(image)
        target = folder / "results.zarr" / image.path.relative_to(path)
        target.mkdir(parents=True)
        mark = {"zarr_format": 3, "node_type": "group", "attributes": {}}
        (target / "zarr.json").write_text(json.dumps(mark))
        CollectedResults().add(image.path, target)


def make_image(folder: Path) -> Iterable[Path]:
    import PIL.Image

    rng = np.random.default_rng(0)
    gray = rng.integers(0, 256, (20, 24), np.uint8)
    first = PIL.Image.fromarray(gray)
    for ending in ("png", "jpg", "bmp", "gif", "webp"):
        first.save(folder / f"gray.{ending}")
    PIL.Image.fromarray(gray.astype(np.uint16) * 200).save(folder / "deep.png")
    colors = PIL.Image.fromarray(gray[..., None].repeat(3, -1) // np.uint8([1, 2, 3]))
    colors.save(folder / "colors.jpg", progressive=True)
    colors.quantize(16).save(folder / "palette.png", transparency=3)
    others = [PIL.Image.fromarray(np.roll(gray, n)) for n in range(2)]
    first.save(folder / "moves.gif", save_all=True, append_images=others)
    first.save(folder / "moves.png", save_all=True, append_images=others)
    return sorted(folder.iterdir())


def _microscope_files():
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    import microscope_files

    return microscope_files


def make_lif(folder: Path) -> Iterable[Path]:
    write = _microscope_files().write_lif
    stack = np.random.default_rng(0).integers(0, 999, (2, 3, 20, 24)).astype(np.uint16)
    step = dict.fromkeys("TZYX", 1e-7)
    colors = (stack[0].transpose(1, 2, 0) % 255).astype(np.uint8, order="C")
    images = [("two", "CYX", stack[0].copy(), step), ("colors", "YXS", colors, step)]
    return [
        write(folder / "one.lif", [("one", "TZYX", stack, step)]),
        write(folder / "two.lif", images),
    ]


def make_nd2(folder: Path) -> Iterable[Path]:
    write = _microscope_files().write_nd2
    frames = np.random.default_rng(0).integers(0, 999, (4, 20, 24, 2)).astype(np.uint16)
    return [
        write(folder / "a.nd2", frames, [("T", 2), ("Z", 2)]),
        write(folder / "b.nd2", frames, [("P", 2), ("T", 2)], packed=True),
        write(folder / "c.nd2", frames[:1, ..., :1]),
    ]


def make_czi(folder: Path) -> Iterable[Path]:
    """Six tiles of 1344 bytes after a header of 544, then what says where they are."""
    from pylibCZIrw import czi

    stack = np.random.default_rng(0).integers(0, 999, (2, 3, 20, 24)).astype(np.uint16)
    for name, scenes in (("times", False), ("scenes", True)):
        with czi.create_czi(str(folder / f"{name}.czi")) as file:
            for t, z in np.ndindex(2, 3):
                plane = {"Z": z} if scenes else {"Z": z, "T": t}
                where = {"location": (30 * t, 0), "scene": t} if scenes else {}
                how = {"compression_options": "uncompressed:", **where}
                file.write(stack[t, z], plane=plane, **how)
            file.write_metadata("a", scale_x=1e-7, scale_y=1e-7)
    return sorted(folder.glob("*.czi"))


def read_file(folder: Path) -> None:
    """All images of the one file in a folder, with the axes that it names."""
    from napari_hush.io import images_of, open_images, read_metadata
    from napari_hush.io.formats import format_of

    (path,) = folder.iterdir()
    with contextlib.suppress(HushError):
        read_metadata(path)
    for image in images_of(path, format_of(path)):
        axes = read_metadata(image).axes or "YX"
        _look_at(open_images(image, format_of(path), axes)[0])


def _look_at(image) -> None:
    """Read what training and denoising would: a region, and all if it is not much."""
    sample = image.samples[-1]
    sample[tuple(slice(0, min(n, 9)) for n in sample.shape)]
    sample[tuple(slice(max(0, n - 9), n) for n in sample.shape)]
    if image.nbytes <= WHOLE:
        image.loaded()


def _configuration():
    from napari_hush.config import create_n2v_configuration

    small = {"num_channels_init": 8, "depth": 1}
    return create_n2v_configuration("small", "array", "YX", [16, 16], 2, model_params=small)


def make_yaml(folder: Path) -> Iterable[Path]:
    from napari_hush.config import create_care_configuration, save_configuration

    pairs = create_care_configuration("pairs", "tiff", "ZYX", [8, 16, 16], 2)
    return [
        save_configuration(_configuration(), folder / "a.yml"),
        save_configuration(pairs, folder / "b.yml"),
    ]


def read_yaml(folder: Path) -> None:
    from napari_hush.config import load_configuration

    load_configuration(next(folder.glob("*.yml")))


def make_model(folder: Path) -> Iterable[Path]:
    from napari_hush.lightning import new_network
    from napari_hush.models import Model, save_model
    from napari_hush.models.normalization import Normalization
    from napari_hush.models.provenance import Provenance, Source, now, versions

    config = _configuration()
    known = Provenance(now(), versions(), (Source("a", "b"),), 1, ((0.0, 9.0),))
    scaling = Normalization((5.0,), (2.0,))
    model = Model(config, new_network(config), scaling, None, 1, 2, known)
    return [save_model(model, folder / "model.safetensors")]


def read_model(folder: Path) -> None:
    from napari_hush.models import load_model

    load_model(folder / "model.safetensors")


def make_state(folder: Path) -> Iterable[Path]:
    from napari_hush import CAREamist
    from napari_hush.cli.run_folder import Command, begin
    from napari_hush.lightning.checkpoint import FILE

    noisy = np.random.default_rng(0).normal(100, 9, (40, 40)).astype("float32")
    config = _configuration()
    training = config.training_config.replace(num_steps=2, num_epochs=2, device="cpu")
    config = config.replace(training_config=training)
    sources = dict.fromkeys(("train_source", "val_source", "train_target", "val_target"))
    sources["train_source"] = ["a.tif"]
    command = Command(config, sources, folder / "m.safetensors", overwrite=False)
    begin(command, overwrite=False)
    CAREamist(config).train(train_source=noisy, checkpoint_dir=command.folder)
    return [*sorted(command.folder.iterdir()), command.folder / FILE]


def read_state(folder: Path) -> None:
    from napari_hush import CAREamist
    from napari_hush.cli.run_folder import load_command
    from napari_hush.lightning import interrupted_run, load_checkpoint
    from napari_hush.lightning.checkpoint import FILE

    run = folder / "m.run"
    with contextlib.suppress(HushError):
        load_command(run)
    with contextlib.suppress(HushError):
        interrupted_run(run)
    state = load_checkpoint(run)
    if zlib.crc32((run / FILE).read_bytes()) % 20:
        return  # resuming takes long: one in twenty is enough
    noisy = np.random.default_rng(0).normal(100, 9, (40, 40)).astype("float32")
    careamist = CAREamist(state.config)
    careamist.on_progress = lambda event: careamist.stop_training()
    careamist.train(train_source=noisy, resume=run)


def _of_careamics() -> tuple[dict, dict]:
    """Settings and weights as CAREamics keeps them: depth 2, 8 filters, no batch norm."""
    import torch

    generator = torch.Generator().manual_seed(0)
    weights = {}

    def convolution(name: str, inputs: int, outputs: int, side: int = 3) -> None:
        shape = (outputs, inputs, side, side)
        weights[f"{name}.weight"] = torch.randn(shape, generator=generator)
        weights[f"{name}.bias"] = torch.randn(outputs, generator=generator)

    for name, inputs, middle, outputs in (
        ("encoder.encoder_blocks.0", 1, 8, 8),
        ("encoder.encoder_blocks.2", 8, 16, 16),
        ("decoder.bottleneck", 16, 32, 16),
        ("decoder.decoder_blocks.1", 32, 16, 8),
        ("decoder.decoder_blocks.3", 16, 8, 8),
    ):
        convolution(f"{name}.conv1", inputs, middle)
        convolution(f"{name}.conv2", middle, outputs)
    convolution("final_conv", 8, 1, 1)
    network = {"architecture": "UNet", "conv_dims": 2, "num_classes": 1, "in_channels": 1}
    network |= {"depth": 2, "num_channels_init": 8, "residual": False, "n2v2": False}
    network |= {"final_activation": "None", "independent_channels": True}
    network |= {"use_batch_norm": False}
    n2v = {"name": "N2VManipulate", "roi_size": 9, "masked_pixel_percentage": 0.5}
    n2v |= {"strategy": "uniform", "struct_mask": None}
    scaling = {"name": "mean_std", "per_channel": True, "skip_target": False}
    scaling |= {"input_means": [100.0], "input_stds": [20.0]}
    scaling |= {"target_means": None, "target_stds": None}
    data = {"data_type": "tiff", "axes": "YX", "batch_size": 4, "normalization": scaling}
    data |= {"patching": {"name": "stratified", "patch_size": [32, 32]}}
    algorithm = {"algorithm": "n2v", "loss": "n2v", "model": network, "n2v_config": n2v}
    values = {"version": "0.3.0", "experiment_name": "cells"}
    return values | {"algorithm_config": algorithm, "data_config": data}, weights


def make_package(folder: Path) -> Iterable[Path]:
    """An archive, and the files that are to be packed into one: then sums are right."""
    import torch
    import yaml

    values, weights = _of_careamics()
    inner = folder / "loose" / "packed"
    inner.mkdir(parents=True)
    (inner / "careamics.yaml").write_text(yaml.safe_dump(values))
    torch.save(weights, inner / "weights.pth")
    rdf = {"type": "model", "attachments": [{"source": "careamics.yaml"}]}
    rdf |= {"weights": {"pytorch_state_dict": {"source": "weights.pth"}}}
    (inner / "rdf.yaml").write_text(yaml.safe_dump(rdf))
    whole = folder / "whole" / "m.zip"
    whole.parent.mkdir()
    _pack(inner, whole)
    return [*sorted(inner.iterdir()), whole]


def make_checkpoint(folder: Path) -> Iterable[Path]:
    """The same of a checkpoint; in it, data.pkl says what is what."""
    import torch

    values, weights = _of_careamics()
    whole = folder / "whole" / "m.ckpt"
    whole.parent.mkdir()
    content = {
        "epoch": 7,
        "global_step": 80,
        "state_dict": {f"model.{name}": each for name, each in weights.items()},
        "hyper_parameters": {"algorithm_config": values.pop("algorithm_config")},
        "datamodule_hyper_parameters": {"data_config": values.pop("data_config")},
        "careamics_info": values,
    }
    torch.save(content, whole)
    inner = folder / "loose" / "packed"
    with zipfile.ZipFile(whole) as archive:
        archive.extractall(inner)
    (pickled,) = inner.rglob("data.pkl")
    return [pickled, pickled, whole, *sorted(p for p in inner.rglob("*") if p.is_file())]


def _pack(inner: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(p for p in inner.rglob("*") if p.is_file()):
            archive.write(file, file.relative_to(inner))


def read_archive(folder: Path, name: str) -> None:
    from napari_hush.interop import open_model

    if (folder / "packed").is_dir():
        _pack(folder / "packed", folder / name)
    open_model(folder / name)


FORMATS = {
    "tiff": Format(make_tiff, read_tiff, head=1200),
    "tiff-set": Format(make_tiff_set, read_tiff_set, head=1200),
    "zarr": Format(make_zarr, read_zarr, words=0.8, values=0.6, head=900),
    "image": Format(make_image, read_file, head=120),
    # On damaged tiles libCZI often reads beyond its memory, which ends the process.
    "czi": Format(make_czi, read_file, words=0.1, kept=(544, 544 + 6 * 1344), apart=True),
    "nd2": Format(make_nd2, read_file, words=0.0),
    "lif": Format(make_lif, read_file, words=0.0, head=9000),
    "yaml": Format(make_yaml, read_yaml, words=0.9),
    "model": Format(make_model, read_model, words=0.4, head=14000),
    "state": Format(make_state, read_state, words=0.4, head=20000),
    "package": Format(make_package, partial(read_archive, name="m.zip"), words=0.5),
    "checkpoint": Format(make_checkpoint, partial(read_archive, name="m.ckpt")),
}


# ---- trials


@dataclass
class Found:
    """What came of the trials of one format."""

    counts: collections.Counter
    defects: dict[str, str]
    slowest: float = 0.0
    largest: int = 0


def fuzz(form: Format, number: int, seed: int, keep: Path | None = None) -> Found:
    """Damage files of one format `number` times and read them."""
    draw = np.random.default_rng(seed)
    found = Found(collections.Counter(), {})
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as place:
        sound = Path(place) / "sound"
        sound.mkdir()
        files = list(form.make(sound))
        for trial in range(-len(files), number):
            # first those that are sound, which have to be read
            victim = files[trial if trial < 0 else int(draw.integers(0, len(files)))]
            folder = Path(place) / "damaged"
            top = sound / victim.relative_to(sound).parts[0]
            if top.suffix == ".run" or top == victim:
                target = folder / victim.relative_to(sound)
                _copy(top, folder / top.name)
            else:
                target = folder / victim.relative_to(top)
                shutil.copytree(top, folder)
            content = victim.read_bytes()
            if trial < 0:
                form.read(folder)
                shutil.rmtree(folder)
                continue
            content = damaged(content, draw, form)
            target.write_bytes(content)
            said = (_trial_apart if form.apart else _trial)(form, folder, found)
            if said and said not in found.defects:
                found.defects[said] = f"trial {trial}, {victim.relative_to(sound)}"
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{seed}-{trial}-{victim.name}").write_bytes(content)
            shutil.rmtree(folder)
    logging.disable(logging.NOTSET)
    return found


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        target.parent.mkdir(parents=True)
        shutil.copy(source, target)


def _trial(form: Format, folder: Path, found: Found) -> str:
    """Read what is in `folder`; say what is wrong, if something is."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    said = ""
    try:
        form.read(folder)
        found.counts["read"] += 1
    except HushError as error:
        found.counts[type(error).__name__] += 1
        if "\n" in str(error).strip():
            said = f"more than one line: {str(error)[:200]!r}"
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f for f in frames if "napari_hush" in f.filename] or frames
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
        said = f"{type(error).__name__} from {where}: {str(error)[:120]!r}"
    seconds = time.process_time() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024
    found.slowest = max(found.slowest, seconds)
    found.largest = max(found.largest, grown)
    if seconds > SECONDS:
        said = said or f"took {seconds:.1f} s"
    if grown > BYTES:
        said = said or f"took {grown / 2**20:.0f} MB"
    return said


def _trial_apart(form: Format, folder: Path, found: Found) -> str:
    """The same in a process of its own."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        said = _trial(form, folder, found)
        os.write(sending, json.dumps([said, *vars(found).values()]).encode())
        os._exit(0)
    os.close(sending)
    with open(receiving, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    if not answer:
        found.counts["ended by the library"] += 1
        return ""
    said, counts, _, found.slowest, found.largest = json.loads(answer)
    found.counts = collections.Counter(counts)
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=20_000, help="of each format")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=FORMATS)
    parser.add_argument("--keep", type=Path, help="folder for files that show a defect")
    options = parser.parse_args()
    # What would take more is stopped before it takes this machine along.
    soft = 6 * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))
    defects = 0
    for name in [options.only] if options.only else FORMATS:
        found = fuzz(FORMATS[name], options.number, options.seed, options.keep)
        defects += len(found.defects)
        print(
            f"{name}: {options.number} tried, {json.dumps(dict(found.counts))}; slowest "
            f"{found.slowest:.2f} s, most {found.largest / 2**20:.0f} MB; "
            f"{len(found.defects)} kinds of defects",
            flush=True,
        )
        for said, where in found.defects.items():
            print(f"  {said} ({where})", flush=True)
    raise SystemExit(defects > 0)


if __name__ == "__main__":
    main()
