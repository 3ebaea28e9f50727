"""Choices that are there in the next session."""

from __future__ import annotations

import pytest

from napari_hush.widgets.settings import sticky_checkboxes
from napari_hush.widgets.settings.sticky_checkboxes import (
    PREFERENCES,
    load_preference,
    save_preference,
)


@pytest.fixture(params=["ours", "napari"])
def keeper(request, tmp_path, monkeypatch):
    """Who keeps them."""
    if request.param == "ours":
        yield
        return
    settings = pytest.importorskip("napari.settings")
    if not hasattr(settings, "get_plugin_settings"):
        pytest.skip("this napari keeps no settings of plugins")
    monkeypatch.delenv("HUSH_CONFIG_DIR")
    file = tmp_path / "settings.yaml"
    monkeypatch.setattr(settings, "_CFG_PATH", str(file))
    monkeypatch.setattr(settings, "_SETTINGS", settings.NapariSettings(config_path=file))
    settings._clear_plugin_settings_cache()
    yield
    settings._clear_plugin_settings_cache()


@pytest.mark.parametrize("name", PREFERENCES)
def test_what_is_preferred_is_kept(keeper, name):
    assert load_preference(name) is PREFERENCES[name]
    save_preference(name, not PREFERENCES[name])
    assert load_preference(name) is not PREFERENCES[name]


@pytest.mark.parametrize("keeper", ["napari"], indirect=True)
def test_napari_is_asked_only_for_what_was_changed(keeper, monkeypatch):
    asked = []
    monkeypatch.setattr(sticky_checkboxes, "_napari_settings", lambda: asked.append(1))
    assert [load_preference(name) for name in PREFERENCES] == [*PREFERENCES.values()]
    assert not asked


def test_the_boxes_of_the_next_dock_are_as_they_were(viewer, open_dock):
    first = open_dock(viewer)
    assert first.find("live_preview").isChecked()
    for name in ("live_preview", "keep_type"):
        first.find(name).click()
    viewer.window.remove_dock_widget(first.dock)
    second = open_dock(viewer)
    assert not second.find("live_preview").isChecked()
    assert second.find("keep_type").isChecked()
    assert not second.find("apart").isChecked()
