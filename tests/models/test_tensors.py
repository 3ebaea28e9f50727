"""Files that would take memory they should not are refused before it is taken."""

import json
import os
import struct
import tracemalloc

import pytest
import torch

from napari_hush.config import UNetConfig, create_n2v_configuration
from napari_hush.errors import ModelFileError, OutOfMemoryError
from napari_hush.models import Model, UNet, load_model, save_model
from napari_hush.models.normalization import Normalization
from napari_hush.models.weights import new_network, weight_shapes


@pytest.fixture
def saved(tmp_path):
    config = create_n2v_configuration(
        "m", "array", "YX", [16, 16], 2, model_params={"num_channels_init": 8}
    )
    network = UNet(config.algorithm_config.model)
    model = Model(config, network, Normalization((3.0,), (1.0,)))
    return save_model(model, tmp_path / "m.safetensors")


def rewritten(path, change):
    """Change the header of a file, the bytes of the tensors stay."""
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])


def refused(path, words):
    tracemalloc.start()
    try:
        with pytest.raises((ModelFileError, OutOfMemoryError), match=words):
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_shapes_are_known_without_a_network():
    config = UNetConfig(num_channels_init=8)
    made = UNet(config).state_dict()
    assert weight_shapes(config) == {name: tuple(t.shape) for name, t in made.items()}


@pytest.mark.parametrize("size", [2**62, 2**40, 9 * 2**20])
def test_a_header_of_unheard_of_size(tmp_path, size):
    path = tmp_path / "m.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", size) + b"{")
        file.truncate(10 * 2**20)  # a file with a hole
    refused(path, "does not begin with a header")


def test_a_tensor_that_is_larger_than_its_file(saved):
    def change(header):
        header["last.bias"]["shape"] = [2**40]

    rewritten(saved, change)
    refused(saved, "not a model file")


def test_a_file_with_a_hole_larger_than_memory(saved):
    content = saved.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    end = max(h["data_offsets"][1] for n, h in header.items() if n != "__metadata__")
    more = 2**42
    header["zzz"] = {"dtype": "U8", "shape": [more], "data_offsets": [end, end + more]}
    text = json.dumps(header).encode()
    with saved.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + content[8 + size :])
        os.truncate(file.fileno(), 8 + len(text) + end + more)
    refused(saved, r"4\.4 TB of memory")


def test_a_configuration_of_another_size_than_the_weights(saved):
    def change(header):
        config = json.loads(header["__metadata__"]["configuration"])
        config["algorithm_config"]["model"] |= {"num_channels_init": 1024, "depth": 6}
        config["data_config"]["patch_size"] = [64, 64]
        header["__metadata__"]["configuration"] = json.dumps(config)

    rewritten(saved, change)
    refused(saved, "a network of this configuration has")


@pytest.mark.parametrize(
    "changes",
    [
        {"normalization": '{"means": [1, 2], "stds": [1, 2]}'},
        {"normalization": '{"means": [NaN], "stds": [1]}'},
        {"trained": '{"epochs": "many", "steps": 1}'},
        {"trained": "[" * 100_000},
        {"configuration": "[" * 100_000},
    ],
)
def test_values_of_the_wrong_kind(saved, changes):
    rewritten(saved, lambda header: header["__metadata__"].update(changes))
    refused(saved, "damaged or of another version")


def test_a_network_that_does_not_fit(monkeypatch):
    config = UNetConfig(num_channels_init=1024, depth=6)
    with pytest.raises(OutOfMemoryError, match="use fewer of either"):
        new_network(config)
    assert isinstance(new_network(UNetConfig(num_channels_init=8)), torch.nn.Module)
