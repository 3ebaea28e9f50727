"""Files that d419436 wrote: configurations, models, unfinished predictions and trainings.

Each is opened and used.
"""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import safetensors
import tifffile
from pinned_cases import (
    CASES,
    CLOSE,
    DATA,
    MOVIE_TIME,
    RESULTS,
    TRAINED,
    entry_point,
    images,
    missing_from,
    predictions,
    recorded,
    sha256,
    source_key,
    to_denoise,
    weights_sha256,
)

CONFIGURATIONS = recorded("configurations")["files"]
BITS = recorded("bits")["cases"]


def check(exact, careamist, known, expected, case):
    """Models have the recorded bits, or at least denoise nearly alike."""
    plain = careamist.predict(to_denoise(case), data_type="array")
    np.testing.assert_allclose(plain, expected, **TRAINED)
    if exact:
        assert sha256(plain) == known["plain"]
        assert weights_sha256(careamist) == known["weights"]


# ---- Configurations


FORMER_KEYS = pytest.mark.filterwarnings("ignore:The setting:DeprecationWarning")


@FORMER_KEYS
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_says_the_same(name):
    from napari_hush.config import load_configuration

    found = load_configuration(DATA / "configurations" / name)
    assert missing_from(found.model_dump(mode="json"), CONFIGURATIONS[name]) == {}


@FORMER_KEYS
def test_a_configuration_of_many_settings_trains_the_same_model(exact, tmp_path):
    from napari_hush import CAREamist
    from napari_hush.io import write_tiff

    source = write_tiff(tmp_path / "noisy.tif", images()["noisy"], "YX")
    settings, model = DATA / "configurations/many.yml", tmp_path / "many.safetensors"
    line = ["train", str(settings), str(source), "-o", str(model), "--quiet"]
    # The file names settings as version 0.1 did.
    with pytest.warns(DeprecationWarning, match="checkpoint_every"):
        assert entry_point()(line) == 0
    with np.load(DATA / "models/many.npz") as known:
        check(exact, CAREamist(model), BITS["many"], known["plain"], "n2v")


# ---- Models


@pytest.mark.parametrize("case", CASES)
def test_a_model_file_denoises_as_it_did(case, exact):
    from napari_hush import CAREamist

    careamist = CAREamist(DATA / "models" / f"{case}.safetensors")
    assert weights_sha256(careamist) == BITS[case]["weights"]
    assert careamist.model.steps == 6
    found = predictions(careamist, case)
    with np.load(DATA / "models" / f"{case}.npz") as known:
        for name, array in found.items():
            expected = known["plain" if name == "tiled" else name]
            np.testing.assert_allclose(array, expected, err_msg=name, **CLOSE)
    if exact:
        assert {name: sha256(array) for name, array in found.items()} == {
            name: BITS[case][name] for name in found
        }


# ---- Unfinished predictions


@pytest.fixture
def unfinished(tmp_path):
    """A copy of what was left of the predictions.

    The journal names the denoised file by a hash of its path and time, among others; both
    are others here, so the hash is made anew in the way of d419436.
    """
    folder = shutil.copytree(DATA / "unfinished", tmp_path / "unfinished").resolve()
    source, movie = folder / "movie.tif", images()["movie"]
    os.utime(source, ns=(MOVIE_TIME, MOVIE_TIME))
    key = source_key(source, movie.shape, movie.dtype, "TYX")
    for name in RESULTS.values():
        journal = folder / f".{name}.tiles"
        head, _, table = journal.read_bytes().partition(b"\n")
        words = json.loads(head)
        words["job"]["source"] = key
        journal.write_bytes(json.dumps(words).encode() + b"\n" + table)
    return folder


def pixels_of(path):
    if path.is_dir():
        zarr = pytest.importorskip("zarr")
        return np.asarray(zarr.open_array(path / "0", mode="r"))
    return tifffile.imread(path)


@pytest.mark.parametrize(("kind", "done", "count"), [("tiff", 5, 12), ("zarr", 4, 12)])
def test_an_unfinished_prediction_is_finished(kind, done, count, unfinished, exact):
    from napari_hush import CAREamist
    from napari_hush.events import TilesDone

    if kind == "zarr":
        pytest.importorskip("zarr")
    heard = []
    careamist = CAREamist(DATA / "models/n2v.safetensors", on_progress=heard.append)
    target = unfinished / RESULTS[kind]
    settings = {"axes": "TYX", "tile_size": [16, 16]}
    there = careamist.predict_to_disk(
        unfinished / "movie.tif", prediction_dir=target, **settings
    )
    assert there == [target]
    tiles = [event for event in heard if isinstance(event, TilesDone)]
    assert [(tiles[0].done, tiles[0].regions), tiles[-1].done] == [(done, ()), count]
    fresh = careamist.predict(images()["movie"], **settings)
    np.testing.assert_allclose(pixels_of(target), fresh, **CLOSE)
    if exact:
        np.testing.assert_array_equal(pixels_of(target), fresh)
    left = [path.name for path in unfinished.iterdir() if RESULTS[kind] in path.name]
    assert left == [RESULTS[kind]]


# ---- Interrupted trainings


def begun(folder):
    """When the run whose state lies in `folder` began, as its state says."""
    state = folder / "run-state.safetensors"
    with safetensors.safe_open(state, "np") as file:
        return json.loads(file.metadata()["provenance"])["date"]


@FORMER_KEYS
def test_a_training_goes_on(exact, tmp_path):
    from napari_hush import CAREamist
    from napari_hush.events import TrainingStarted

    folder = DATA / "interrupted"
    state = shutil.copytree(folder / "careamist", tmp_path / "state")
    heard = []
    careamist = CAREamist(folder / "careamist.yml", on_progress=heard.append)
    careamist.train(train_source=images()["channels"], resume=state)
    (started,) = (event for event in heard if isinstance(event, TrainingStarted))
    assert started.resumed_step in (4, 5)
    known = recorded("interrupted")["careamist"]
    assert careamist.model.steps == known["steps"]
    expected = np.load(folder / "careamist.npy")
    check(exact, careamist, recorded("retrained")["resumed"], expected, "n2v_channels")


@pytest.mark.parametrize("line", ["resume", "train --resume"])
def test_a_command_that_was_cut_off_goes_on(line, exact, tmp_path):
    from napari_hush import CAREamist
    from napari_hush.io import write_tiff

    folder = shutil.copytree(DATA / "interrupted/cut.run", tmp_path / "cut.run")
    write_tiff(tmp_path / "noisy.tif", images()["noisy"], "YX")
    # The command names its images by their absolute paths.
    command = folder / "command.json"
    words = json.loads(command.read_text())
    words["sources"]["train_source"] = [str(tmp_path / "noisy.tif")]
    command.write_text(json.dumps(words))
    date = begun(folder)
    assert entry_point()([*line.split(), str(folder), "--quiet"]) == 0
    assert not folder.exists()
    careamist = CAREamist(tmp_path / "cut.safetensors")
    assert careamist.model.provenance.date == date  # it did not begin anew
    known = recorded("interrupted")["command"]
    assert careamist.model.steps == known["steps"]
    check(exact, careamist, known, np.load(DATA / "interrupted/command.npy"), "n2v")


# ---- The dock


@pytest.fixture
def kept_by_the_dock(tmp_path, monkeypatch):
    """Copies of the folders of its settings and of interrupted trainings."""
    config, data = tmp_path / "config", tmp_path / "data"
    shutil.copytree(DATA / "dock/config", config)
    shutil.copytree(DATA / "dock/interrupted", data / "interrupted" / "cells 0a1b2c")
    model = shutil.copy(DATA / "models/n2v.safetensors", tmp_path)
    # Models are remembered by their absolute paths; the other one is not there any more.
    text = (config / "dock.json").read_text()
    text = text.replace("/somewhere/n2v.safetensors", os.fspath(model))
    (config / "dock.json").write_text(text)
    monkeypatch.setenv("HUSH_CONFIG_DIR", str(config))
    monkeypatch.setenv("HUSH_DATA_DIR", str(data))
    return tmp_path


@pytest.fixture
def dock(kept_by_the_dock, make_napari_viewer):
    import threading

    before = set(threading.enumerate())
    viewer = make_napari_viewer(show=True)
    _, dock = viewer.window.add_plugin_dock_widget("napari-hush", "Denoise")
    yield dock
    for thread in set(threading.enumerate()) - before:  # it may be loading torch
        if not isinstance(thread, threading._DummyThread):
            thread.join(30)


@pytest.mark.gui
def test_the_dock_knows_its_settings_and_goes_on_with_a_training(
    dock, kept_by_the_dock, qtbot, exact
):
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QWidget

    from napari_hush import CAREamist

    def find(name):
        return dock.findChild(QWidget, name)

    def wait(condition):
        qtbot.waitUntil(condition, timeout=60_000)

    known = json.loads((DATA / "dock/config/dock.json").read_text())
    found = dock.value().model_dump(mode="json")
    assert missing_from(found, known["configuration"]) == {}
    assert find("apart").isChecked() is known["apart"] is True
    assert find("live_preview").isChecked() is known["preview"] is False
    assert find("keep_type").isChecked() is known["keep_type"] is True
    menu = find("recent_models").menu()
    menu.aboutToShow.emit()
    models = [(action.text(), action.isEnabled()) for action in menu.actions()]
    assert models == [("n2v", True), ("older", False)]

    (run,) = (kept_by_the_dock / "data/interrupted").iterdir()
    date = begun(run)
    wait(lambda: find("interrupted").isVisible())
    assert "“cells”" in find("interrupted_words").text()
    find("apart").setChecked(False)
    qtbot.mouseClick(find("interrupted_resume"), Qt.MouseButton.LeftButton)
    wait(lambda: find("save_model").isEnabled())
    model = kept_by_the_dock / "cells.safetensors"
    dock.saveModel(model)
    wait(lambda: model.exists() and find("save_model").isEnabled())
    assert not run.exists()
    careamist = CAREamist(model)
    assert careamist.model.provenance.date == date  # it did not begin anew
    assert careamist.model.provenance.pixel_size.scale == {"Y": 0.5, "X": 0.25}
    known = recorded("dock")["whole"]
    assert careamist.model.steps == known["steps"]
    check(exact, careamist, known, np.load(DATA / "dock/whole.npy"), "n2v")
