"""Models of CAREamics: packages and checkpoints that look as it writes them."""

import hashlib
import io
import math
import zipfile

import numpy as np
import pytest
import torch
import yaml
from torch import nn
from torch.nn import functional

from napari_hush import CAREamist
from napari_hush.errors import ModelFileError
from napari_hush.interop import open_model


class Block(nn.Module):
    def __init__(self, inputs, middle, outputs, norm):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, middle, 3, padding=1)
        self.conv2 = nn.Conv2d(middle, outputs, 3, padding=1)
        self.norm = norm
        if norm:
            self.batch_norm1 = nn.BatchNorm2d(middle)
            self.batch_norm2 = nn.BatchNorm2d(outputs)
            for layer in (self.batch_norm1, self.batch_norm2):
                nn.init.uniform_(layer.running_mean, -0.5, 0.5)
                nn.init.uniform_(layer.running_var, 0.5, 1.5)

    def forward(self, x):
        x = self.conv1(x)
        x = functional.relu(self.batch_norm1(x) if self.norm else x)
        x = self.conv2(x)
        return functional.relu(self.batch_norm2(x) if self.norm else x)


class Theirs(nn.Module):
    """A U-Net of depth 2 with 8 filters whose layers bear the names of CAREamics."""

    def __init__(self, inputs=1, outputs=1, norm=True, residual=False):
        super().__init__()
        self.residual = residual
        self.encoder, self.decoder = nn.Module(), nn.Module()
        first, second = Block(inputs, 8, 8, norm), Block(8, 16, 16, norm)
        pool = nn.MaxPool2d(2)
        self.encoder.encoder_blocks = nn.ModuleList([first, pool, second, pool])
        self.decoder.bottleneck = Block(16, 32, 16, norm)
        up = nn.Upsample(scale_factor=2, mode="bilinear")
        blocks = [up, Block(32, 16, 8, norm), up, Block(16, 8, 8, norm)]
        self.decoder.decoder_blocks = nn.ModuleList(blocks)
        self.final_conv = nn.Conv2d(8, outputs, 1)

    def forward(self, x):
        first, pool, second, _ = self.encoder.encoder_blocks
        a = first(x)
        b = second(pool(a))
        y = self.decoder.bottleneck(pool(b))
        up, deep, _, shallow = self.decoder.decoder_blocks
        y = deep(torch.cat([up(y), b], 1))
        y = shallow(torch.cat([up(y), a], 1))
        y = self.final_conv(y)
        return x + y if self.residual else y


def settings(method="n2v", inputs=1, outputs=1, norm=True, residual=False):
    """Values that CAREamics 0.3 keeps with a model, those that matter."""
    n2v = {"name": "N2VManipulate", "roi_size": 9, "masked_pixel_percentage": 0.5}
    n2v |= {"strategy": "uniform", "struct_mask": None, "seed": 3}
    targets = {"target_means": [50.0] * outputs, "target_stds": [9.0] * outputs}
    paired = method != "n2v"
    algorithm = {
        "algorithm": method,
        "loss": "mae" if paired else "n2v",
        "model": {
            "architecture": "UNet",
            "conv_dims": 2,
            "num_classes": outputs,
            "in_channels": inputs,
            "depth": 2,
            "num_channels_init": 8,
            "residual": residual,
            "final_activation": "None",
            "n2v2": False,
            "independent_channels": inputs == outputs == 1,
            "use_batch_norm": norm,
        },
        "optimizer": {"name": "Adam", "parameters": {}},
        **({} if paired else {"n2v_config": n2v}),
    }
    data = {
        "data_type": "tiff",
        "axes": "CYX" if inputs > 1 else "YX",
        "patching": {"name": "stratified", "patch_size": [32, 32], "seed": 3},
        "normalization": {
            "name": "mean_std",
            "per_channel": True,
            "skip_target": False,
            "input_means": [100.0 + i for i in range(inputs)],
            "input_stds": [20.0 + i for i in range(inputs)],
            **(targets if paired else {"target_means": None, "target_stds": None}),
        },
        "batch_size": 4,
    }
    return {
        "version": "0.3.0",
        "experiment_name": "their cells",
        "algorithm_config": algorithm,
        "data_config": data,
        "training_config": {"trainer_params": {"max_epochs": 1}},
    }


def as_checkpoint(path, values, network):
    values = dict(values)
    state = {f"model.{name}": each for name, each in network.state_dict().items()}
    content = {
        "epoch": 7,
        "global_step": 80,
        "state_dict": state,
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 1e-3}]}],
        "hyper_parameters": {"algorithm_config": values.pop("algorithm_config")},
        "datamodule_hyper_parameters": {"data_config": values.pop("data_config")},
        "careamics_info": values,
    }
    torch.save(content, path)
    return path


def as_package(path, values, network):
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    files = {
        "careamics.yaml": yaml.safe_dump(values).encode(),
        "weights.pth": buffer.getvalue(),
    }
    entry = {
        name: {"source": name, "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
    }
    rdf = {
        "type": "model",
        "format_version": "0.5.12",
        "attachments": [entry["careamics.yaml"]],
        "weights": {"pytorch_state_dict": entry["weights.pth"]},
    }
    with zipfile.ZipFile(path, "w") as pack:
        pack.writestr("rdf.yaml", yaml.safe_dump(rdf))
        for name, content in files.items():
            pack.writestr(name, content)
    return path


KINDS = {
    "n2v": {},
    "n2v, 2 channels": {"inputs": 2, "outputs": 2},
    "n2v, no batch norm": {"norm": False},
    "n2v, residual": {"residual": True},
    "n2n": {"method": "n2n"},
    "care, 3 channels to 2": {"method": "care", "inputs": 3, "outputs": 2},
}


def trained(kind):
    torch.manual_seed(5)
    special = KINDS[kind]
    shape = {name: value for name, value in special.items() if name != "method"}
    return settings(**special), Theirs(**shape).eval()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("written", [as_checkpoint, as_package])
def test_the_same_picture(kind, written, tmp_path, psnr):
    values, network = trained(kind)
    suffix = "ckpt" if written is as_checkpoint else "zip"
    model = open_model(written(tmp_path / f"m.{suffix}", values, network))
    x = torch.randn(2, network.encoder.encoder_blocks[0].conv1.in_channels, 24, 36)
    with torch.inference_mode():
        assert psnr(model.network(x).numpy(), network(x).numpy()) > 100
    scaling = values["data_config"]["normalization"]
    assert list(model.normalization.means) == scaling["input_means"]
    assert list(model.normalization.stds) == scaling["input_stds"]
    if scaling["target_means"]:
        assert list(model.target_normalization.means) == scaling["target_means"]
    else:
        assert model.target_normalization is None
    config = model.config
    assert config.experiment_name == "their cells"
    assert config.algorithm_config.algorithm == values["algorithm_config"]["algorithm"]
    assert config.data_config.data_type == "tiff"
    assert config.data_config.patch_size == (32, 32)
    assert config.data_config.batch_size == 4
    if written is as_checkpoint:
        assert (model.epochs, model.steps) == (7, 80)


def test_it_denoises_trains_on_and_is_saved_as_ours(tmp_path, noisy):
    values, network = trained("n2v")
    values["data_config"]["data_type"] = "array"
    careamist = CAREamist(as_checkpoint(tmp_path / "m.ckpt", values, network))
    clean = careamist.predict(noisy)
    assert clean.shape == noisy.shape
    again = CAREamist(careamist.save(tmp_path / "m.safetensors"))
    assert np.array_equal(again.predict(noisy), clean)
    steps = careamist.config.training_config.replace(num_epochs=1, num_steps=1)
    careamist.config = careamist.config.replace(training_config=steps)
    careamist.train(train_source=noisy)
    assert careamist.model.steps == 81
    assert careamist.model.normalization.means == (100.0,)


def test_struct_n2v(tmp_path):
    values, network = trained("n2v")
    masking = values["algorithm_config"]["n2v_config"]
    masking["struct_mask"] = {"axis": "vertical", "span": 7}
    model = open_model(as_package(tmp_path / "m.zip", values, network))
    ours = model.config.algorithm_config.n2v_config
    assert (ours.struct_mask_axis, ours.struct_mask_span) == ("vertical", 7)
    assert (ours.roi_size, ours.masked_pixel_percentage) == (9, 0.5)


@pytest.mark.parametrize(
    ("scaling", "means", "stds"),
    [
        ({"name": "none"}, (0.0,), (1.0,)),
        ({"name": "min_max", "input_mins": [3.0], "input_maxes": [10.0]}, (3.0,), (7.0,)),
        (
            {
                "name": "quantile",
                "input_lower_quantile_values": [1.0],
                "input_upper_quantile_values": [5.0],
            },
            (1.0,),
            (4.0,),
        ),
    ],
)
def test_other_scalings(tmp_path, scaling, means, stds):
    values, network = trained("n2v")
    values["data_config"]["normalization"] = scaling
    model = open_model(as_package(tmp_path / "m.zip", values, network))
    assert model.normalization.means == means
    assert np.allclose(model.normalization.scales, stds, rtol=1e-5)


def test_version_0_1(tmp_path):
    # patch size and statistics were elsewhere
    values, network = trained("n2v")
    data = values["data_config"]
    del data["normalization"], data["patching"]
    data |= {"patch_size": [16, 16], "image_means": [5.0], "image_stds": [2.0]}
    model = open_model(as_package(tmp_path / "m.zip", values, network))
    assert model.normalization.means == (5.0,)
    assert model.config.data_config.patch_size == (16, 16)


def changed(path, value):
    def change(values):
        *where, name = path.split(".")
        for step in where:
            values = values[step]
        values[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("algorithm_config.algorithm", "hdn"), "trained with 'hdn'"),
        (changed("algorithm_config.model.architecture", "LVAE"), "a network 'LVAE'"),
        (changed("algorithm_config.model.final_activation", "Sigmoid"), "'Sigmoid'"),
        (changed("algorithm_config.model.depth", 3), "but a network of this"),
        (changed("algorithm_config.model.depth", 10), "depth"),
        (changed("algorithm_config.model.in_channels", 2), "channels are independent"),
        (changed("data_config.axes", "QX"), "Q"),
        (
            changed("data_config.normalization", {"name": "mean_std"}),
            "normalization of intensities",
        ),
        (
            changed("data_config.normalization.input_means", ["x"]),
            "is not a readable model",
        ),
        (changed("data_config.normalization.input_means", [1.0, 2.0]), "for 1 channels"),
        (changed("data_config", None), "is not a readable model"),
        (changed("algorithm_config.model", []), "is not a readable model"),
    ],
)
def test_what_is_no_network_here(tmp_path, change, message):
    values, network = trained("n2v")
    change(values)
    with pytest.raises(ModelFileError, match=message):
        open_model(as_package(tmp_path / "m.zip", values, network))


def test_independent_channels_with_weights_of_their_own(tmp_path):
    values, network = trained("n2v, 2 channels")
    values["algorithm_config"]["model"]["independent_channels"] = True
    with pytest.raises(ModelFileError, match="independent_channels=False"):
        open_model(as_package(tmp_path / "m.zip", values, network))


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("a checkpoint was executed",))


@pytest.mark.parametrize("content", [{"state_dict": Evil()}, {"a": 1}, [1], math.pi])
def test_checkpoints_of_others(tmp_path, content):
    torch.save(content, tmp_path / "m.ckpt")
    with pytest.raises(ModelFileError, match="is not a readable model"):
        open_model(tmp_path / "m.ckpt")


def test_a_checkpoint_that_unpacks_without_end(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.ckpt", "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("m/data/0", b"\0" * 1000)
    content = bytearray((tmp_path / "m.ckpt").read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = (2**32 - 2).to_bytes(4, "little")
    (tmp_path / "m.ckpt").write_bytes(content)
    with pytest.raises(ModelFileError, match="unpack to"):
        open_model(tmp_path / "m.ckpt")


@pytest.mark.parametrize("count", [-1, 2.5, "7"])
def test_counts_that_are_none(tmp_path, count):
    values, network = trained("n2v")
    path = as_checkpoint(tmp_path / "m.ckpt", values, network)
    content = torch.load(path, weights_only=True)
    torch.save({**content, "epoch": count}, path)
    with pytest.raises(ModelFileError, match="its epoch is"):
        open_model(path)


def test_weights_that_are_none(tmp_path):
    values, network = trained("n2v")
    path = as_checkpoint(tmp_path / "m.ckpt", values, network)
    content = torch.load(path, weights_only=True)
    torch.save({**content, "state_dict": {"model.final_conv.weight": 3}}, path)
    with pytest.raises(ModelFileError, match="not named tensors"):
        open_model(path)
