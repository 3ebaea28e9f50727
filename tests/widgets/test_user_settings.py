"""User settings are kept between sessions."""

from __future__ import annotations

from pathlib import Path

from napari_hush.widgets.user_settings import (
    add_recent_model,
    load_setting,
    save_setting,
    settings_path,
)


def test_a_saved_value_is_loaded():
    assert load_setting("speed") is None
    save_setting("speed", {"cpu": 1.5})
    save_setting("other", [1])
    assert load_setting("speed") == {"cpu": 1.5}
    assert load_setting("other") == [1]


def test_a_damaged_file_is_like_none(caplog):
    settings_path().parent.mkdir(parents=True, exist_ok=True)
    settings_path().write_text("{ not json")
    assert load_setting("speed") is None
    assert "cannot be read" in caplog.text
    save_setting("speed", 2)
    assert load_setting("speed") == 2


def test_a_folder_that_cannot_be_written_is_logged_only(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HUSH_CONFIG_DIR", str(tmp_path / "file"))
    save_setting("speed", 2)
    assert "cannot be saved" in caplog.text


def test_the_last_models_are_listed_newest_first_and_once():
    for name in ["a", "b", "a"]:
        add_recent_model(Path(f"{name}.safetensors"))
    assert load_setting("models") == ["a.safetensors", "b.safetensors"]
