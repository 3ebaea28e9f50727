"""Write the files in `data`, which the tests of this folder compare with.

    python tests/pinned/record.py [PART ...]

They are what commit d419436 wrote, but for `retrained.json`, which has what trainings end
with where that differs now. Recording them anew says that behaviour may change, so
it is for a change that is meant, and named in the changelog. Parts: images, imports,
commands, configurations, models, retrained, predictions, trainings, dock. `imports`
prints tables of test_pinned_imports.py. `images` changes what all others are made of.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections import defaultdict
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import contextlib

import numpy as np
import pinned_cases as cases
from pinned_cases import DATA, ROOT, Cut

DOCK_NAME = "cells"
# What people write on the command line for settings; `hush config --json` shows the result.
CONFIG_LINES = [
    "n2v",
    "n2v2",
    "structn2v",
    "n2n",
    "care",
    "n2v --axes ZYX --patch-size 8 32 32",
    "n2v --axes CYX --channels 0 2 --patch-size 32 48",
    "structn2v --struct-axis vertical --struct-span 9",
    "n2v --epochs 7 --steps 11 --batch-size 3 --learning-rate 0.002 --seed 5",
    "n2v --masked-pixels 1.5 --depth 3 --filters 16",
    "care --device cpu --precision 32 --logger none --devices 2 --nodes 3 --strategy ddp",
    "n2v --set ema_decay=0.9 --set optimizer.name=SGD --set patch_size=[16,24]",
    "n2v --set lr_scheduler.name=StepLR --set step_size=5 --set background.threshold=12.5",
    "n2n --set algorithm_config.model.use_batch_norm=false --set transforms=[]",
]


def write_json(name, values):
    text = json.dumps(values, indent=1)
    # one line per list of numbers or words
    text = re.sub(r"\[\s+([^][{}]*?)\s+\]", _one_line, text)
    (DATA / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def _one_line(match):
    values = re.sub(r",\s+", ", ", match[1])
    return f"[{values}]"


def emptied(name):
    folder = DATA / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


# ---- Images


def record_images(work):
    rng = np.random.default_rng(20)
    z, y, x = np.mgrid[:8, :64, :64]
    clean = 900 + 300 * np.sin(x / 6) * np.cos(y / 8) + 40 * np.sin(z / 2)
    noisy = (clean[0] + rng.normal(0, 40, (2, 64, 64))).round()
    volume = (clean + rng.normal(0, 40, clean.shape)).round()[:, 8:48, 8:52]
    channels = np.stack([clean[0], 200 + clean[0, ::-1] / 4])[:, :48, :56]
    channels = (channels + rng.normal(0, 25, channels.shape)).round()
    movie = (clean[:3, 10:42, 10:42] + rng.normal(0, 40, (3, 32, 32))).round()
    np.savez_compressed(
        DATA / "images.npz",
        noisy=noisy[0].astype("uint16"),
        other=noisy[1].astype("uint16"),
        clean=clean[0].round().astype("uint16"),
        volume=volume.astype("uint16"),
        channels=channels.astype("uint16"),
        movie=movie.astype("uint16"),
    )


# ---- Imports


def record_imports(work):
    """Print what README and docs import, and what the pages of the API describe."""
    named, described = set(), defaultdict(list)
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        for module, names in re.findall(
            r"^from (napari_hush[\w.]*) import (.+)$", text, re.M
        ):
            named |= {(module, name.strip()) for name in names.split(",")}
        named |= {(m, "") for m in re.findall(r"^import (napari_hush[\w.]*)$", text, re.M)}
        named |= {_split(path) for path in re.findall(r"`(napari_hush\.[\w.]+)`", text)}
        named |= {
            _split(path) for path in re.findall(r"autoclass:: (napari_hush[\w.]+)", text)
        }
        for module in re.findall(r"automodule:: (napari_hush[\w.]*)", text):
            described[module] = _members(module)
    print("NAMED =", sorted(named))
    print("DESCRIBED =", dict(described))


def _split(path):
    """A module and a name in it, or a module and nothing."""
    try:
        import_module(path)
    except ImportError:
        return tuple(path.rsplit(".", 1))
    return path, ""


def _members(module):
    found = import_module(module)
    names = getattr(found, "__all__", None) or [
        name
        for name, value in vars(found).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module
    ]
    return sorted(names)


# ---- The command line


def record_commands(work):
    table = {}
    for command in cases.COMMAND_NAMES:
        _, parser = cases.parsers(command)
        needed, options, positionals = [], {}, {}
        for action in parser._actions:
            samples = _samples(action)
            if action.dest == "help":
                continue
            if not action.option_strings:
                positionals[action.metavar or action.dest] = samples
                needed += [] if action.nargs == "*" else samples[0]
            else:
                options |= dict.fromkeys(action.option_strings, samples)
                if action.required:
                    needed += [action.option_strings[-1], *samples[0]]
        table[command] = {"needed": needed, "positionals": positionals, "options": options}
    write_json("commands", table)


def _samples(action):
    """Values to give: one for each choice, else one; several where a list is taken."""
    if action.nargs == 0:
        return [[]]
    if action.choices is not None:
        return [[choice] for choice in action.choices]
    value = {int: "7", float: "0.25"}.get(action.type, "word")
    return [[value], [value, value]] if action.nargs in ("+", "*") else [[value]]


# ---- Configurations


def many_settings():
    from napari_hush.config import Configuration

    return Configuration.build(
        {
            "experiment_name": "many settings",
            "algorithm_config": {
                "model": {
                    "depth": 1,
                    "num_channels_init": 10,
                    "residual": True,
                    "use_batch_norm": False,
                },
                "n2v_config": {"roi_size": 7, "masked_pixel_percentage": 2.5},
                "optimizer": {
                    "name": "AdamW",
                    "learning_rate": 0.002,
                    "parameters": {"weight_decay": 0.01},
                },
                "lr_scheduler": {"name": "StepLR", "step_size": 1, "gamma": 0.5},
            },
            "data_config": {
                "data_type": "tiff",
                "patch_size": [16, 24],
                "batch_size": 3,
                "transforms": [
                    {"name": "XYFlip", "flip_y": False, "p": 0.7},
                    {"name": "XYRandomRotate90", "p": 0.4, "half_turns_only": True},
                ],
                "normalization": {"name": "quantile", "lower": 0.02, "upper": 0.98},
                "background": {"measure": "mean", "threshold": 500.0, "kept": 0.2},
                "seed": 7,
            },
            "training_config": {
                "num_epochs": 2,
                "num_steps": 2,
                "precision": "32",
                "device": "cpu",
                "ema_decay": 0.5,
                "gradient_clip_norm": 1.5,
                "plateau_epochs": 3,
                "plateau_tolerance": 0.01,
                "early_stopping_epochs": 5,
                "snapshots": 2,
                "save_state_every": 5.0,
                "logger": "none",
                "process_timeout": 60.0,
            },
        }
    )


def record_configurations(work):
    from napari_hush.config.presets import PRESETS

    from napari_hush.config import save_configuration

    folder = emptied("configurations")
    main = cases.entry_point()
    for method in cases.METHODS:
        path = folder / f"command-{method}.yml"
        assert main(["config", method, "-o", str(path), "--quiet"]) == 0
    for case in cases.CASES:
        save_configuration(cases.configuration(case), folder / f"saved-{case}.yml")
    for preset in PRESETS:
        config = cases.configuration("n2v")
        training = config.training_config.replace(**preset.changes)
        name = preset.name.lower().replace(" ", "-")
        config = config.replace(training_config=training)
        save_configuration(config, folder / f"effort-{name}.yml")
    save_configuration(many_settings(), folder / "many.yml")
    # what a person writes, who leaves out all that is as usual
    (folder / "short.yml").write_text(
        "experiment_name: short\n"
        "data_config: {axes: ZYX, patch_size: [8, 32, 32], data_type: zarr, level: 1}\n"
        "algorithm_config:\n"
        "  algorithm: care\n"
        "  loss: mse\n"
        "  model: {conv_dims: 3, pool_z: [false, true]}\n"
        "  lr_scheduler: {name: ReduceLROnPlateau, factor: 0.25, patience: 2}\n"
        "training_config: {num_epochs: 3, ema_decay: 0}\n",
        encoding="utf-8",
    )
    from napari_hush.config import load_configuration

    write_json(
        "configurations",
        {
            "files": {
                path.name: load_configuration(path).model_dump(mode="json")
                for path in sorted(folder.iterdir())
            },
            "lines": {line: _printed(main, line) for line in CONFIG_LINES},
        },
    )


def _printed(main, line):
    from contextlib import redirect_stdout
    from io import StringIO

    out = StringIO()
    with redirect_stdout(out):
        assert main(["config", *line.split(), "--json"]) == 0
    return json.loads(out.getvalue())


# ---- Models, and bits


def record_models(work):
    from napari_hush import CAREamist
    from napari_hush.io import write_tiff

    folder, found = emptied("models"), {}
    for case in cases.CASES:
        (work / case).mkdir()
        careamist = cases.trained(case, work / case)
        results = cases.predictions(careamist, case)
        careamist.save(folder / f"{case}.safetensors")
        found[case] = bits_of(careamist, case)
        np.savez_compressed(
            folder / f"{case}.npz", plain=results["plain"], tta=results["tta"]
        )
    write_tiff(work / "noisy.tif", cases.images()["noisy"], "YX")
    settings, model = DATA / "configurations" / "many.yml", work / "many.safetensors"
    line = ["train", str(settings), str(work / "noisy.tif"), "-o", str(model), "--quiet"]
    assert cases.entry_point()(line) == 0
    careamist = CAREamist(model)
    plain = careamist.predict(cases.to_denoise("n2v"))
    np.savez_compressed(folder / "many.npz", plain=plain)
    found["many"] = {
        "weights": cases.weights_sha256(careamist),
        "plain": cases.sha256(plain),
    }
    write_json("bits", {"machine": cases.machine(), "cases": found})


def record_retrained(work):
    """The bits of trainings, and of a resumed one, that are not those of d419436."""
    from napari_hush import CAREamist

    known, found = cases.recorded("bits"), {}
    assert known["machine"] == cases.machine()
    for case in cases.CASES:
        (work / case).mkdir()
        bits = bits_of(cases.trained(case, work / case), case)
        if any(known["cases"][case].get(name) != value for name, value in bits.items()):
            found[case] = bits
    folder = shutil.copytree(DATA / "interrupted" / "careamist", work / "resumed")
    careamist = CAREamist(DATA / "interrupted" / "careamist.yml")
    careamist.train(train_source=cases.images()["channels"], resume=folder)
    found["resumed"] = bits_of(careamist, "n2v_channels")
    write_json("retrained", found)


def bits_of(careamist, case):
    return {
        "losses": careamist.get_losses(),
        "weights": cases.weights_sha256(careamist),
        **{n: cases.sha256(a) for n, a in cases.predictions(careamist, case).items()},
    }


# ---- Unfinished predictions


def record_predictions(work):
    """What is left of a prediction that ended after 5 of 12 tiles, or 1 of 3 shards."""
    from napari_hush import CAREamist
    from napari_hush.io import write_tiff

    folder = emptied("unfinished")
    movie = cases.images()["movie"]
    source = write_tiff(folder / "movie.tif", movie, "TYX")
    os.utime(source, ns=(cases.MOVIE_TIME, cases.MOVIE_TIME))
    key = cases.source_key(source, movie.shape, movie.dtype, "TYX")
    for kind, name in cases.RESULTS.items():
        asked = []
        careamist = CAREamist(DATA / "models" / "n2v.safetensors")
        done = careamist.predict_to_disk(
            source,
            prediction_dir=folder / name,
            axes="TYX",
            tile_size=[16, 16],
            should_stop=lambda asked=asked: len(asked) > 5 or asked.append(1),
        )
        assert done == []
        journal = (folder / f".{name}.tiles").read_bytes()
        head, _, table = journal.partition(b"\n")
        assert json.loads(head)["job"]["source"] == key, kind
        missing = int((np.frombuffer(table, "<i8") == -1).sum())
        print(kind, "parts", len(table) // 8, "missing", missing)
    print(sorted(path.name for path in folder.iterdir()))


# ---- Interrupted trainings


class CutAt:
    """Ends a run once so many steps were reported."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self, event, *more):
        first, losses = getattr(event, "first_step", None), getattr(event, "losses", ())
        if type(event).__name__ == "StepsDone" and first + len(losses) >= self.steps:
            raise Cut


def interruptible():
    config = cases.configuration("n2v_channels", optimizer="AdamW", num_epochs=3)
    training = config.training_config.replace(save_state_every=0)
    return config.replace(training_config=training)


def record_trainings(work):
    from napari_hush import CAREamist, cli
    from napari_hush.config import save_configuration
    from napari_hush.io import write_tiff

    folder = emptied("interrupted")
    config, source = interruptible(), cases.images()["channels"]
    save_configuration(config, folder / "careamist.yml")
    try:
        careamist = CAREamist(config, on_progress=CutAt(5))
        careamist.train(train_source=source, state_dir=folder / "careamist")
    except Cut:
        pass
    whole = CAREamist(config)
    whole.train(train_source=source)
    results = {"careamist": (whole, "n2v_channels")}

    write_tiff(work / "noisy.tif", cases.images()["noisy"], "YX")
    line = (
        f"train {work}/noisy.tif -o {work}/MODEL.safetensors --quiet --patch-size 16 16 "
        "--filters 8 --depth 1 --batch-size 4 --steps 3 --epochs 3 --device cpu "
        "--precision 32 --set save_state_every=0 --logger none"
    ).split()
    before, after = cli.Bars.__call__, CutAt(5)
    cli.Bars.__call__ = lambda self, event: (after(event), before(self, event))
    with contextlib.suppress(Cut):
        cli.main([word.replace("MODEL", "cut") for word in line])
    cli.Bars.__call__ = before
    shutil.copytree(work / "cut.run", folder / "cut.run")
    command = folder / "cut.run" / "command.json"
    words = command.read_text().replace(str(work), "/somewhere")
    command.write_text(words)
    assert cli.main([word.replace("MODEL", "whole") for word in line]) == 0
    results["command"] = CAREamist(work / "whole.safetensors"), "n2v"
    _write_results("interrupted", results)


def _write_results(name, results):
    table = {}
    for which, (careamist, case) in results.items():
        plain = careamist.predict(cases.to_denoise(case), data_type="array")
        np.save(DATA / name / f"{which}.npy", plain)
        table[which] = {
            "steps": careamist.model.steps,
            "weights": cases.weights_sha256(careamist),
            "plain": cases.sha256(plain),
        }
    write_json(name, table)


# ---- The dock


def record_dock(work):
    """What the dock keeps in its two folders: its settings, and an interrupted training."""
    folder = emptied("dock")
    os.environ["HUSH_CONFIG_DIR"] = str(folder / "config")
    os.environ["HUSH_DATA_DIR"] = str(work)
    from napari_hush.widgets.preferences import PREFERENCES, prefer
    from napari_hush.widgets.remembered import remember, remember_model
    from napari_hush.widgets.tasks import StopRequest, Training
    from napari_hush.widgets.training_data import TrainingData

    from napari_hush.io import ImageMetadata

    shown = cases.on_cpu(
        cases.configuration("structn2v", seed=3, optimizer="SGD"), ema_decay=0.5
    )
    remember("speeds", {"auto": 1e9, "cpu": 1e9})
    remember("configuration", shown.model_dump(mode="json"))
    remember_model(Path("/somewhere/older.safetensors"))
    remember_model(Path("/somewhere/n2v.safetensors"))
    for name, default in PREFERENCES.items():
        prefer(name, not default)

    config = cases.configuration("structn2v", num_epochs=3)
    training = config.training_config.replace(save_state_every=0)
    config = config.replace(training_config=training)
    size = ImageMetadata("YX", {"Y": 0.5, "X": 0.25}, dict.fromkeys("YX", "micrometer"))
    data = TrainingData((cases.images()["noisy"],))
    task = Training(config, data, DOCK_NAME, pixel_size=size)
    with contextlib.suppress(Cut):
        task(CutAt(5), StopRequest())
    (kept,) = (work / "interrupted").iterdir()
    shutil.copytree(kept, folder / "interrupted")
    (folder / "interrupted" / "in-use").unlink(missing_ok=True)
    whole = task(lambda event: None, StopRequest())
    _write_results("dock", {"whole": (whole, "n2v")})


PARTS = {
    "images": record_images,
    "imports": record_imports,
    "commands": record_commands,
    "configurations": record_configurations,
    "models": record_models,
    "retrained": record_retrained,
    "predictions": record_predictions,
    "trainings": record_trainings,
    "dock": record_dock,
}

if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    DATA.mkdir(exist_ok=True)
    for part in sys.argv[1:] or PARTS:
        with tempfile.TemporaryDirectory() as work_folder:
            PARTS[part](Path(work_folder))
