"""Configurations that CAREamics 0.1.0, 0.2.0 and 0.3.5 wrote become ours."""

import json
import logging
from pathlib import Path

import pytest
import yaml

from napari_hush import CAREamist
from napari_hush.cli import main
from napari_hush.config import as_yaml, load_configuration
from napari_hush.errors import ConfigurationError, MissingFileError, UnreadableFileError
from napari_hush.interop import load_careamics_configuration

FILES = Path(__file__).parent / "careamics_configurations"
ALL = sorted(path.name for path in FILES.glob("*.yml"))
VERSIONS = sorted({name[:3] for name in ALL})
METHODS = [name for name in ALL if "hdn" not in name]


@pytest.fixture
def converted(caplog):
    """Convert one of the files; gives the configuration and the warnings."""

    def convert(path):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "napari_hush.interop"):
            config = load_careamics_configuration(FILES / path)
        return config, [record.getMessage() for record in caplog.records]

    return convert


@pytest.mark.parametrize("name", METHODS)
def test_what_every_file_says(name, converted):
    config, _ = converted(name)
    data, training = config.data_config, config.training_config
    algorithm = name.split("-")[1].removesuffix(".yml")
    paired = algorithm in ("care", "n2n")
    assert config.algorithm_config.algorithm == (algorithm if paired else "n2v")
    assert config.experiment_name == "cells"
    assert (data.data_type, data.batch_size, data.num_workers) == ("tiff", 8, 0)
    assert data.patch_size[-2:] == (64, 64)
    assert training.num_epochs == 20
    if not (paired and name.startswith("0.1")):  # it has no seed there
        assert data.seed == 42
    masking = config.algorithm_config.n2v_config
    assert masking.masked_pixel_percentage == (5.0 if paired else 0.2)
    scheduler = config.algorithm_config.lr_scheduler
    if scheduler.name == "ReduceLROnPlateau":
        assert scheduler.factor == 0.1  # of torch; 0.5 is ours
    network = config.algorithm_config.model
    assert getattr(network, "variant", "napari-hush") == "napari-hush"
    assert not name.startswith("0.1") or data.max_val_patches == 256
    if not name.startswith("0.1") and algorithm != "care":
        assert (data.max_val_patches, data.val_percentage) == (8, 0.5)


@pytest.mark.parametrize("version", VERSIONS)
def test_usual_settings_need_no_note(version, converted):
    for method in ("n2v", "n2v2_3d", "structn2v"):
        assert converted(f"{version}-{method}.yml")[1] == []
    assert converted(f"{version}-n2n.yml")[1] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_n2v2_in_3d(version, converted):
    config, _ = converted(f"{version}-n2v2_3d.yml")
    network, data = config.algorithm_config.model, config.data_config
    assert (network.n2v2, network.conv_dims, network.depth) == (True, 3, 3)
    assert (network.num_channels_init, network.pool_z) == (16, None)
    assert config.algorithm_config.n2v_config.strategy == "median"
    assert (data.axes, data.patch_size) == ("ZYX", (16, 64, 64))
    assert config.training_config.num_steps == 30
    assert config.training_config.logger == "wandb"
    if version != "0.1":
        scaling = data.normalization
        assert (scaling.name, scaling.lower, scaling.upper) == ("quantile", 0.02, 0.98)


@pytest.mark.parametrize("version", VERSIONS)
def test_channels_optimizer_and_trainer(version, converted):
    config, notes = converted(f"{version}-n2v_channels.yml")
    algorithm, training = config.algorithm_config, config.training_config
    assert (algorithm.model.in_channels, algorithm.model.independent_channels) == (3, True)
    optimizer = algorithm.optimizer
    assert (optimizer.name, optimizer.learning_rate) == ("SGD", 0.01)
    assert optimizer.parameters == {"momentum": 0.9}
    assert (algorithm.lr_scheduler.step_size, algorithm.lr_scheduler.gamma) == (5, 0.5)
    assert (training.gradient_clip_norm, training.device) == (1.0, "cuda")
    about = [note.partition(":")[0] for note in notes]
    expected = ["algorithm_config.model.independent_channels"]
    expected += ["training_config.trainer_params.precision"]
    if version != "0.1":
        assert config.data_config.background.measure == "entropy"
        assert config.data_config.background.threshold == 3
        assert config.data_config.background.kept == 0.2
        expected += ["algorithm_config.monitor_metric", "data_config.in_memory"]
    assert sorted(expected) == sorted(about)


@pytest.mark.parametrize("version", VERSIONS)
def test_structn2v(version, converted):
    config, _ = converted(f"{version}-structn2v.yml")
    masking = config.algorithm_config.n2v_config
    assert (masking.struct_mask_axis, masking.struct_mask_span) == ("vertical", 7)
    assert config.data_config.transforms == ()


@pytest.mark.parametrize("left_out", ["n2v_config", "masked_pixel_percentage"])
def test_masking_that_is_left_out_is_that_of_careamics(left_out, converted, tmp_path):
    values = yaml.safe_load((FILES / "0.1-n2v.yml").read_text())
    algorithm = values["algorithm_config"]
    (algorithm if left_out in algorithm else algorithm["n2v_config"]).pop(left_out)
    (tmp_path / "c.yml").write_text(yaml.safe_dump(values))
    config, _ = converted(tmp_path / "c.yml")
    assert config.algorithm_config.n2v_config.masked_pixel_percentage == 0.2


def test_rotations_that_do_not_fit_the_struct_mask_are_named(converted, tmp_path):
    values = yaml.safe_load((FILES / "0.1-structn2v.yml").read_text())
    usual = yaml.safe_load((FILES / "0.1-n2v.yml").read_text())
    values["data_config"]["transforms"] = usual["data_config"]["transforms"]
    (tmp_path / "c.yml").write_text(yaml.safe_dump(values))
    config, (note,) = converted(tmp_path / "c.yml")
    assert [t.name for t in config.data_config.transforms] == ["XYFlip", "XYRandomRotate90"]
    assert config.data_config.transforms[1].half_turns_only
    assert "XYRandomRotate90 does not fit the struct mask" in note


@pytest.mark.parametrize("version", VERSIONS)
def test_care(version, converted):
    config, _ = converted(f"{version}-care.yml")
    network, data = config.algorithm_config.model, config.data_config
    assert network.independent_channels is False
    assert config.algorithm_config.lr_scheduler.patience == 4
    assert config.training_config.early_stopping_epochs == 6
    (flip,) = data.transforms
    assert (flip.name, flip.flip_x, flip.flip_y) == ("XYFlip", True, False)
    if version == "0.1":
        assert (network.in_channels, network.num_classes) == (3, 2)
        assert config.algorithm_config.loss == "mse"
        assert flip.p == 0.3
    else:
        assert (data.channels, network.in_channels) == ((0, 2), 2)
        # 0.3 takes all channels of the targets
        assert data.target_channels == ((0, 2) if version == "0.2" else None)
        assert data.normalization.name == "min_max"
        assert data.max_val_patches == 12


def test_methods_without_an_equivalent(converted):
    with pytest.raises(ConfigurationError, match="'hdn'"):
        converted("0.1-hdn.yml")


def test_what_is_not_known_is_named(converted, tmp_path):
    values = yaml.safe_load((FILES / "0.1-n2v.yml").read_text())
    values["data_config"]["telescope"] = "large"
    values["training_config"]["lightning_trainer_config"]["overfit_batches"] = 3
    values["training_config"]["checkpoint_callback"]["mode"] = "max"
    (tmp_path / "c.yml").write_text(yaml.safe_dump(values))
    notes = converted(tmp_path / "c.yml")[1]
    assert any(note.startswith("data_config.telescope: 'large'") for note in notes)
    assert any("trainer_params.overfit_batches: left out" in note for note in notes)
    assert len(notes) == 3


def test_statistics_of_the_training_images_are_kept(tmp_path):
    values = yaml.safe_load((FILES / "0.3-n2v_channels.yml").read_text())
    scaling = values["data_config"]["normalization"]
    scaling |= {"input_means": [1.0, 2.0, 3.0], "input_stds": [4.0]}
    (tmp_path / "c.yml").write_text(yaml.safe_dump(values))
    data = load_careamics_configuration(tmp_path / "c.yml").data_config
    assert (data.image_means, data.image_stds) == ((1, 2, 3), (4, 4, 4))
    data = load_careamics_configuration(FILES / "0.1-care.yml").data_config
    assert (data.image_means, data.target_stds) == ((1, 2, 3), (1, 2))


def test_json_and_numbers_in_it(tmp_path):
    values = yaml.safe_load((FILES / "0.1-n2v.yml").read_text())
    values["algorithm_config"]["optimizer"]["parameters"] = {"weight_decay": 1e-05}
    (tmp_path / "c.json").write_text(json.dumps(values))
    config = load_careamics_configuration(tmp_path / "c.json")
    assert config.algorithm_config.optimizer.parameters == {"weight_decay": 1e-05}


@pytest.mark.parametrize("name", METHODS)
def test_the_command_writes_what_the_function_returns(name, tmp_path, capsys):
    ours = tmp_path / "ours.yml"
    assert main(["config", "--from", str(FILES / name), "-o", str(ours), "--json"]) == 0
    printed = capsys.readouterr()
    notes = [line for line in printed.err.splitlines() if line.startswith("Warning: ")]
    answer = json.loads(printed.out)
    assert [f"Warning: {each['message']}" for each in answer["warnings"]] == notes
    config = load_careamics_configuration(FILES / name)
    assert ours.read_text(encoding="utf-8") == as_yaml(config)
    assert load_configuration(ours) == config
    assert CAREamist(ours).config == config


def test_options_change_what_was_converted(capsys):
    words = ["config", "--from", str(FILES / "0.1-n2v.yml"), "--epochs", "3", "--json"]
    assert main([*words, "--set", "ema_decay=0"]) == 0
    training = json.loads(capsys.readouterr().out)["training_config"]
    assert (training["num_epochs"], training["ema_decay"]) == (3, 0)


@pytest.mark.parametrize("name", ALL)
def test_taken_for_ours_it_is_one_short_sentence(name):
    for read in (load_configuration, CAREamist):
        with pytest.raises(ConfigurationError, match="hush config --from") as caught:
            read(FILES / name)
        assert len(str(caught.value)) < 300
        assert "is a configuration of CAREamics" in str(caught.value)


def test_files_that_are_none(tmp_path, capsys):
    with pytest.raises(MissingFileError):
        load_careamics_configuration(tmp_path / "no.yml")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(UnreadableFileError):
        load_careamics_configuration(tmp_path / "deep.json")
    (tmp_path / "ours.yml").write_text(
        as_yaml(load_careamics_configuration(FILES / ALL[2]))
    )
    with pytest.raises(ConfigurationError, match="needs no conversion"):
        load_careamics_configuration(tmp_path / "ours.yml")
    (tmp_path / "c.yml").write_text("version: 0.3.0\nalgorithm_config: 3\n")
    with pytest.raises(ConfigurationError, match="not as CAREamics writes it"):
        load_careamics_configuration(tmp_path / "c.yml")
    assert main(["config"]) == 2
    assert "Give a method (n2v" in capsys.readouterr().err
