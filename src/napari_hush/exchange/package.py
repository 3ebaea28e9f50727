"""A BioImage.IO package: a model with all that other programs need to run it."""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import yaml

from napari_hush.config import as_yaml
from napari_hush.errors import ConfigurationError, MissingFileError
from napari_hush.exchange.about import About
from napari_hush.exchange.architecture import architecture_source
from napari_hush.exchange.description import described
from napari_hush.exchange.onnx_graph import onnx_model
from napari_hush.exchange.picture import cover
from napari_hush.exchange.readme import readme
from napari_hush.exchange.sample import sample_pair
from napari_hush.exchange.torchscript import write_torchscript
from napari_hush.models import Model, save_model
from napari_hush.writing import whole_file

if TYPE_CHECKING:
    from napari_hush.io import Image

DESCRIPTION = "rdf.yaml"
"""Name of the file that describes a package."""
_COVERS = {".png", ".jpg", ".jpeg", ".gif"}
_COVER_BYTES = 500_000


def write_package(
    model: Model, path: Path, *, image: Image | None = None, about: About | None = None
) -> None:
    """Write `model` as a BioImage.IO package.

    In it are the weights (plain, TorchScript and ONNX), the scaling of intensities, test
    images, a cover, a page of documentation, and our own model file, so that it can be
    read back to the bit.

    Parameters
    ----------
    model : Model
        Network and statistics.
    path : Path
        The ``.zip``; it appears once it is whole.
    image : Image, optional
        Of what the model denoises; its middle becomes test image and cover. By default
        a simulated pattern does.
    about : About, optional
        Name, authors, descriptions, licence.

    Raises
    ------
    HushError
        If the package onnx is not installed.
    ConfigurationError, MissingFileError
        If `about` names channels or covers that cannot be used.
    DataError
        If the image does not suit the model.
    UnwritableFileError
        If the package cannot be written.
    """
    about = about or About()
    noisy, clean = sample_pair(model, image)
    covers = _covers(about.covers) or {"cover.png": cover(noisy[0], clean[0])}
    files = {
        "README.md": readme(model, about, simulated=image is None).encode(),
        **covers,
        "test_input.npy": _npy(noisy),
        "test_output.npy": _npy(clean),
        "weights_state.pt": _state(model),
        "unet.py": architecture_source().encode(),
        "weights.onnx": onnx_model(model, scaled=False).SerializeToString(),
        "configuration.yml": as_yaml(model.config).encode(),
        **_made_as_files(model),
    }
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    text = described(model, about, hashes, list(covers), clean)
    with whole_file(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr(
            DESCRIPTION, yaml.safe_dump(text, sort_keys=False, allow_unicode=True)
        )
        for name, content in files.items():
            pack.writestr(name, content)


def _covers(paths: tuple[Path, ...]) -> dict[str, bytes]:
    found = {}
    for number, path in enumerate(map(Path, paths)):
        if not path.is_file():
            raise MissingFileError(
                f"There is no cover image {str(path)!r}; check the path."
            )
        suffix = path.suffix.lower()
        if suffix not in _COVERS or path.stat().st_size > _COVER_BYTES:
            raise ConfigurationError(
                f"The cover {str(path)!r} cannot be used; give a PNG, JPEG or GIF of at "
                f"most {_COVER_BYTES // 1000} kB."
            )
        found[f"cover{number or ''}{suffix}"] = path.read_bytes()
    return found


def _npy(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, pixels)
    return buffer.getvalue()


def _state(model: Model) -> bytes:
    buffer = io.BytesIO()
    state = model.network.state_dict()
    torch.save({name: t.detach().cpu().contiguous() for name, t in state.items()}, buffer)
    return buffer.getvalue()


def _made_as_files(model: Model) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "weights.pt")
        write_torchscript(model, script, scaled=False)
        own = save_model(model, Path(folder, "model.safetensors"))
        return {path.name: path.read_bytes() for path in (script, own)}
