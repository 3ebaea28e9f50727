"""Make models with CAREamics itself: run in an environment with 0.1, 0.2 or 0.3.

    python make.py FOLDER [NAME ...]

Writes ``VERSION-NAME.zip`` (or ``.ckpt``) and ``.npz`` with an image ``x`` and the
prediction ``pred`` of CAREamics. Without names: those that the tests use.
"""

import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from careamics import CAREamist

VERSION = ".".join(version("careamics").split(".")[:2])
FIRST = VERSION == "0.1"
SIZES = {"S": 3, "T": 2, "C": 2, "Z": 8}

# axes; options of the method; `net` are those of the network
CASES = {
    "n2v": {},
    "n2v_residual": {"net": {"residual": True}},
    "n2v_depth3": {"net": {"depth": 3}, "size": 64},
    "n2v_wide": {"net": {"num_channels_init": 16}},
    "n2v_nobn": {"net": {"use_batch_norm": False}},
    "n2v_nobn_residual": {"net": {"use_batch_norm": False, "residual": True}},
    "n2v_tiled": {"tile": True, "size": 160},
    "n2v_syx": {"axes": "SYX"},
    "n2v_tyx": {"axes": "TYX"},
    "n2v_yxc_joint": {"axes": "YXC", "joint": True},
    "n2v_yxc": {"axes": "YXC"},
    "n2v_scyx": {"axes": "SCYX"},
    "n2v_cyx_residual": {"axes": "CYX", "net": {"residual": True}},
    "n2v_3d": {"axes": "ZYX"},
    "n2v_3d_depth2": {"axes": "ZYX", "net": {"depth": 2}},
    "n2v_3d_residual": {"axes": "ZYX", "net": {"residual": True}},
    "n2v_3d_nobn": {"axes": "ZYX", "net": {"use_batch_norm": False}},
    "n2v_3d_tiled": {"axes": "ZYX", "tile": True, "size": 112},
    "n2v_3d_czyx": {"axes": "CZYX"},
    "n2v_3d_sczyx_joint": {"axes": "SCZYX", "joint": True},
    "n2v_3d_tzyx": {"axes": "TZYX"},
    "n2v2": {"n2v2": True, "net": {"depth": 2}},
    "n2v2_depth1": {"n2v2": True},
    "n2v2_depth3": {"n2v2": True, "net": {"depth": 3}, "size": 64},
    "n2v2_nobn": {"n2v2": True, "net": {"depth": 2, "use_batch_norm": False}},
    "n2v2_residual": {"n2v2": True, "net": {"depth": 2, "residual": True}},
    "n2v2_cyx": {"n2v2": True, "axes": "CYX", "net": {"depth": 2}},
    "n2v2_cyx_joint": {"n2v2": True, "axes": "CYX", "joint": True, "net": {"depth": 2}},
    "n2v2_3d_depth1": {"n2v2": True, "axes": "ZYX"},
    "n2v2_3d": {"n2v2": True, "axes": "ZYX", "net": {"depth": 2}},
    "n2v2_3d_czyx": {"n2v2": True, "axes": "CZYX", "net": {"depth": 2}},
    "n2v2_tiled": {"n2v2": True, "net": {"depth": 2}, "tile": True, "size": 160},
    "struct_horizontal": {"struct": ("horizontal", 9)},
    "struct_vertical": {"struct": ("vertical", 5)},
    "struct_cross": {"struct": ("cross", 7)},
    "struct_square": {"struct": ("square", 3)},
    "struct_n2v2": {"struct": ("vertical", 7), "n2v2": True, "net": {"depth": 2}},
    "struct_3d": {"struct": ("horizontal", 7), "axes": "ZYX"},
    "channels_02": {"axes": "CYX", "channels": [0, 2], "joint": True},
    "channels_20": {"axes": "YXC", "channels": [2, 0], "size_c": 4},
    "channels_1": {"axes": "CYX", "channels": [1]},
    "channels_3d": {"axes": "CZYX", "channels": [0, 2]},
    "min_max": {"norm": "min_max"},
    "min_max_global": {
        "axes": "CYX",
        "norm": "min_max",
        "norm_params": {"per_channel": False},
    },
    "quantile": {"norm": "quantile"},
    "quantile_levels": {
        "norm": "quantile",
        "norm_params": {"lower_quantiles": [0.05], "upper_quantiles": [0.9]},
    },
    "quantile_cyx": {
        "axes": "CYX",
        "norm": "quantile",
        "norm_params": {"lower_quantiles": [0.05, 0.1], "upper_quantiles": [0.9, 0.8]},
    },
    "none": {"norm": "none"},
    "none_3d": {"axes": "ZYX", "norm": "none"},
    "mean_std_global": {
        "axes": "CYX",
        "norm": "mean_std",
        "norm_params": {"per_channel": False},
    },
    "mean_std_given": {
        "norm": "mean_std",
        "norm_params": {"input_means": [400.0], "input_stds": [70.0]},
    },
    "skip_target": {"norm": "mean_std", "norm_params": {"skip_target": True}},
    "care": {"method": "care"},
    "care_3d": {"method": "care", "axes": "ZYX"},
    "care_cyx": {"method": "care", "axes": "CYX"},
    "care_cyx_apart": {"method": "care", "axes": "CYX", "joint": False},
    "care_3_to_1": {"method": "care", "joint": True, "axes": "CYX", "size_c": 3, "out": 1},
    "care_1_to_2": {"method": "care", "joint": True, "axes": "CYX", "size_c": 1, "out": 2},
    "care_1_to_2_residual": {
        "method": "care",
        "joint": True,
        "axes": "CYX",
        "size_c": 1,
        "out": 2,
        "net": {"residual": True},
    },
    "care_2_to_4_apart": {"method": "care", "axes": "CYX", "out": 4, "joint": False},
    "care_cyx_to_yx": {
        "method": "care",
        "axes": "CYX",
        "target_axes": "YX",
        "size_c": 3,
        "out": 1,
    },
    "care_yx_to_cyx": {
        "method": "care",
        "axes": "YX",
        "target_axes": "CYX",
        "size_c": 1,
        "out": 2,
    },
    "care_channels": {"method": "care", "axes": "CYX", "channels": [2, 0], "size_c": 3},
    "care_min_max": {"method": "care", "norm": "min_max"},
    "care_quantile": {"method": "care", "norm": "quantile"},
    "care_none": {"method": "care", "norm": "none"},
    "care_skip_target": {
        "method": "care",
        "norm": "mean_std",
        "norm_params": {"skip_target": True},
    },
    "n2n": {"method": "n2n"},
    "n2n_3d": {"method": "n2n", "axes": "ZYX"},
    "n2n_cyx": {"method": "n2n", "axes": "CYX"},
    "n2n_min_max": {"method": "n2n", "norm": "min_max"},
}
SINCE_0_2 = ("channels", "norm", "target_axes")
TESTS = {
    "0.1": [
        "n2v_residual",
        "n2v2",
        "n2v_3d",
        "n2v_yxc",
        "n2v_nobn",
        "struct_vertical",
        "care",
    ],
    "0.2": ["struct_horizontal"],
    "0.3": [
        *("n2v", "n2v2_3d_depth1", "struct_square", "channels_20", "quantile_cyx"),
        *("skip_target", "care", "care_1_to_2_residual"),
    ],
}
CHECKPOINTS = ("struct_square",)
"""Others are packages where CAREamics can write one."""


def image(axes, case, seed, channels=None):
    """Blobs of photons, an offset and noise; integers, so that files are small."""
    side = case.get("size", 32 if "Z" in axes else 48)
    sizes = {**SIZES, "Y": side, "X": side}
    sizes["C"] = channels or case.get("size_c", 3 if "channels" in case else 2)
    shape = [sizes[axis] for axis in axes]
    places = np.meshgrid(*map(np.arange, shape), indexing="ij")
    signal = 1.0
    for axis, place in zip(axes, places, strict=True):
        if axis in "ZYX":
            signal = signal * (1 + np.sin(place * {"Z": 0.5, "Y": 0.4, "X": 0.3}[axis]))
        else:
            signal = signal * (1 + place)
    return signal, np.random.default_rng(seed)


def noisy(axes, case, seed, gain=100, channels=None):
    signal, rng = image(axes, case, seed, channels)
    return (gain / 25 * rng.poisson(25 * signal) + 100).astype(np.uint16)


def options(case):
    axes = case.get("axes", "YX")
    net = {"num_channels_init": 8, "depth": 1, **case.get("net", {})}
    found = {
        "experiment_name": "cells",
        "data_type": "array",
        "axes": axes,
        "patch_size": [8 if a == "Z" else 16 for a in axes if a in "ZYX"],
        "batch_size": 2,
        "num_epochs": 1,
        "model_params": net,
        "trainer_params": {"limit_train_batches": 6, "accelerator": "cpu"},
    }
    if FIRST:
        found["train_dataloader_params"] = {"num_workers": 0, "shuffle": True}
        found["val_dataloader_params"] = {"num_workers": 0}
    else:
        found |= {"num_workers": 0, "n_val_patches": 2, "seed": 3}
        found["normalization"] = case.get("norm", "mean_std")
        found["normalization_params"] = case.get("norm_params")
        if "channels" in case:
            found["channels"] = case["channels"]
        if "target_axes" in case:
            found["target_axes"] = case["target_axes"]
    if "joint" in case:
        found["independent_channels"] = not case["joint"]
    count = len(case.get("channels", ())) or case.get("size_c", 2)
    if case.get("method", "n2v") == "n2v":
        found |= {"use_n2v2": case.get("n2v2", False), "masked_pixel_percentage": 1.0}
        if "C" in axes:
            found["n_channels"] = count
        if "struct" in case:
            axis, found["struct_n2v_span"] = case["struct"]
            found["struct_n2v_axes" if VERSION == "0.3" else "struct_n2v_axis"] = axis
            found["augmentations"] = []
    elif "C" in axes + case.get("target_axes", ""):
        found["n_channels_in"] = count
        found["n_channels_out"] = case.get("out", count)
    return found


def trained(case, folder):
    """A trained CAREamist, an image, and the prediction."""
    method, axes = case.get("method", "n2v"), case.get("axes", "YX")
    if FIRST:
        from careamics.config import configuration_factories as factories

        config = getattr(factories, f"create_{method}_configuration")(**options(case))
    else:
        from careamics.config import factories

        config = getattr(factories, f"create_advanced_{method}_config")(**options(case))
    x = noisy(axes, case, 1)
    target = None
    if method != "n2v":
        gain, out = (100, None) if method == "n2n" else (700, case.get("out"))
        target = noisy(case.get("target_axes", axes), case, 2, gain, out)
    careamist = CAREamist(config, work_dir=folder, enable_progress_bar=False)
    if FIRST:
        careamist.train(train_source=x, train_target=target, val_percentage=0.1)
    else:
        careamist.train(train_data=x, train_data_target=target)
    tile = {"tile_size": None}
    if "tile" in case:
        spatial = [8 if a == "Z" else 64 for a in axes if a in "ZYX"]
        tile = {"tile_size": tuple(spatial), "tile_overlap": tuple(n // 2 for n in spatial)}
    result = careamist.predict(x, **tile)
    if isinstance(result, tuple):  # with the names of files
        result = result[0]
    if isinstance(result, list):  # one array per sample
        result = np.concatenate(result)
    return careamist, x, np.squeeze(result)


def packed(careamist, case, x, path):
    """Whether CAREamics can write a package: not 0.2, nor all kinds of 0.3."""
    count = len(case.get("channels", ())) or case.get("size_c", 2)
    names = [f"channel{number}" for number in range(count)]
    try:
        careamist.export_to_bmz(
            path.with_name(path.name + ".zip"),
            "cells",
            x,
            authors=[{"name": "Ada Lovelace"}],
            general_description="Made for a test.",
            data_description="Simulated.",
            channel_names=names if "C" in case.get("axes", "YX") else None,
        )
    except (ValueError, IndexError, UnboundLocalError, NotImplementedError):
        return False
    return True


def make(name, out):
    case = CASES[name]
    if FIRST and any(option in case for option in SINCE_0_2):
        return
    folder = Path(tempfile.mkdtemp())
    careamist, x, pred = trained(case, folder)
    path = out / f"{VERSION}-{name}"
    if name in CHECKPOINTS or not packed(careamist, case, x, path):
        last = sorted(folder.rglob("*last*.ckpt"))[-1]
        shutil.copy(last, path.with_name(path.name + ".ckpt"))
    np.savez_compressed(path.with_name(path.name + ".npz"), x=x, pred=pred.astype("f4"))
    shutil.rmtree(folder)


def main():
    out = Path(sys.argv[1]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    names = sys.argv[2:] or TESTS[VERSION]
    for name in CASES if names == ["all"] else names:
        try:
            make(name, out)
        except Exception as error:  # some cases are not possible in some versions
            print(f"{VERSION}-{name}: {type(error).__name__} {str(error)[:300]}")


if __name__ == "__main__":
    main()
