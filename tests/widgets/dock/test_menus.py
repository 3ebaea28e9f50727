"""The docks, opened from napari's own menus, twice and in every order."""

from __future__ import annotations

import pytest

NAME = "napari-hush"


def entries(menu) -> dict:
    """Actions of a menu and the menus in it, by their words."""
    menu.aboutToShow.emit()  # napari sets check marks and enables entries then
    found = {}
    for action in menu.actions():
        found |= entries(action.menu()) if action.menu() else {action.text(): action}
    return found


def submenu(menu, title):
    menu.aboutToShow.emit()
    (action,) = [a for a in menu.actions() if a.menu() and a.text() == title]
    return action.menu()


@pytest.fixture
def choose(viewer, qtbot):
    """Choose an entry of the menus, as a click does."""

    def trigger(menu, words):
        entries(getattr(viewer.window, menu))[words].trigger()
        qtbot.wait(50)

    return trigger


@pytest.fixture
def docks(viewer):
    """The docks that a person sees, by objectName."""

    def seen() -> list[str]:
        widgets = viewer.window.dock_widgets.values()
        return sorted(w.objectName() for w in widgets if w.isVisible())

    return seen


PLUGIN = ("plugins_menu", "Denoise (Hush)")
FILES = ("plugins_menu", "Denoise files (Hush)")
NOW = ("layers_menu", "Denoise now (Hush)")


def test_the_menu_of_the_plugin_lists_both_docks(viewer):
    hush = submenu(viewer.window.plugins_menu, "Hush")
    # napari adds the name of a plugin that is in the Layers menu as well
    assert [a.text() for a in hush.actions()] == ["Denoise (Hush)", "Denoise files (Hush)"]


@pytest.mark.parametrize("first", ["menu", "script", "layers"])
def test_denoise_now_uses_the_dock_that_is_open(
    viewer, noisy, choose, docks, first, monkeypatch
):
    asked = []
    monkeypatch.setattr(
        "napari_hush.widgets.dock.actions._start", lambda dock, layer: asked.append(dock)
    )
    viewer.add_image(noisy, name="cells")
    if first == "script":
        viewer.window.add_plugin_dock_widget(NAME, "Denoise")
    else:
        choose(*(PLUGIN if first == "menu" else NOW))
    choose(*NOW)
    choose(*NOW)
    assert docks() == ["denoise_dock"]
    assert len(set(asked)) == 1


def test_a_dock_that_the_menu_has_hidden_is_shown_again(
    viewer, noisy, choose, docks, monkeypatch
):
    monkeypatch.setattr("napari_hush.widgets.dock.actions._start", lambda *_: None)
    viewer.add_image(noisy, name="cells")
    choose(*PLUGIN)
    choose(*PLUGIN)
    assert docks() == []
    choose(*NOW)
    assert docks() == ["denoise_dock"]


@pytest.mark.parametrize(("entry", "name"), [(PLUGIN, "Denoise"), (FILES, "Denoise files")])
def test_menu_and_script_open_one_dock_together(viewer, choose, docks, qtbot, entry, name):
    _, dock = viewer.window.add_plugin_dock_widget(NAME, name)
    choose(*entry)
    assert docks() == [dock.objectName()]
    viewer.window.remove_dock_widget(dock)
    choose(*entry)
    viewer.window.add_plugin_dock_widget(NAME, name)
    qtbot.wait(50)
    assert docks() == [dock.objectName()]


def test_both_docks_open_and_close_three_times(viewer, choose, docks, qtbot):
    for _ in range(3):
        choose(*PLUGIN)
        choose(*FILES)
        assert docks() == ["denoise_dock", "files_dock"]
        for widget in list(viewer.window.dock_widgets.values()):
            widget.parent().destroyOnClose()
        qtbot.wait(50)
        assert docks() == []


def test_another_window_has_a_dock_of_its_own(
    viewer, make_napari_viewer, choose, docks, qtbot
):
    choose(*PLUGIN)
    other = make_napari_viewer(show=True)
    _, dock = other.window.add_plugin_dock_widget(NAME, "Denoise")
    assert docks() == ["denoise_dock"]
    qtbot.waitUntil(dock.isVisible)
    assert len(other.window.dock_widgets) == 1


def test_the_docks_are_tabs_and_the_new_one_is_in_front(viewer, choose, qtbot):
    for entry in (PLUGIN, FILES):
        choose(*entry)
        qtbot.wait(100)
    first, second = viewer.window.dock_widgets.values()
    heights = [widget.visibleRegion().boundingRect().height() for widget in (first, second)]
    assert heights[0] == 0
    assert heights[1] == second.height() > 400
