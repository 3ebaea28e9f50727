"""Pack the result of a pretraining into a built-in network of the package.

``python scripts/pretraining/packing.py FOLDER NAME`` writes
``src/napari_hush/models/builtin/NAME.safetensors``.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from safetensors import safe_open

from napari_hush.config import UNetConfig
from napari_hush.config.algorithm import has_built_in_layout
from napari_hush.models.built_in import FOLDER, FORMAT
from napari_hush.models.file import write_tensors
from napari_hush.models.weights import check_weights

SIMULATED = (
    "simulated images alone: structures, optics and detectors of scripts/pretraining"
)
LICENSE = "BSD-3-Clause; the training images are simulated, no others were used"


def pack(folder: Path, name: str, out: Path = FOLDER) -> Path:
    """Write the averaged weights in `folder` as the built-in network `name`.

    `folder` is that of ``pretrain``: of its files ``weights.safetensors``, or, of an
    unfinished pretraining, ``state.safetensors``. Convolutions are stored as float16, half
    the size; what else there is takes little and stays float32.
    """
    source = folder / "weights.safetensors"
    prefix = ""
    if not source.exists():
        source, prefix = folder / "state.safetensors", "average/"
    tensors = {}
    with safe_open(source, "pt") as file:
        header = file.metadata()
        for key in file.keys():  # noqa: SIM118 - not a mapping
            if key.startswith(prefix):
                tensors[key.removeprefix(prefix)] = file.get_tensor(key)
    recipe = json.loads(header["recipe"])
    config = UNetConfig.build(recipe["network"] or {})
    if not has_built_in_layout(config):
        raise SystemExit("Built-in networks have the default architecture.")
    check_weights({key: tuple(tensor.shape) for key, tensor in tensors.items()}, config)
    date = datetime.fromtimestamp(source.stat().st_mtime, UTC)
    facts = {
        "format": FORMAT,
        "name": name,
        "kind": name.rpartition("-")[0],
        "configuration": config.model_dump_json(),
        "trained_on": SIMULATED,
        "recipe": json.dumps(recipe),
        "steps": header.get("step", str(recipe["steps"])),
        "date": date.isoformat(timespec="seconds"),
        "license": LICENSE,
    }
    small = {key: t.half() if t.ndim > 1 else t for key, t in tensors.items()}
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.safetensors"
    write_tensors(path, small, facts)
    return path


if __name__ == "__main__":
    print(pack(Path(sys.argv[1]), sys.argv[2]))
