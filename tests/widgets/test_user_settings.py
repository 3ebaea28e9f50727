"""What the dock remembers from one session to the next."""

from __future__ import annotations

from pathlib import Path

from napari_hush.widgets.user_settings import place, recall, remember, remember_model


def test_what_was_remembered_is_recalled():
    assert recall("speed") is None
    remember("speed", {"cpu": 1.5})
    remember("other", [1])
    assert recall("speed") == {"cpu": 1.5}
    assert recall("other") == [1]


def test_a_damaged_file_is_like_none(caplog):
    place().parent.mkdir(parents=True, exist_ok=True)
    place().write_text("{ not json")
    assert recall("speed") is None
    assert "cannot be read" in caplog.text
    remember("speed", 2)
    assert recall("speed") == 2


def test_a_place_that_cannot_be_written_is_logged_only(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HUSH_CONFIG_DIR", str(tmp_path / "file"))
    remember("speed", 2)
    assert "not remembered" in caplog.text


def test_the_last_models_are_listed_newest_first_and_once():
    for name in ["a", "b", "a"]:
        remember_model(Path(f"{name}.safetensors"))
    assert recall("models") == ["a.safetensors", "b.safetensors"]
