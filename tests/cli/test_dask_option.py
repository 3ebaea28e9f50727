"""``hush predict --dask``: a running scheduler, or workers of its own."""

import numpy as np
import pytest
import torch
import zarr

from napari_hush import CAREamist
from napari_hush.cli.main import main
from napari_hush.config import create_n2v_configuration
from napari_hush.io import write_tiff
from napari_hush.models import Model, UNet
from napari_hush.models.normalization import Normalization

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
from napari_hush.prediction import on_dask

pytestmark = pytest.mark.process


@pytest.fixture
def given(tmp_path):
    """A model and an image."""
    config = create_n2v_configuration(
        "tiny",
        "tiff",
        "YX",
        [16, 16],
        4,
        model_params={"num_channels_init": 8, "depth": 1},
    )
    training = config.training_config.replace(device="cpu", precision="32")
    config = config.replace(training_config=training)
    torch.manual_seed(0)
    network = UNet(config.algorithm_config.model).eval()
    model = Model(config, network, Normalization((1000.0,), (30.0,)))
    CAREamist(model).save(tmp_path / "cells.safetensors")
    noisy = np.random.default_rng(0).normal(1000, 30, (50, 60)).astype("uint16")
    write_tiff(tmp_path / "noisy.tif", noisy, "YX")
    return [str(tmp_path / "cells.safetensors"), str(tmp_path / "noisy.tif")]


def predict(given, target, *options):
    return main(["predict", *given, "-o", str(target), "--quiet", *options])


def pixels_of(store):
    return np.asarray(zarr.open_array(store / "0", mode="r"))


@pytest.mark.parametrize("local", [True, False])
def test_workers_write_the_result(given, tmp_path, local, monkeypatch):
    monkeypatch.setattr(on_dask, "CPU_COUNT", 1)  # one worker of one thread
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert predict(given, tmp_path / "here.ome.zarr") == 0
    if local:
        assert predict(given, tmp_path / "there.ome.zarr", "--dask", "local") == 0
    else:
        cluster = distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        )
        with cluster:
            address = cluster.scheduler_address
            assert predict(given, tmp_path / "there.ome.zarr", "--dask", address) == 0
    here, there = (pixels_of(tmp_path / f"{name}.ome.zarr") for name in ("here", "there"))
    np.testing.assert_array_equal(here, there)


def test_local_workers_keep_no_profile(monkeypatch):
    monkeypatch.setattr(on_dask, "CPU_COUNT", 1)
    option = "distributed.worker.profile.enabled"
    before = dask.config.get(option)
    with on_dask.connected("local") as client:
        assert set(client.run(dask.config.get, option).values()) == {False}
    assert dask.config.get(option) == before


@pytest.mark.parametrize(
    ("target", "address", "said"),
    [
        ("clean.ome.zarr", "tcp://127.0.0.1:9", "No Dask scheduler answers at 'tcp://127"),
        ("clean.ome.zarr", "there.json", "There is no scheduler file 'there.json'"),
        ("clean.ome.zarr", "text.json", "text.json' is not a Dask scheduler file; give"),
        ("clean.ome.zarr", "list.json", "list.json' is not a Dask scheduler file; give"),
        ("clean.ome.zarr", "other.json", "other.json' is not a Dask scheduler file; give"),
        ("clean.ome.zarr", "cut.json", "cut.json' is not a Dask scheduler file; give"),
        (
            "clean.ome.zarr",
            "machine",
            "'machine' is not the address of a Dask scheduler; give",
        ),
        ("clean.ome.zarr", "tcp://machine", "'tcp://machine' is not the address of a"),
    ],
)
def test_a_scheduler_that_is_not_there_is_refused(
    given, tmp_path, monkeypatch, capsys, target, address, said
):
    monkeypatch.setattr(on_dask, "_CONNECT_TIMEOUT", 0.5)
    monkeypatch.chdir(tmp_path)
    texts = {"text": '"hello"', "list": "[1]", "other": '{"port": 8786}', "cut": '{"addr'}
    for name, text in texts.items():
        (tmp_path / f"{name}.json").write_text(text)
    assert predict(given, tmp_path / target, "--dask", address) == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
    assert not (tmp_path / target).exists()


def test_a_tiff_is_refused_before_workers_start(given, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(on_dask, "_local_cluster", lambda: pytest.fail("too late"))
    assert predict(given, tmp_path / "clean.tif", "--dask", "local") == 2
    assert "ends in .ome.zarr, or choose the format zarr" in capsys.readouterr().err
