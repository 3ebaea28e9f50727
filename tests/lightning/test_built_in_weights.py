"""Training that begins with the weights of a built-in network."""

import json
from dataclasses import replace

import numpy as np
import pytest
import pytorch_lightning as L
import torch

from napari_hush import CAREamist
from napari_hush.cli import main
from napari_hush.config import (
    Configuration,
    create_care_configuration,
    create_n2n_configuration,
    create_n2v_configuration,
    load_configuration,
    save_configuration,
)
from napari_hush.errors import ConfigurationError
from napari_hush.events import StepsDone
from napari_hush.io import write_tiff
from napari_hush.lightning import HushModule, TrainDataModule, new_network
from napari_hush.models import UNet, built_in_networks, load_model
from napari_hush.models.built_in import first_network

Y, X = np.mgrid[:64, :64]
CLEAN = 100 + 40 * np.sin(X / 9) * np.cos(Y / 7)
NOISY, AGAIN = CLEAN + np.random.default_rng(0).normal(0, 30, (2, *CLEAN.shape))
SETTINGS = {
    "experiment_name": "quick",
    "data_type": "array",
    "axes": "YX",
    "patch_size": [16, 16],
    "batch_size": 2,
    "num_epochs": 2,
    "num_steps": 2,
    "trainer_params": {"device": "cpu", "precision": "32"},
}
DENOISER = built_in_networks()["denoiser-2d"]
FAST = {"lr_scheduler_params": {"warmup_steps": 0}}
"""The first steps of a warm-up change some weights by less than float32 holds."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def configured(make=create_n2n_configuration, weights="built-in", **settings):
    return make(**SETTINGS | settings, weights=weights)


def trained(config, **more):
    careamist = CAREamist(config, enable_progress_bar=False)
    careamist.train(train_source=NOISY, train_target=AGAIN, **more)
    return careamist


@pytest.mark.parametrize("make", [create_n2n_configuration, create_care_configuration])
@pytest.mark.parametrize(("axes", "channels"), [("YX", None), ("CYX", 3)])
def test_the_first_weights_are_those_of_the_built_in_network(make, axes, channels):
    config = configured(make, axes=axes, n_channels_in=channels)
    for name, weights in new_network(config).state_dict().items():
        torch.testing.assert_close(weights, DENOISER.weights()[name], rtol=0, atol=0)


def test_they_are_better_than_random_ones_after_few_steps():
    errors = {
        weights: np.std(trained(configured(weights=weights)).predict(NOISY) - CLEAN)
        for weights in ("built-in", "random")
    }
    assert errors["built-in"] < 0.5 * np.std(NOISY - CLEAN) < errors["random"]


def test_batch_normalization_keeps_the_statistics_of_pretraining():
    model = trained(configured(**FAST)).trained
    known = DENOISER.weights()
    for name, weights in model.network.state_dict().items():
        assert torch.equal(weights, known[name]) == name.endswith(STATISTICS)


@pytest.mark.skipif("n2v-2d" not in built_in_networks(), reason="no such network")
def test_n2v_begins_with_a_blind_network_and_adapts_its_statistics():
    config = configured(create_n2v_configuration, **FAST)
    known = built_in_networks()["n2v-2d"].weights()
    for name, weights in new_network(config).state_dict().items():
        torch.testing.assert_close(weights, known[name], rtol=0, atol=0)
    careamist = CAREamist(config, enable_progress_bar=False)
    careamist.train(train_source=NOISY)
    found = careamist.trained.network.state_dict()
    assert not any(torch.equal(found[name], known[name]) for name in known)
    assert careamist.trained.provenance.built_in == "n2v-2d"
    assert np.std(careamist.predict(NOISY) - CLEAN) < 0.5 * np.std(NOISY - CLEAN)


def test_the_model_tells_of_them(tmp_path, capsys):
    careamist = trained(configured())
    path = str(careamist.save(tmp_path / "m.safetensors"))
    provenance = load_model(path).provenance
    assert (provenance.built_in, provenance.built_in_sha256) == (
        "denoiser-2d",
        DENOISER.sha256,
    )
    assert main(["info", path, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["built_in_sha256"] == DENOISER.sha256
    assert answer["configuration"]["algorithm_config"]["weights"] == "built-in"
    careamist.train(train_source=NOISY, train_target=AGAIN)
    assert careamist.trained.provenance.built_in == "denoiser-2d"
    assert trained(configured(weights="random")).trained.provenance.built_in == ""


def test_a_resumed_run_ends_with_the_same_bits(tmp_path):
    class Crash(Exception):
        pass

    def crash(event):
        if isinstance(event, StepsDone) and event.epoch == 1:
            raise Crash

    config = configured()
    config = config.replace(
        training_config=config.training_config.replace(checkpoint_every=0)
    )
    expected = trained(config).trained
    broken = CAREamist(config, on_progress=crash)
    with pytest.raises(Crash):
        broken.train(train_source=NOISY, train_target=AGAIN, checkpoint_dir=tmp_path)
    found = trained(config, resume=tmp_path).trained
    assert found.sha256 == expected.sha256
    assert found.provenance.built_in == "denoiser-2d"


@pytest.mark.filterwarnings(
    "ignore::lightning_fabric.utilities.warnings.PossibleUserWarning",
    "ignore:.*LeafSpec.*is deprecated",
    "ignore:You called `self.log",
)
def test_in_a_trainer_of_the_user():
    module = HushModule(configured(**FAST))
    data = TrainDataModule(module.config.data_config, NOISY, train_data_target=AGAIN)
    trainer = L.Trainer(
        max_steps=2, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, data)
    model = module.model()
    assert model.provenance.built_in == "denoiser-2d"
    for name, weights in model.network.state_dict().items():
        assert torch.equal(weights, DENOISER.weights()[name]) == name.endswith(STATISTICS)


def test_the_warm_up_follows_unless_it_is_given():
    def first_factor(**settings):
        module = HushModule(configured(create_n2v_configuration, **settings))
        return module.warmup_factor

    assert first_factor() == first_factor(weights="auto") == 1 / 20
    assert first_factor(weights="random") == 1
    assert first_factor(weights="auto", model_params={"depth": 1}) == 1
    for steps in (0, 5):
        for weights in ("auto", "random", "built-in"):
            given = {"warmup_steps": steps}
            factor = first_factor(weights=weights, lr_scheduler_params=given)
            assert factor == 1 / max(1, steps)


def test_a_network_of_ones_own_is_trained_as_from_random_weights():
    """Whatever the configuration says: batch normalization adapts, and there is no ramp."""
    config = configured(weights="auto")
    module = HushModule(config, UNet(config.algorithm_config.model))
    module.train()
    assert module.warmup_factor == 1
    assert all(layer.training for layer in module.network.modules())
    module = HushModule(config)
    module.train()
    assert not all(layer.training for layer in module.network.modules())


def test_models_of_files_without_such_a_setting_go_on_as_they_began(tmp_path):
    config = configured(weights="random")
    path = trained(config).save(tmp_path / "m.safetensors")
    model = load_model(path)
    tree = model.config.model_dump()
    del tree["algorithm_config"]["weights"]
    old = replace(model, config=Configuration.build(tree))
    assert old.config.built_in_weights == "denoiser-2d"  # of a new training
    found = []
    for start in (model, old):
        careamist = CAREamist(start, enable_progress_bar=False)
        careamist.train(train_source=NOISY, train_target=AGAIN)
        found.append(careamist.trained.network.state_dict())
    for name, weights in found[0].items():
        assert torch.equal(weights, found[1][name]), name


@pytest.mark.parametrize("normalization", ["none", "quantile", "min_max"])
def test_they_are_for_images_of_mean_0_and_standard_deviation_1(normalization):
    config = configured(weights="auto", normalization=normalization)
    assert config.built_in_weights is None
    assert configured(normalization=normalization).built_in_weights == "denoiser-2d"


@pytest.mark.parametrize(
    "settings",
    [
        {"model_params": {"depth": 3}},
        {"model_params": {"num_channels_init": 16}},
        {"model_params": {"residual": True}},
        {"axes": "CYX", "n_channels_in": 2, "independent_channels": False},
        {"axes": "CYX", "n_channels_in": 2, "n_channels_out": 1},
    ],
)
def test_other_networks_have_no_built_in_weights(settings):
    with pytest.raises(ConfigurationError, match="set weights to random"):
        configured(**settings)
    config = configured(weights="auto", **settings)
    network, provenance = first_network(config)
    assert provenance.built_in == ""
    algorithm = config.algorithm_config.replace(weights="random")
    random = new_network(config.replace(algorithm_config=algorithm))
    for name, weights in random.state_dict().items():
        assert torch.equal(weights, network.state_dict()[name])
    with pytest.raises(ConfigurationError):
        config.algorithm_config.replace(weights="built-in")


@pytest.mark.parametrize("make", [create_n2v_configuration, create_n2n_configuration])
def test_by_default_training_begins_with_them(make):
    assert Configuration().algorithm_config.weights == "auto"
    chosen, given = make(**SETTINGS), configured(make)
    assert chosen.algorithm_config.weights == "auto"
    assert chosen.built_in_weights == given.built_in_weights is not None
    one, other = (first_network(config)[0].state_dict() for config in (chosen, given))
    assert all(torch.equal(weights, other[name]) for name, weights in one.items())
    assert make(**SETTINGS, weights="random").built_in_weights is None


@pytest.mark.parametrize("method", ["n2v", "n2v2", "n2n", "care"])
@pytest.mark.parametrize("axes", ["YX", "ZYX"])
def test_each_method_has_weights_of_its_kind(method, axes):
    settings = {"axes": axes, "patch_size": [16, 32, 32][-len(axes) :]}
    make = {"n2n": create_n2n_configuration, "care": create_care_configuration}.get(method)
    if make is None:
        make, settings["use_n2v2"] = create_n2v_configuration, method == "n2v2"
    kind = method if make is create_n2v_configuration else "denoiser"
    config = configured(make, **settings)
    assert config.built_in_weights == f"{kind}-2d"
    network, provenance = first_network(config)
    assert provenance.built_in == f"{kind}-2d"
    planes = UNet(built_in_networks()[f"{kind}-2d"].config)
    planes.load_state_dict(built_in_networks()[f"{kind}-2d"].weights())
    noisy = torch.randn(1, 1, 32, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = planes.eval()(noisy)
        if axes == "YX":
            assert torch.equal(network.eval()(noisy), wanted)
            return
        found = network.eval()(noisy[:, :, None].expand(-1, -1, 8, -1, -1))
    for plane in found.unbind(2):
        torch.testing.assert_close(plane, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("axes", ["TYX", "TZYX"])
def test_frames_around_do_not_count_at_first(axes):
    size = {"patch_size": [16, 32, 32][1 - len(axes) :]}
    config = configured(create_n2v_configuration, axes=axes, time_context=1, **size)
    network, provenance = first_network(config)
    assert provenance.built_in == "n2v-2d"
    planes = [8, 32, 48][1 - len(axes) :]
    frames = torch.randn(1, 3, *planes, generator=torch.Generator().manual_seed(0))
    other = frames.clone()
    other[:, ::2] += 1
    with torch.no_grad():
        first, second = (network.eval()(one) for one in (frames, other))
    assert torch.equal(first, second)
    assert not torch.equal(first, frames[:, 1:2])


def test_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, image in {"a": NOISY, "b": AGAIN}.items():
        write_tiff(f"{name}.tif", image.astype("float32"), "YX")
    command = ["train", "a.tif", "--algorithm", "n2n", "--target", "b.tif"]
    quick = [
        "--epochs",
        "1",
        "--steps",
        "1",
        "--patch-size",
        "16",
        "16",
        "--batch-size",
        "2",
    ]
    command += ["-o", "m.safetensors", *quick]
    assert main([*command, "--weights", "built-in"]) == 0
    model = load_model("m.safetensors")
    assert model.provenance.built_in == "denoiser-2d"
    assert main([*command, "--overwrite", "--weights", "random"]) == 0
    assert load_model("m.safetensors").provenance.built_in == ""
    assert main([*command, "--overwrite", "--weights", "built-in", "--depth", "1"]) == 2
    assert "random" in capsys.readouterr().err


def test_files_of_configurations(tmp_path):
    config = configured()
    assert load_configuration(save_configuration(config, tmp_path / "c.yml")) == config
    assert "weights" not in Configuration().stable_json()
    assert "weights" not in configured(weights="random").stable_json()  # as before
    assert "weights" in config.stable_json()


@pytest.mark.parametrize(("axis", "leaves"), [("none", False), ("horizontal", True)])
def test_averaged_weights_leave_the_first_ones_at_once_only_where_those_are_no_good(
    axis, leaves
):
    first = built_in_networks()["n2v-2d"].weights()

    def distance(decay):
        config = configured(
            create_n2v_configuration,
            struct_n2v_axis=axis,
            trainer_params={**SETTINGS["trainer_params"], "ema_decay": decay},
            **FAST,
        )
        careamist = CAREamist(config, enable_progress_bar=False)
        careamist.train(train_source=NOISY)
        last = careamist.trained.network.state_dict()
        moved = [(last[name] - first[name]).norm() for name in first if "weight" in name]
        return float(torch.stack(moved).norm())

    averaged, of_last_step = distance(0.99), distance(0)
    assert (averaged > 0.3 * of_last_step) == leaves
