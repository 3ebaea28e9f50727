"""The trainings and predictions that are recorded, for `record.py` and the tests.

Bits depend on the version of torch and on the CPU. Where both are those of the recording,
results must be the same bits. Elsewhere what a recorded model denoises must agree within
`CLOSE`, and what a training ends with within `TRAINED`: the first steps of Adam go by the
signs of the gradients, so that rounding grows. With the other instructions that one CPU
offers (ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA) losses differed by 0.0013 at most.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tomllib
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parents[2]
CLOSE = {"rtol": 1e-4, "atol": 0}
TRAINED = {"rtol": 5e-3, "atol": 0}
TILE = {2: [16, 16], 3: [4, 16, 16]}
METHODS = ("n2v", "n2v2", "structn2v", "n2n", "care")
COMMAND_NAMES = (
    "train",
    "resume",
    "predict",
    "check",
    "config",
    "export",
    "info",
    "completion",
)
CASES = (*METHODS, "n2v_3d", "n2v_channels", "n2v_on_disk")


class Cut(BaseException):
    """Stands for whatever ends a run without asking."""


# ---- The machine


def machine():
    """What bits depend on."""
    import torch

    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:  # there is none outside Linux
        lines = []
    cpu = dict(line.split("\t", 1) for line in lines if "\t" in line)
    found = {name: cpu.get(name, "") for name in ("model name", "cpu family", "model")}
    return {
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        **{name: value.strip("\t: ") for name, value in found.items()},
    }


def recorded(name):
    return json.loads((DATA / f"{name}.json").read_text())


def same_machine():
    return machine() == recorded("bits")["machine"]


# ---- Hashes


def sha256(array):
    array = np.ascontiguousarray(array)
    head = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(head + array.tobytes()).hexdigest()


def weights_sha256(careamist):
    """Hash of all weights of a model, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(careamist.model.network.state_dict().items()):
        digest.update(f"{name} {sha256(tensor.detach().cpu().numpy())} ".encode())
    return digest.hexdigest()


# ---- The cases


@cache
def images():
    with np.load(DATA / "images.npz") as file:
        return dict(file)


def settings(**more):
    """The arguments that all configurations have."""
    return {
        "experiment_name": "pinned",
        "data_type": "array",
        "axes": "YX",
        "patch_size": [16, 16],
        "batch_size": 4,
        "num_epochs": 2,
        "num_steps": 3,
        "model_params": {"num_channels_init": 8, "depth": 1},
        **more,
    }


def on_cpu(config, **more):
    """`config` in float32 on the CPU."""
    training = config.training_config.replace(device="cpu", precision="32", **more)
    return config.replace(training_config=training)


def configuration(case, **more):
    from napari_hush.config import (
        create_care_configuration,
        create_n2n_configuration,
        create_n2v_configuration,
    )

    two_levels = {"model_params": {"num_channels_init": 8, "depth": 2}}
    make, changes = {
        "n2v": (create_n2v_configuration, two_levels),
        "n2v2": (create_n2v_configuration, {"use_n2v2": True, **two_levels}),
        "structn2v": (create_n2v_configuration, {"struct_n2v_axis": "horizontal"}),
        "n2n": (create_n2n_configuration, {}),
        "care": (create_care_configuration, {}),
        "n2v_3d": (create_n2v_configuration, {"axes": "ZYX", "patch_size": [8, 16, 16]}),
        "n2v_channels": (
            create_n2v_configuration,
            {"axes": "CYX", "n_channels": 2, "independent_channels": False},
        ),
        "n2v_on_disk": (create_n2v_configuration, {"data_type": "tiff"}),
    }[case]
    return on_cpu(make(**settings(**changes, **more)))


def sources(case, folder):
    """Arguments of `CAREamist.train`."""
    from napari_hush.io import write_tiff

    found = images()
    match case:
        case "n2n":
            return {"train_source": found["noisy"], "train_target": found["other"]}
        case "care":
            return {"train_source": found["noisy"], "train_target": found["clean"]}
        case "n2v_3d":
            return {"train_source": found["volume"]}
        case "n2v_channels":
            return {"train_source": found["channels"]}
        case "n2v_on_disk":
            paths = [
                write_tiff(folder / f"{name}.tif", found[name], "YX")
                for name in ("noisy", "other")
            ]
            return {"train_source": paths, "use_in_memory": False}
    return {"train_source": found["noisy"]}


def to_denoise(case):
    """An array whose sizes are no multiples of what the network halves."""
    name = {"n2v_3d": "volume", "n2v_channels": "channels"}.get(case, "noisy")
    crop = (..., slice(3, 34), slice(5, 42))
    return images()[name][crop]


def trained(case, folder):
    from napari_hush import CAREamist

    careamist = CAREamist(configuration(case))
    careamist.train(**sources(case, folder))
    return careamist


def predictions(careamist, case):
    """Of one array: at once, in tiles, and averaged over 8 versions."""
    array = to_denoise(case)
    tile = TILE[3 if case == "n2v_3d" else 2]
    kind = {"data_type": "array"}
    return {
        "plain": careamist.predict(array, **kind),
        "tiled": careamist.predict(array, tile_size=tile, **kind),
        "tta": careamist.predict(array, tta=True, **kind),
    }


# ---- Unfinished predictions

MOVIE_TIME = 1_700_000_000_000_000_000
"""When the denoised file was modified, in nanoseconds since 1970: the journal knows it."""
RESULTS = {"tiff": "clean.tif", "zarr": "clean.ome.zarr"}


def source_key(path, shape, dtype, axes):
    """How the journal of an unfinished prediction names the TIFF file it is made of."""
    status = path.stat()
    known = (str(path), status.st_size, status.st_mtime_ns, shape, np.dtype(dtype).str)
    pixels = hashlib.sha256(repr(known).encode()).hexdigest()
    return hashlib.sha256(f"{pixels} {axes}".encode()).hexdigest()


# ---- The command line


def entry_point():
    """What the console command ``hush`` calls, as the project says."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        named = tomllib.load(file)["project"]["scripts"]["hush"]
    module, _, function = named.partition(":")
    return getattr(import_module(module), function)


@contextmanager
def _patched(name, value):
    before = getattr(argparse.ArgumentParser, name)
    setattr(argparse.ArgumentParser, name, value)
    try:
        yield
    finally:
        setattr(argparse.ArgumentParser, name, before)


def parsers(command):
    """The parser of ``hush`` and that of `command`, wherever they are made.

    Short forms of options are off: an option that has gone would otherwise be taken for
    the short form of another one.
    """
    found = []

    def caught(self, *arguments, **named):
        found.append(self)
        raise Cut

    main = entry_point()
    with _patched("parse_known_args", caught), suppress(Cut):
        main([command])
    (parser,) = found
    (commands,) = (
        action
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    own = commands.choices[command]
    parser.allow_abbrev = own.allow_abbrev = False
    return parser, own


# ---- Comparing


def leaves(tree, path=""):
    """All values of nested dicts, by dotted names."""
    if isinstance(tree, dict) and tree:
        for name, value in tree.items():
            yield from leaves(value, f"{path}.{name}" if path else name)
    else:
        yield path, tree


RENAMED = {"training_config.save_state_every": "training_config.checkpoint_every"}


def missing_from(found, wanted):
    """What of the recorded values is not in `found`, which may have further ones."""
    there = dict(leaves(found))
    nothing = object()
    return {
        name: value
        for name, value in leaves(wanted)
        if there.get(RENAMED.get(name, name), nothing) != value
    }
