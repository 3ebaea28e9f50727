"""Packing of pretrained weights into the package."""

import json

import pytest
import torch
from pretraining.packing import pack
from safetensors.torch import save_file

from napari_hush.config import UNetConfig
from napari_hush.models import built_in_networks
from napari_hush.models.weights import random_unet


@pytest.mark.parametrize("finished", [True, False])
def test_weights_are_packed_with_facts(finished, tmp_path, monkeypatch):
    config = UNetConfig(n2v2=True)
    weights = random_unet(config, 0).state_dict()
    recipe = json.dumps({"network": {"n2v2": True}, "steps": 900, "seed": 3})
    part = "" if finished else "average/"
    tensors = {f"{part}{name}": t.contiguous() for name, t in weights.items()}
    header = {"recipe": recipe} if finished else {"recipe": recipe, "step": "500"}
    file = "weights.safetensors" if finished else "state.safetensors"
    save_file(tensors, tmp_path / file, header)
    path = pack(tmp_path, "n2v2-2d", tmp_path / "packed")
    assert path.stat().st_size < 0.55 * (tmp_path / file).stat().st_size
    monkeypatch.setattr("napari_hush.models.built_in.FOLDER", tmp_path / "packed")
    (network,) = built_in_networks.__wrapped__().values()
    assert (network.name, network.kind, network.config) == ("n2v2-2d", "n2v2", config)
    assert network.steps == (900 if finished else 500)
    assert network.recipe["seed"] == 3
    for name, tensor in network.weights().items():
        torch.testing.assert_close(tensor, weights[name], rtol=1e-3, atol=1e-6)


def test_other_architectures_are_refused(tmp_path):
    weights = random_unet(UNetConfig(depth=1), 0).state_dict()
    header = {"recipe": json.dumps({"network": {"depth": 1}, "steps": 9, "seed": 0})}
    save_file(
        {name: t.contiguous() for name, t in weights.items()},
        tmp_path / "weights.safetensors",
        header,
    )
    with pytest.raises(SystemExit, match="default architecture"):
        pack(tmp_path, "denoiser-2d", tmp_path)
