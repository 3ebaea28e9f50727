import json
import os
import pickle

import pytest
import torch
from safetensors.torch import load, save_file

from napari_hush.config import create_n2v_configuration
from napari_hush.errors import ExistingFileError, MissingFileError, ModelFileError
from napari_hush.models import Model, UNet, load_model, save_model
from napari_hush.models.normalization import Normalization


@pytest.fixture
def model():
    config = create_n2v_configuration(
        experiment_name="m",
        data_type="array",
        axes="YX",
        patch_size=[16, 16],
        batch_size=2,
        model_params={"num_channels_init": 8},
    )
    network = UNet(config.algorithm_config.model).eval()
    return Model(config, network, Normalization((3.25,), (0.1,)), epochs=2, steps=30)


def test_round_trip_to_the_bit(model, tmp_path):
    back = load_model(save_model(model, tmp_path / "m.safetensors"))
    assert back.config == model.config
    assert back.normalization == model.normalization
    assert (back.epochs, back.steps) == (2, 30)
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, back.network.state_dict()[name])
    x = torch.randn(1, 1, 32, 32)
    assert torch.equal(back.network(x), model.network(x))


def test_nothing_is_replaced_unasked(model, tmp_path):
    path = save_model(model, tmp_path / "m.safetensors")
    with pytest.raises(ExistingFileError, match="already exists"):
        save_model(model, path)
    save_model(model, path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_only_one_kind_of_name(model, tmp_path):
    with pytest.raises(ModelFileError, match=r"'m\.pt'; end the name in \.safetensors"):
        save_model(model, tmp_path / "m.pt")


def test_missing(tmp_path):
    with pytest.raises(MissingFileError, match="no model file"):
        load_model(tmp_path / "m.safetensors")


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a model file was executed",))


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 100, b"\xff" * 8 + b"{}", pickle.dumps(Bomb())]
)
def test_what_is_no_model(tmp_path, content):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"m\.safetensors' is not a model file"):
        load_model(path)


def test_weights_of_somebody_else(tmp_path):
    save_file({"a": torch.zeros(3)}, tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError, match="not saved by napari-hush"):
        load_model(tmp_path / "m.safetensors")


def test_a_truncated_model(model, tmp_path):
    path = save_model(model, tmp_path / "m.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match="not a model file"):
        load_model(path)


@pytest.mark.parametrize(
    "change",
    [
        {"configuration": "{}"},
        {"configuration": "nonsense"},
        {"normalization": "[]"},
        {"trained": '{"epochs": 1, "hours": 2}'},
    ],
)
def test_a_header_that_does_not_fit(model, tmp_path, change):
    from safetensors import safe_open

    path = save_model(model, tmp_path / "m.safetensors")
    with safe_open(path, "pt") as file:
        header = {**file.metadata(), **change}
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(weights, path, header)
    with pytest.raises(ModelFileError, match="damaged or of another version"):
        load_model(path)


def test_a_flipped_bit_is_noticed(model, tmp_path):
    path = save_model(model, tmp_path / "m.safetensors")
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    weights = range(start + 3, len(content), len(content) // 20)
    texts = [content.index(b'\\"means') + 15, content.index(b"epochs") + 12]
    for place in (*weights, *texts):
        changed = bytearray(content)
        changed[place] ^= 0x01
        path.write_bytes(changed)
        with pytest.raises(ModelFileError):
            load_model(path)


def without_checksum(path, change=lambda weights, header: None):
    """Save a file as version 0.1 did, with a change."""
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    texts, weights = header["__metadata__"], load(content)
    del texts["sha256"]
    change(weights, texts)
    save_file(weights, path, texts)


def test_a_file_without_a_checksum(model, tmp_path):
    path = save_model(model, tmp_path / "m.safetensors")
    without_checksum(path)
    assert load_model(path).sha256 == model.sha256


SCALINGS = {
    "zero": '{"means": [0], "stds": [0], "epsilon": 0}',
    "negative": '{"means": [0], "stds": [-2]}',
    "cancelled": '{"means": [0], "stds": [-1e-6], "epsilon": 1e-6}',
    "tiny": '{"means": [0], "stds": [5e-324], "epsilon": 0}',
    "NaN": '{"means": [NaN], "stds": [1]}',
    "infinite": '{"means": [0], "stds": [1e999]}',
}


@pytest.mark.parametrize("text", SCALINGS.values(), ids=SCALINGS)
@pytest.mark.parametrize("which", ["normalization", "target_normalization"])
def test_a_scaling_that_cannot_be(model, tmp_path, which, text):
    path = save_model(model, tmp_path / "m.safetensors")
    without_checksum(path, lambda weights, header: header.update({which: text}))
    with pytest.raises(ModelFileError, match="damaged or of another version"):
        load_model(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300])
def test_weights_that_are_not_finite(model, tmp_path, value):
    path = save_model(model, tmp_path / "m.safetensors")

    def change(weights, header):
        weights["last.bias"] = weights["last.bias"].double().fill_(value)

    without_checksum(path, change)
    with pytest.raises(ModelFileError, match=r"'last\.bias' are not finite"):
        load_model(path)


def test_a_negative_variance(model, tmp_path):
    path = save_model(model, tmp_path / "m.safetensors")

    def change(weights, header):
        name = next(name for name in weights if name.endswith("running_var"))
        weights[name][0] = -0.5

    without_checksum(path, change)
    with pytest.raises(ModelFileError, match="running_var' are negative"):
        load_model(path)


def test_a_model_is_not_mapped(model, tmp_path):
    path = save_model(model, tmp_path / "m.safetensors")
    back = load_model(path)
    os.truncate(path, 0)
    assert back.sha256 == model.sha256


def test_a_model_is_saved_to_where_a_link_leads(model, tmp_path):
    (tmp_path / "disk").mkdir()
    link = tmp_path / "m.safetensors"
    link.symlink_to(tmp_path / "disk" / "real.safetensors")
    save_model(model, link)
    save_model(model, link, overwrite=True)
    assert link.is_symlink()
    assert [p.name for p in (tmp_path / "disk").iterdir()] == ["real.safetensors"]
    assert load_model(link).sha256 == model.sha256
