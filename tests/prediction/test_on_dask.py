"""Dask workers write one OME-Zarr: the bits of a local run, whatever happens to them."""

import os
import pickle
import signal
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_hush import CAREamist, denoise
from napari_hush.config import create_n2v_configuration
from napari_hush.errors import (
    ConfigurationError,
    DataError,
    HushError,
    LostProcessError,
    UnwritableFileError,
)
from napari_hush.events import PixelsClipped, TilesDone
from napari_hush.io import write_tiff
from napari_hush.io.zarr import write as zarr_write
from napari_hush.models import Model, UNet
from napari_hush.models.normalization import Normalization

distributed = pytest.importorskip("distributed")
from napari_hush.prediction import dask_worker, on_dask

pytestmark = [
    pytest.mark.process,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SMALL = """
from napari_hush.io.zarr import write
write.SHARD_BYTES = 1
write._CHUNK = {2: 8, 3: 8}
"""
"""A shard is a tile."""
SIDE = 96
SHARDS = (SIDE // 16) ** 2


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(zarr_write, "SHARD_BYTES", 1)
    monkeypatch.setattr(zarr_write, "_CHUNK", {2: 8, 3: 8})


@pytest.fixture(autouse=True)
def one_thread():
    """Compute with as many threads as a worker."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    small = tmp_path_factory.mktemp("preload") / "small.py"
    small.write_text(SMALL)
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",
            preload=[str(small)],
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        client.wait_for_workers(2)
        yield client


@pytest.fixture
def here():
    """A client of a worker in a thread of this process."""
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            dashboard_address=":0",
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def noisy(*shape):
    rng = np.random.default_rng(0)
    return rng.normal(1000, 30, shape or (SIDE, SIDE)).astype("uint16")


@pytest.fixture
def source(tmp_path):
    write_tiff(tmp_path / "noisy.tif", noisy(), "YX")
    return tmp_path / "noisy.tif"


def on_disk(careamist, source, target, **options):
    return careamist.predict_to_disk(
        source, prediction_dir=target, tile_size=[16, 16], **options
    )


def files_of(store):
    """All files of a store but the group's metadata, which names the result."""
    found = [path for path in store.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in found
        if path != store / "zarr.json"
    }


def assert_as_local(careamist, source, target, tmp_path, **options):
    careamist.on_progress = lambda event: None
    on_disk(careamist, source, tmp_path / "local.ome.zarr", **options)
    assert files_of(target) == files_of(tmp_path / "local.ome.zarr")
    left = {path.name for path in tmp_path.iterdir()}
    assert not {name for name in left if name.startswith(".")}


@pytest.mark.parametrize(
    ("shape", "axes", "dtype"),
    [((SIDE, SIDE), "YX", "float32"), ((3, 2, 40, 50), "TCYX", "source")],
)
def test_the_result_is_that_of_a_local_run(
    careamist, client, tmp_path, monkeypatch, shape, axes, dtype
):
    source, target = tmp_path / "noisy.tif", tmp_path / "clean.ome.zarr"
    write_tiff(source, noisy(*shape), axes)
    if "C" in axes:
        model = careamist.trained
        config = create_n2v_configuration(
            "two",
            "array",
            "CYX",
            [16, 16],
            4,
            n_channels=2,
            model_params={"num_channels_init": 8, "depth": 1},
        )
        training = model.config.training_config
        config = config.replace(training_config=training)
        network = UNet(config.algorithm_config.model).eval()
        scaling = Normalization((1000.0,) * 2, (30.0,) * 2)
        careamist = CAREamist(Model(config, network, scaling))
    events = []
    careamist.on_progress = events.append
    monkeypatch.chdir(tmp_path)  # a path is that of this process, not of the workers
    options = {"axes": axes, "dtype": dtype}
    assert on_disk(careamist, "noisy.tif", "clean.ome.zarr", client=client, **options)
    done = [event for event in events if isinstance(event, TilesDone)]
    regions = [str(region) for event in done for region in event.regions]
    assert len(regions) == len(set(regions)) == done[-1].num_tiles
    clipped = [event for event in events if isinstance(event, PixelsClipped)]
    assert len(clipped) == (dtype == "source")
    assert_as_local(careamist, source, target, tmp_path, **options)


def test_shards_of_a_killed_worker_are_computed_again(careamist, client, source, tmp_path):
    target, killed = tmp_path / "clean.ome.zarr", []

    def kill(event):
        if isinstance(event, TilesDone) and not killed:
            busy = {who for who, keys in client.processing().items() if keys}
            pids = client.run(os.getpid)
            killed.append(pids[sorted(busy)[0]])
            os.kill(killed[0], signal.SIGKILL)

    careamist.on_progress = kill
    assert on_disk(careamist, source, target, client=client) == [target]
    assert killed
    client.wait_for_workers(2)
    assert killed[0] not in client.run(os.getpid).values()
    assert_as_local(careamist, source, target, tmp_path)


def test_a_stopped_run_is_resumed_without_dask(careamist, client, source, tmp_path):
    target, tiles = tmp_path / "clean.ome.zarr", []

    def count(event):
        if isinstance(event, TilesDone):
            tiles.extend(event.regions)

    careamist.on_progress = count
    stopped = on_disk(careamist, source, target, client=client, should_stop=lambda: tiles)
    assert stopped == []
    assert not target.exists()
    assert 0 < len(tiles) < SHARDS
    assert not any(client.processing().values())  # nobody writes any more
    # A shard that a dying process has begun, under both of its names.
    part = tmp_path / ".clean.ome.zarr.part" / "0" / "c" / "5"
    part.mkdir(parents=True, exist_ok=True)
    (part / "5").write_bytes(b"half")
    (part / "5.0123456789abcdef.partial").write_bytes(b"half")
    assert on_disk(careamist, source, target) == [target]
    assert len(tiles) == SHARDS  # the missing ones alone are made
    assert_as_local(careamist, source, target, tmp_path)


def test_a_local_run_is_resumed_with_dask(careamist, client, source, tmp_path):
    target, tiles = tmp_path / "clean.ome.zarr", []

    def count(event):
        if isinstance(event, TilesDone):
            tiles.append(event.done)

    careamist.on_progress = count
    on_disk(careamist, source, target, should_stop=lambda: len(tiles) == 5)
    del tiles[:]
    assert on_disk(careamist, source, target, client=client) == [target]
    assert tiles == [*range(5, SHARDS + 1)]
    assert_as_local(careamist, source, target, tmp_path)


@pytest.mark.parametrize("with_dask", [True, False])
def test_bad_pixels_end_the_run_as_they_do_locally(careamist, client, tmp_path, with_dask):
    pixels = noisy().astype("float32")
    pixels[50, 50] = np.nan
    write_tiff(tmp_path / "noisy.tif", pixels, "YX")
    with pytest.raises(DataError, match=r"noisy\.tif") as raised:
        on_disk(
            careamist,
            tmp_path / "noisy.tif",
            tmp_path / "clean.ome.zarr",
            client=client if with_dask else None,
        )
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["noisy.tif"]


def test_a_full_disk_ends_the_run_and_keeps_shards(
    careamist, here, source, tmp_path, monkeypatch
):
    written, put = [], zarr_write.ZarrResult._put

    def full(self, *arguments):
        if len(written) == 20:
            raise OSError(28, "No space left on device")
        put(self, *arguments)
        written.append(arguments)

    monkeypatch.setattr(zarr_write.ZarrResult, "_put", full)
    target = tmp_path / "clean.ome.zarr"
    with pytest.raises(UnwritableFileError, match=r"disk is full; free some space"):
        on_disk(careamist, source, target, client=here)
    monkeypatch.setattr(zarr_write.ZarrResult, "_put", put)
    tiles = []
    careamist.on_progress = lambda event: isinstance(event, TilesDone) and tiles.append(1)
    on_disk(careamist, source, target)
    assert len(tiles) == 1 + SHARDS - 20
    assert_as_local(careamist, source, target, tmp_path)


def test_an_interrupt_waits_for_the_workers(careamist, client, source, tmp_path):
    raised = []

    def interrupt(event):
        if isinstance(event, TilesDone) and not raised:
            raised.append(event)
            raise KeyboardInterrupt

    careamist.on_progress = interrupt
    with pytest.raises(KeyboardInterrupt):
        on_disk(careamist, source, tmp_path / "clean.ome.zarr", client=client)
    assert not any(client.processing().values())
    assert not any(
        name.startswith("hush")
        for names in client.run(lambda dask_worker: [*dask_worker.plugins]).values()
        for name in names
    )
    careamist.on_progress = lambda event: None
    on_disk(careamist, source, tmp_path / "clean.ome.zarr", client=client)
    assert_as_local(careamist, source, tmp_path / "clean.ome.zarr", tmp_path)


def test_a_scheduler_that_is_lost_is_said(careamist, source, tmp_path):
    target = tmp_path / "clean.ome.zarr"
    cluster = distributed.LocalCluster(
        n_workers=1, processes=False, dashboard_address=":0", silence_logs=50
    )
    with distributed.Client(cluster, set_as_default=False) as client:

        def close(event):
            if isinstance(event, TilesDone):
                cluster.close()

        careamist.on_progress = close
        with pytest.raises(LostProcessError, match="run the same again, with or without"):
            on_disk(careamist, source, target, client=client)
    careamist.on_progress = lambda event: None
    on_disk(careamist, source, target)
    assert_as_local(careamist, source, target, tmp_path)


@pytest.mark.parametrize(
    ("count", "workers"), [(1, 3), (128, 3), (10**7, 16), (10**7, 1000)]
)
def test_tasks_are_few_and_small_at_the_end(count, workers):
    left, sizes = count, []
    while left:
        sizes.append(on_dask.batch_size(left, count, workers))
        left -= sizes[-1]
    assert sum(sizes) == count
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1
    # Each of the last tasks takes a share of what is left: a geometric series.
    ratio = max(1, max(sizes))
    last = on_dask.AT_ONCE * workers * (1 + np.log(ratio))
    assert len(sizes) <= on_dask.MOST_TASKS + last


def test_a_task_is_small_whatever_the_model(careamist):
    plan = dask_worker.Plan("1.0", "cpu", "32", (16, 16))
    part = dask_worker.Part(plan, "/data/.clean.ome.zarr.part")
    assert len(pickle.dumps((dask_worker.call, "hush", "write", part, 0, 10**9))) < 1000


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:9", "nonsense", "a://b", "there.json"]
)
def test_a_scheduler_that_does_not_answer_is_said(address, monkeypatch):
    monkeypatch.setattr(on_dask, "_CONNECT_TIMEOUT", 0.5)
    with (
        pytest.raises(ConfigurationError, match=r"scheduler.*local\.$") as raised,
        on_dask.connected(address),
    ):
        pass
    assert address in str(raised.value)


def test_a_scheduler_is_found_by_its_address(client):
    with on_dask.connected(client.scheduler.address) as other:
        assert len(other.nthreads()) == 2


def test_without_the_package_it_is_said(careamist, source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(HushError, match=r'pip install "napari-hush\[dask\]"'):
        on_disk(careamist, source, tmp_path / "clean.ome.zarr", client=object())


def test_what_workers_cannot_do_is_said(careamist, here, source, tmp_path):
    with pytest.raises(ConfigurationError, match="Dask workers write OME-Zarr"):
        on_disk(careamist, source, tmp_path / "clean.tif", client=here)
    with pytest.raises(ConfigurationError, match=r"give a dask\.distributed\.Client"):
        on_disk(careamist, source, tmp_path / "clean.ome.zarr", client="tcp://a:1")
    custom = {"data_type": "custom", "read_source_func": lambda path, *_: noisy()}
    with pytest.raises(ConfigurationError, match="custom data cannot be denoised by them"):
        on_disk(careamist, source, tmp_path / "clean.ome.zarr", client=here, **custom)
    assert [path.name for path in tmp_path.iterdir()] == ["noisy.tif"]


def test_a_lazy_result_is_computed_by_a_client(careamist, client, source):
    later = denoise(source, careamist, lazy=True, tile_size=[16, 16])
    expected = later.compute(scheduler="synchronous")

    def count_setups():
        from napari_hush.prediction import to_array

        class Counted(to_array._Blocks):
            setups = 0

            def __init__(self, *given):
                Counted.setups += 1
                super().__init__(*given)

        to_array._Blocks = Counted

    client.run(count_setups)
    found = client.compute(later).result()
    np.testing.assert_array_equal(found, expected)
    setups = client.run(
        lambda: sys.modules["napari_hush.prediction.to_array"]._Blocks.setups
    )
    assert set(setups.values()) <= {0, 1}
    assert sum(setups.values()) >= 1


def test_a_worker_that_does_not_see_a_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_worker, "_SEEN_WITHIN", 0.3)
    plugin = object.__new__(dask_worker.DenoisingPlugin)
    plugin._worker = SimpleNamespace(address="tcp://node7:4000")
    with pytest.raises(ConfigurationError, match=r"tcp://node7:4000 does not see '.*late'"):
        plugin._require(tmp_path / "late")


def test_a_folder_may_appear_late_on_a_worker(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_worker, "_SEEN_WITHIN", 60.0)
    plugin = object.__new__(dask_worker.DenoisingPlugin)
    plugin._worker = SimpleNamespace(address="tcp://node7:4000")
    timer = threading.Timer(0.5, (tmp_path / "late").mkdir)
    timer.start()
    plugin._require(tmp_path / "late")
    assert (tmp_path / "late").exists()
    timer.join()
