import json
import re
from pathlib import Path

import pytest
from pydantic import Field

from napari_hush.config import (
    Configuration,
    TrainingConfig,
    as_yaml,
    create_n2v_configuration,
    load_configuration,
    save_configuration,
    set_field,
)
from napari_hush.config.base import NEW
from napari_hush.errors import ConfigurationError, MissingFileError, UnreadableFileError


def test_round_trip(tmp_path):
    config = create_n2v_configuration(
        experiment_name="a b",
        data_type="tiff",
        axes="CZYX",
        patch_size=[8, 32, 32],
        batch_size=2,
        n_channels=2,
        lr_scheduler="ReduceLROnPlateau",
        augmentations=[],
    )
    path = save_configuration(config, tmp_path)
    assert path == tmp_path / "config.yml"
    assert load_configuration(path) == config
    assert load_configuration(save_configuration(config, tmp_path / "c.yaml")) == config


OLD = "The setting 'save_state_every' is now 'checkpoint_every'"


def test_a_former_key_in_a_file(tmp_path):
    (tmp_path / "c.yml").write_text("training_config:\n  save_state_every: 5\n")
    with pytest.warns(DeprecationWarning, match=OLD):
        config = load_configuration(tmp_path / "c.yml")
    assert config.training_config.checkpoint_every == 5
    assert "save_state_every" not in as_yaml(config)


def test_comments_list_the_values_as_yaml_writes_them():
    text = as_yaml(Configuration())
    comments = [line for line in text.splitlines() if line.lstrip().startswith("#")]
    assert not any(re.search(r"\b(None|True|False)\b", line) for line in comments)
    possible = {
        "struct_mask_axis": "values: none, horizontal, vertical, z, cross, square",
        "precision": "values: auto, '32', bf16",  # 32 without quotes is a number
        "lr_scheduler": "names: CosineAnnealingLR, ReduceLROnPlateau, StepLR",
        "transforms": "names: XYFlip, XYRandomRotate90",
    }
    for name, words in possible.items():
        assert re.search(rf"# Possible {words}\.\n *{name}:", text)
    assert "# Possible values: n2v" not in text  # the help text names them


def test_a_former_key_in_python():
    with pytest.warns(DeprecationWarning, match=OLD):
        training = TrainingConfig(save_state_every=5)
    with pytest.warns(DeprecationWarning, match=OLD):
        assert training.replace(save_state_every=6).checkpoint_every == 6
    with pytest.warns(DeprecationWarning, match=OLD):
        assert training.save_state_every == 5
    with pytest.raises(AttributeError, match="no_such_key"):
        _ = training.no_such_key
    values = Configuration().model_dump()
    with pytest.warns(DeprecationWarning, match=r"'training_config\.checkpoint_every'"):
        path = set_field(Configuration, values, "save_state_every", 7)
    assert path == "training_config.checkpoint_every"
    assert values["training_config"]["checkpoint_every"] == 7


def test_a_former_key_that_hush_wrote_is_read_without_a_warning():
    values = {"training_config": {"save_state_every": 5}}
    read = Configuration.build(values, written_by_hush=True)
    assert read.training_config.checkpoint_every == 5
    assert Configuration.model_validate_json(json.dumps(values)) == read


def test_a_key_and_its_former_name_are_one_too_many():
    values = {"training_config": {"save_state_every": 5, "checkpoint_every": 5}}
    with pytest.raises(ConfigurationError, match="former name of checkpoint_every"):
        Configuration.build(values)


def test_only_yaml_names(tmp_path):
    with pytest.raises(ConfigurationError, match=r"'c\.json'; end the name in \.yml"):
        save_configuration(Configuration(), tmp_path / "c.json")


def test_missing(tmp_path):
    with pytest.raises(MissingFileError, match="no configuration file"):
        load_configuration(tmp_path / "no.yml")


@pytest.mark.parametrize(
    "text",
    ["a: [", "just words", "!!python/object/apply:os.system ['touch pwned']", "- 1"],
)
def test_what_is_no_configuration(tmp_path, text, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "c.yml"
    path.write_text(text)
    with pytest.raises(UnreadableFileError, match="save_configuration wrote"):
        load_configuration(path)
    assert not (tmp_path / "pwned").exists()


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "c.yml"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UnreadableFileError):
        load_configuration(path)


def test_an_unknown_key_is_named_with_its_file(tmp_path):
    path = tmp_path / "c.yml"
    path.write_text("data_config:\n  patch_sise: [64, 64]\n")
    with pytest.raises(ConfigurationError, match=r"c\.yml.*patch_sise"):
        load_configuration(path)


def test_a_few_lines_that_would_be_gigabytes(tmp_path):
    path = tmp_path / "c.yml"
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    path.write_text("\n".join(lines))
    with pytest.raises(UnreadableFileError, match="plain values"):
        load_configuration(path)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{a: " * 5_000, "a: 1\n" * 100_000, "a: " + "9" * 200_000]
)
def test_what_is_too_deep_or_too_large(tmp_path, text):
    path = tmp_path / "c.yml"
    path.write_text(text)
    with pytest.raises(UnreadableFileError, match="plain values"):
        load_configuration(path)


def test_hashes_do_not_depend_on_names_and_new_settings():
    recorded = Path(__file__).parents[1] / "pinned/data/configurations.json"
    before = json.loads(recorded.read_text(encoding="utf-8"))["files"]["saved-n2v.yml"]
    config = Configuration.build(before, written_by_hush=True)
    assert json.loads(config.stable_json()) == before, (
        "a field that 0.1 does not have needs json_schema_extra=NEW"
    )


def test_a_new_setting_is_hashed_unless_it_has_its_default():
    class Newer(TrainingConfig):
        warmup: int = Field(0, json_schema_extra=NEW)

    assert Newer().stable_json() == TrainingConfig().stable_json()
    assert '"warmup":3' in Newer(warmup=3).stable_json()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("1" * 5000, "not an integer of 64 bits"),
        ("0x" + "f" * 5000, "not an integer of 64 bits"),
        ("-0b" + "1" * 64, "not an integer of 64 bits"),
        ("1" + ":59" * 40, "not an integer of 64 bits"),
        ("!!timestamp 5", "not YAML of plain values"),
        ("!!int x", "not an integer of 64 bits"),
        ("2\n  batch_size: 3", "'batch_size' twice"),
        ("{a: 1, 'a': 2}", "'a' twice"),
    ],
)
def test_values_that_are_none_are_said(tmp_path, value, words):
    path = tmp_path / "c.yml"
    path.write_text(f"data_config:\n  batch_size: {value}\n")
    with pytest.raises(UnreadableFileError, match=words):
        load_configuration(path)
