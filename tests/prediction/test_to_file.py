"""From disk to disk: the same pixels as in memory, and never half a result."""

import contextlib
import itertools
import multiprocessing
import os
import shutil
import signal

import numpy as np
import pytest
import tifffile
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_hush import CAREamist
from napari_hush.config import create_n2v_configuration
from napari_hush.errors import (
    ConfigurationError,
    DataError,
    ExistingFileError,
    HushError,
    OutOfMemoryError,
    SomeFilesFailedError,
    UnreadableFileError,
    UnwritableFileError,
)
from napari_hush.events import (
    FileFailed,
    FileKept,
    FileWritten,
    ImageStarted,
    PixelsClipped,
    TilesDone,
    WarningIssued,
)
from napari_hush.io import TiffResult, read_metadata, read_record, write_tiff
from napari_hush.io.zarr import write as zarr_write
from napari_hush.models import Model, UNet, save_model
from napari_hush.models.normalization import Normalization
from napari_hush.prediction import files
from napari_hush.prediction.files import FilesPlan, predict_files, refuse_other_results

SIZES = {
    "scale": {"Z": 2.0, "Y": 0.25, "X": 0.25},
    "units": dict.fromkeys("ZYX", "micrometer"),
}


def untrained(axes="YX", channels=None, **model):
    """A network that was not trained: what it makes is a picture all the same."""
    patch = [8, 16, 16] if "Z" in axes else [16, 16]
    config = create_n2v_configuration(
        "tiny",
        "array",
        axes,
        patch,
        4,
        num_epochs=1,
        n_channels=channels,
        model_params={"num_channels_init": 8, "depth": 1, **model},
    )
    training = config.training_config.replace(device="cpu", precision="32")
    config = config.replace(training_config=training)
    torch.manual_seed(0)
    network = UNet(config.algorithm_config.model).eval()
    count = channels or 1
    scaling = Normalization((1000.0,) * count, (30.0,) * count)
    return CAREamist(Model(config, network, scaling))


def picture(*shape, dtype="uint16"):
    return np.random.default_rng(0).normal(1000, 30, shape).astype(dtype)


def pixels_of(path):
    if path.is_dir():
        return np.asarray(zarr.open_array(path / "0", mode="r"))
    return tifffile.imread(path)


@pytest.fixture(params=["tiff", "zarr"])
def kind(request, monkeypatch):
    monkeypatch.setattr(zarr_write, "SHARD_BYTES", 1)  # a shard is a tile,
    monkeypatch.setattr(zarr_write, "_CHUNK", {2: 8, 3: 8})  # and has chunks in it
    return request.param


def target_of(kind, tmp_path):
    return tmp_path / ("clean.tif" if kind == "tiff" else "clean.ome.zarr")


CASES = [  # axes, shape, channels, tile
    ("YX", (50, 70), None, [16, 24]),
    ("XY", (50, 70), None, [16, 24]),
    ("TYX", (3, 30, 40), None, [16, 16]),
    ("STYX", (2, 3, 30, 20), None, [16, 16]),
    ("CYX", (2, 30, 40), 2, [16, 16]),
    ("YXC", (30, 40, 3), 3, [16, 16]),
    ("ZYX", (9, 30, 20), None, [4, 16, 16]),
    ("TCZYX", (2, 2, 5, 20, 30), 2, [2, 16, 16]),
]


@pytest.mark.parametrize(("axes", "shape", "channels", "tile"), CASES)
def test_files_are_what_memory_is(kind, tmp_path, axes, shape, channels, tile):
    careamist = untrained(axes, channels)
    noisy = picture(*shape)
    np.save(tmp_path / "noisy.npy", noisy)
    dtype = "source" if "T" in axes else "float32"
    careamist.predict_to_disk(
        tmp_path / "noisy.npy",
        prediction_dir=target_of(kind, tmp_path),
        data_type="custom",
        read_source_func=lambda path, axes: np.load(path),
        extension_filter="*.npy",
        tile_size=tile,
        dtype=dtype,
    )
    clean = careamist.predict(noisy, tile_size=tile, dtype=dtype)
    found = pixels_of(target_of(kind, tmp_path))
    order = "STCZYX" if kind == "zarr" else "STZCYX"
    expected = clean.transpose([axes.index(a) for a in order if a in axes])
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.ravel(), expected.ravel())
    assert found.shape[-2:] == expected.shape[-2:]


@pytest.mark.parametrize("tiles", [2, 4, 6])
def test_shards_of_several_tiles_are_put_together(tmp_path, monkeypatch, tiles):
    monkeypatch.setattr("napari_hush.io.zarr.write.SHARD_BYTES", tiles * 16 * 16 * 4)
    monkeypatch.setitem(zarr_write._CHUNK, 2, 16)
    careamist = untrained("YX", None)
    noisy = picture(70, 90)
    np.save(tmp_path / "noisy.npy", noisy)
    careamist.predict_to_disk(
        tmp_path / "noisy.npy",
        prediction_dir=target_of("zarr", tmp_path),
        data_type="custom",
        read_source_func=lambda path, axes: np.load(path),
        extension_filter="*.npy",
        tile_size=[16, 16],
    )
    expected = careamist.predict(noisy, tile_size=[16, 16])
    np.testing.assert_array_equal(pixels_of(target_of("zarr", tmp_path)), expected)


@pytest.fixture
def job(kind, tmp_path):
    """Four tiles of one image; called with what `predict_to_disk` takes."""
    careamist = untrained()
    write_tiff(tmp_path / "noisy.tif", picture(32, 32), "YX", **SIZES)

    def run(**more):
        return careamist.predict_to_disk(
            tmp_path / "noisy.tif",
            prediction_dir=target_of(kind, tmp_path),
            **{"tile_size": [16, 16], **more},
        )

    run.careamist, run.kind, run.target = careamist, kind, target_of(kind, tmp_path)
    run.expected = careamist.predict(picture(32, 32), tile_size=[16, 16])
    return run


def stops_after(count):
    """A `should_stop` that is asked once, and then before every tile."""
    calls = itertools.count(0)
    return lambda: next(calls) > count


def left_beside(target):
    return sorted(p.name for p in target.parent.iterdir() if p.name.startswith("."))


def test_what_was_cut_off_goes_on_where_it_was(job, monkeypatch):
    assert job(should_stop=stops_after(2)) == []
    assert not job.target.exists()
    assert left_beside(job.target) == [
        f".{job.target.name}{e}" for e in (".part", ".tiles")
    ]
    events = []
    job.careamist.on_progress = events.append
    assert job() == [job.target]
    tiles = [event for event in events if isinstance(event, TilesDone)]
    assert [(event.done, len(event.regions)) for event in tiles] == [(2, 0), (3, 1), (4, 1)]
    np.testing.assert_array_equal(pixels_of(job.target), job.expected)
    assert left_beside(job.target) == []


def shards_of(part):
    return sorted(path for path in part.glob("0/c/**/*") if path.is_file())


DAMAGES = {
    "removed": lambda part: shards_of(part)[0].unlink(),
    "emptied": lambda part: os.truncate(shards_of(part)[1], 0),
    "truncated": lambda part: os.truncate(shards_of(part)[0], 70),
    "half": lambda part: shards_of(part)[0].write_bytes(
        shards_of(part)[0].read_bytes()[-80:]
    ),
    "metadata": lambda part: (part / "0" / "zarr.json").unlink(),
    "replaced": lambda part: shards_of(part)[0].write_bytes(b"other" * 100),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_result_that_others_damaged_is_not_reported_as_whole(
    tmp_path, monkeypatch, damage
):
    monkeypatch.setattr(zarr_write, "SHARD_BYTES", 1)
    monkeypatch.setitem(zarr_write._CHUNK, 2, 8)
    target = target_of("zarr", tmp_path)
    part = target.with_name(f".{target.name}.part")
    write_tiff(tmp_path / "noisy.tif", picture(32, 48), "YX")
    careamist = untrained()

    def meanwhile(event):
        if isinstance(event, TilesDone) and event.done == 5:
            DAMAGES[damage](part)

    careamist.on_progress = meanwhile
    order = {"prediction_dir": target, "tile_size": [16, 16]}
    with pytest.raises(HushError, match="is damaged or was replaced"):
        careamist.predict_to_disk(tmp_path / "noisy.tif", **order)
    assert not target.exists()
    careamist.on_progress = lambda event: None
    assert careamist.predict_to_disk(tmp_path / "noisy.tif", **order) == [target]
    assert (pixels_of(target) > 0).all()


@pytest.mark.parametrize("done", [3, 5])
@pytest.mark.parametrize("size", [0, 3000])
def test_a_file_that_others_truncate_is_not_reported_as_whole(tmp_path, size, done):
    target = target_of("tiff", tmp_path)
    part = target.with_name(f".{target.name}.part")
    write_tiff(tmp_path / "noisy.tif", picture(32, 48), "YX")
    careamist = untrained()

    def meanwhile(event):
        if isinstance(event, TilesDone) and event.done == done:
            os.truncate(part, size)

    careamist.on_progress = meanwhile
    order = {"prediction_dir": target, "tile_size": [16, 16]}
    with pytest.raises(UnreadableFileError, match="is damaged or was replaced"):
        careamist.predict_to_disk(tmp_path / "noisy.tif", **order)
    assert not target.exists()


def test_a_result_of_zeros_is_whole(tmp_path):
    careamist = untrained()
    careamist.model = Model(
        careamist.config,
        careamist.model.network,
        careamist.model.normalization,
        Normalization((-1e6,), (1.0,)),
    )
    write_tiff(tmp_path / "noisy.tif", picture(48, 48), "YX")
    target = target_of("zarr", tmp_path)
    careamist.predict_to_disk(
        tmp_path / "noisy.tif", prediction_dir=target, tile_size=[16, 16], dtype="source"
    )
    assert (pixels_of(target) == 0).all()


def test_clipped_pixels_of_both_halves_are_counted(job):
    job.careamist.model = Model(
        job.careamist.config,
        job.careamist.model.network,
        job.careamist.model.normalization,
        Normalization((70000.0,), (30.0,)),
    )
    events = []
    job.careamist.on_progress = events.append
    job(should_stop=stops_after(2), dtype="source")
    job(dtype="source")
    job(dtype="source", overwrite=True)
    once, again = (event.clipped for event in events if isinstance(event, PixelsClipped))
    assert once == again == 32 * 32


def test_stopped_before_the_first_tile_leaves_nothing(job):
    assert job(should_stop=lambda: True) == []
    assert left_beside(job.target) == []


@pytest.mark.parametrize("change", ["source", "model", "tta"])
def test_another_job_does_not_go_on_with_it(job, tmp_path, change):
    job(should_stop=stops_after(2))
    more = {}
    if change == "source":
        write_tiff(tmp_path / "noisy.tif", picture(32, 32) + 1, "YX", overwrite=True)
    elif change == "model":
        with torch.no_grad():
            next(job.careamist.model.network.parameters()).add_(0.1)
    else:
        more["tta"] = 2
    with pytest.raises(ExistingFileError, match=f"begun with another {change}"):
        job(**more)
    assert job(overwrite=True, **more) == [job.target]
    again = job.careamist.predict(
        tifffile.imread(tmp_path / "noisy.tif"), tile_size=[16, 16], **more
    )
    np.testing.assert_array_equal(pixels_of(job.target), again)


@pytest.mark.parametrize("begun", ["32", "bf16"])
def test_a_job_goes_on_as_it_was_begun(job, tmp_path, begun):
    """Its precision and tiles are kept, whatever this machine would choose."""
    whole = job.careamist.predict(
        tifffile.imread(tmp_path / "noisy.tif"), tile_size=[16, 16], precision=begun
    )
    job(should_stop=stops_after(2), precision=begun)
    other = {"32": "bf16", "bf16": "32"}[begun]
    with pytest.raises(ExistingFileError, match="begun with another precision"):
        job(precision=other)
    assert job(precision="auto", tile_size=[32, 32]) == [job.target]
    np.testing.assert_array_equal(pixels_of(job.target), whole)
    assert read_record(job.target)["precision"] == begun


def test_a_full_disk_costs_no_finished_tile(job, monkeypatch):
    name = "napari_hush.io.tiff.write.TiffResult.write"
    if job.kind == "zarr":
        name = "napari_hush.io.zarr.write.ZarrResult.write"
    with monkeypatch.context() as patch:
        real = TiffResult.write if job.kind == "tiff" else zarr_write.ZarrResult.write
        count = itertools.count(1)

        def write(*arguments):
            if next(count) == 3:
                raise OSError(28, "No space left on device")
            real(*arguments)

        patch.setattr(name, write)
        with pytest.raises(UnwritableFileError, match="disk is full"):
            job()
    events = []
    job.careamist.on_progress = events.append
    job()
    # The first tile is written while the second is denoised, the second behind it.
    known = [e.done for e in events if isinstance(e, ImageStarted | TilesDone)][:2]
    assert known in ([1, 1], [2, 2])
    np.testing.assert_array_equal(pixels_of(job.target), job.expected)


def test_a_damaged_journal_is_told(job):
    job(should_stop=stops_after(2))
    journal = job.target.with_name(f".{job.target.name}.tiles")
    journal.write_bytes(b"{]" + journal.read_bytes())
    with pytest.raises(UnreadableFileError, match="damaged"):
        job()


def test_two_at_once_do_not_write_one_result(job):
    refused = []

    def other(event):
        if isinstance(event, TilesDone) and not refused:
            with pytest.raises(ExistingFileError, match="by another process") as error:
                job()
            refused.append(error)

    job.careamist.on_progress = other
    job()
    assert refused
    np.testing.assert_array_equal(pixels_of(job.target), job.expected)


def test_what_is_there_is_replaced_when_allowed(job):
    job()
    with pytest.raises(ExistingFileError, match="already exists"):
        job()
    with torch.no_grad():
        next(job.careamist.model.network.parameters()).add_(0.1)
    job(overwrite=True)
    assert not np.array_equal(pixels_of(job.target), job.expected)
    assert left_beside(job.target) == []


@pytest.mark.parametrize("kind", ["zarr"], indirect=True)
def test_a_folder_of_other_things_is_never_replaced(job):
    (job.target / "thesis").mkdir(parents=True)
    with pytest.raises(ExistingFileError, match="a folder of other files"):
        job(overwrite=True)
    assert (job.target / "thesis").is_dir()


def test_pixel_sizes_come_along(job):
    job()
    back = read_metadata(job.target)
    assert {a: back.scale[a] for a in "YX"} == pytest.approx({"Y": 0.25, "X": 0.25})
    assert (back.units["Y"], back.units["X"]) == ("micrometer", "micrometer")


def test_files_that_cannot_be_read_do_not_end_the_job(kind, tmp_path):
    folder = tmp_path / "in"
    for name in ("a.tif", "inner/a.tif", "z.tif"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_tiff(folder / name, picture(20, 20 + len(name)), "YX")
    (folder / "broken.tif").write_bytes(b"no image")
    write_tiff(folder / "deep.tif", picture(3, 20, 20), "CYX")
    careamist, events = untrained(), []
    careamist.on_progress = events.append
    where = {"prediction_dir": tmp_path / "out", "write_type": kind}
    with pytest.raises(SomeFilesFailedError, match=r"2 images .* 3 done") as error:
        careamist.predict_to_disk(folder, **where)
    assert [path.name for path in error.value.failed] == ["broken.tif", "deep.tif"]
    assert "broken.tif" in str(error.value)
    failed = [event.path.name for event in events if isinstance(event, FileFailed)]
    assert failed == ["broken.tif", "deep.tif"]
    ending = ".tif" if kind == "tiff" else ".ome.zarr"
    names = [str(p.relative_to(tmp_path / "out")) for p in error.value.done]
    assert names == [f"a{ending}", f"inner/a{ending}", f"z{ending}"]
    (folder / "broken.tif").unlink()
    (folder / "deep.tif").unlink()
    with pytest.raises(ExistingFileError):
        careamist.predict_to_disk(folder, **where)
    write_tiff(folder / "new.tif", picture(20, 20), "YX")
    assert len(careamist.predict_to_disk(folder, **where, resume=True)) == 4
    assert sum(isinstance(event, FileKept) for event in events) == 3


def test_events_name_images_and_the_files_they_come_from(tmp_path):
    (tmp_path / "in" / "day 1").mkdir(parents=True)
    image = tmp_path / "in" / "day 1" / "it's.tif"
    write_tiff(image, picture(20, 20), "YX")
    careamist, events = untrained(), []
    careamist.on_progress = events.append
    (target,) = careamist.predict_to_disk(
        tmp_path / "in", prediction_dir=tmp_path / "out", dtype="source"
    )
    careamist.predict_to_disk(
        tmp_path / "in", prediction_dir=tmp_path / "out", dtype="source", resume=True
    )
    (started,) = [e for e in events if isinstance(e, ImageStarted)]
    assert (started.name, started.path) == ("it's.tif", image)
    (clipped,) = [e for e in events if isinstance(e, PixelsClipped)]
    assert (clipped.name, clipped.path) == ("it's.tif", image)
    done = [e for e in events if isinstance(e, FileWritten | FileKept)]
    assert done == [FileWritten(target, image), FileKept(target, image)]


@pytest.mark.parametrize("error", [HushError, OutOfMemoryError])
def test_an_image_that_needs_more_than_there_is_does_not_end_the_job(tmp_path, error):
    """A package for its compression, or memory."""
    for name in "abc":
        (tmp_path / "in").mkdir(exist_ok=True)
        write_tiff(tmp_path / "in" / f"{name}.tif", picture(20, 20), "YX")
    careamist = untrained()

    def lack(event):
        if isinstance(event, ImageStarted) and event.name == "b.tif":
            raise error("it needs more")

    careamist.on_progress = lack
    with pytest.raises(SomeFilesFailedError) as failed:
        careamist.predict_to_disk(tmp_path / "in", prediction_dir=tmp_path / "out")
    assert [path.name for path in failed.value.done] == ["a.tif", "c.tif"]
    assert {path.name: why for path, why in failed.value.failed.items()} == {
        "b.tif": "it needs more"
    }


def predict_until_killed(model, source, target):
    """Run in a child process, which kills itself in the third tile."""
    zarr_write.SHARD_BYTES, zarr_write._CHUNK = 1, {2: 8, 3: 8}
    torch.set_num_threads(1)
    count = itertools.count(0)

    def stop():
        if next(count) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    from napari_hush.prediction import to_file

    to_file.KEPT_EVERY = 0
    CAREamist(model).predict_to_disk(
        source, prediction_dir=target, tile_size=[16, 16], should_stop=stop
    )


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_and_gone_on_gives_the_same_bits(job, tmp_path):
    save_model(job.careamist.model, tmp_path / "m.safetensors")
    arguments = (tmp_path / "m.safetensors", tmp_path / "noisy.tif", job.target)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=predict_until_killed, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not job.target.exists()
    events = []
    job.careamist = CAREamist(tmp_path / "m.safetensors", on_progress=events.append)
    job.careamist.predict_to_disk(
        tmp_path / "noisy.tif", prediction_dir=job.target, tile_size=[16, 16]
    )
    # The first tile is written while the second is denoised, the second behind it.
    assert next(e.done for e in events if isinstance(e, TilesDone)) in (1, 2)
    np.testing.assert_array_equal(pixels_of(job.target), job.expected)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_region_goes_where_it_belongs(tmp_path_factory, data):
    from napari_hush.axes import AxesMap
    from napari_hush.io import ResultImage

    letters = data.draw(st.sampled_from(["", "T", "S", "ST", "C", "TC", "TZ", "TCZ", "CZ"]))
    axes = "".join(data.draw(st.permutations(letters + "YX")))
    shape = tuple(data.draw(st.integers(1, 4)) for _ in axes)
    dtype = data.draw(st.sampled_from(["uint16", "float64", "float16"]))
    image = AxesMap(axes, shape)
    array = np.random.default_rng(0).integers(0, 99, shape).astype(dtype)
    folder = tmp_path_factory.mktemp("regions")
    cuts = [data.draw(st.integers(0, n)) for n in image.canonical_shape[2:]]
    result = TiffResult(ResultImage(image, array.dtype), folder / "a.tif")
    with contextlib.closing(result):
        result.begin(folder / "part.tif")
        for sample, pixels in enumerate(image.to_canonical(array)):
            halves = [
                (slice(0, cut), slice(cut, n))
                for cut, n in zip(cuts, pixels.shape[1:], strict=True)
            ]
            for parts in itertools.product(*halves):
                if all(part.start < part.stop for part in parts):
                    result.write(sample, parts, pixels[(slice(None), *parts)])
        result.finish()
    whole = write_tiff(folder / "a.tif", array, axes)
    np.testing.assert_array_equal(
        tifffile.imread(folder / "part.tif"), tifffile.imread(whole)
    )
    one, other = read_metadata(folder / "part.tif"), read_metadata(whole)
    assert one == other


@pytest.mark.parametrize("check", [True, False])
def test_what_speaks_against_a_result_is_told_if_asked_for(kind, check, tmp_path):
    """Half of the picture is at the top of the range."""
    pixels = picture(64, 64)
    pixels[:32] = 4095
    write_tiff(tmp_path / "noisy.tif", pixels, "YX")
    heard = []
    careamist = untrained()
    careamist.on_progress = heard.append
    careamist.predict_to_disk(
        tmp_path / "noisy.tif", prediction_dir=target_of(kind, tmp_path), check=check
    )
    topics = {event.about for event in heard if isinstance(event, WarningIssued)}
    assert ("saturation" in topics) is check


def test_a_result_that_is_denoised_again_is_named(kind, tmp_path):
    """And nothing else about its noise, which is hardly there."""
    write_tiff(tmp_path / "noisy.tif", picture(64, 64), "YX")
    heard, careamist = [], untrained()
    once, again = target_of(kind, tmp_path), target_of(kind, tmp_path / "again")
    careamist.predict_to_disk(tmp_path / "noisy.tif", prediction_dir=once)
    careamist.on_progress = heard.append
    careamist.predict_to_disk(once, prediction_dir=again)
    said = [e.message for e in heard if isinstance(e, WarningIssued) and e.about == "noise"]
    assert len(said) == 1
    assert "is a result of napari-hush" in said[0]


def zarr_of_version_4(path, array):
    """OME-Zarr 0.4, with names and a position."""
    group = zarr.open_group(path, mode="w", zarr_format=2)
    kinds = {name: {"type": "space", "unit": "micrometer"} for name in "zyx"}
    kinds |= {"t": {"type": "time", "unit": "second"}, "c": {"type": "channel"}}
    places = [
        {"type": "scale", "scale": [2.5, 1, 2, 0.25, 0.25]},
        {"type": "translation", "translation": [0, 0, 5, -7, 8]},
    ]
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": [{"name": name, **kinds[name]} for name in "tczyx"],
            "datasets": [{"path": "0", "coordinateTransformations": places}],
        }
    ]
    group.attrs["omero"] = {"channels": [{"label": "DAPI"}, {"label": "GFP"}]}
    group.create_array("0", data=array)
    return path


FULL = {
    "scale": {"T": 2.5, **SIZES["scale"]},
    "units": {"T": "second", **SIZES["units"]},
    "channels": ["DAPI", "GFP"],
    "position": {"Z": 5.0, "Y": -7.0, "X": 8.0},
}


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".ome.zarr"])
@pytest.mark.parametrize("source", ["noisy.tif", "noisy.ome.tif", "noisy.zarr"])
def test_results_have_the_metadata_of_their_source(tmp_path, source, suffix):
    noisy = picture(2, 2, 5, 20, 30)
    source = tmp_path / source
    if source.suffix == ".zarr":
        zarr_of_version_4(source, noisy)
    else:
        write_tiff(source, noisy, "TCZYX", **FULL)
    target = tmp_path / f"clean{suffix}"
    data_type = "zarr" if source.suffix == ".zarr" else "tiff"
    known = read_metadata(source)
    untrained("TCZYX", 2).predict_to_disk(
        source,
        prediction_dir=target,
        data_type=data_type,
        axes=known.axes,
        tile_size=[5, 16, 16],
    )
    found = read_metadata(target)
    assert sorted(found.axes) == sorted("TCZYX")
    assert found.scale == pytest.approx(FULL["scale"], rel=1e-6)
    assert found.units == known.units == FULL["units"]
    assert found.channels == known.channels == ("DAPI", "GFP")
    assert found.position == pytest.approx(FULL["position"], rel=1e-6)
    is_ome = suffix == ".ome.tif" or (suffix == ".tif" and source.name.endswith("ome.tif"))
    assert found.is_ome == is_ome
    assert read_record(target)["source"]["name"] == source.name


@pytest.mark.parametrize("kind", ["tiff", "zarr"])
def test_resuming_keeps_results_of_this_model_and_settings_alone(tmp_path, kind):
    folder, careamist = tmp_path / "in", untrained()
    folder.mkdir()
    for name in "ab":
        write_tiff(folder / f"{name}.tif", picture(20, 20), "YX")
    where = {"prediction_dir": tmp_path / "out", "write_type": kind, "resume": True}
    first, second = careamist.predict_to_disk(folder, **where)
    shutil.rmtree(second) if second.is_dir() else second.unlink()
    other = untrained()
    with torch.no_grad():
        other.model.network.last.bias += 1
    for engine, changed, named in (
        (other, {}, "this model;"),
        (careamist, {"tta": True}, "this tta;"),
        (careamist, {"tta": 4, "dtype": "source"}, "this tta and dtype;"),
        (careamist, {"precision": "bf16"}, "this precision;"),
    ):
        with pytest.raises(ExistingFileError, match=named):
            engine.predict_to_disk(folder, **where, **changed)
        assert not second.exists()
    same = {"axes": "YX", "tta": 1, "precision": "32", "tile_size": [16, 16]}
    assert careamist.predict_to_disk(folder, **where, **same) == [first, second]


def test_resuming_keeps_no_image_that_is_no_result(tmp_path):
    write_tiff(tmp_path / "a.tif", picture(20, 20), "YX")
    (tmp_path / "out").mkdir()
    shutil.copy(tmp_path / "a.tif", tmp_path / "out")
    with pytest.raises(ExistingFileError, match="not made with this model"):
        untrained().predict_to_disk(
            tmp_path / "a.tif", prediction_dir=tmp_path / "out", resume=True
        )


@pytest.mark.parametrize(
    ("record", "wanted", "other"),
    [
        ({}, {"tta": 1, "dtype": "float32"}, None),
        ({}, {"tta": 8}, "tta"),
        ({}, {"dtype": "source"}, "dtype"),
        ({"settings": {"tta": True}}, {"tta": 8}, None),
        ({"settings": {"tta": False}}, {"tta": 1}, "tta"),
        ({"settings": {"tta": 2}}, {"tta": 2}, None),
        ({"settings": {"tta": 2}}, {"tta": 8}, "tta"),
        ({"model": {"sha256": "a"}}, {"model": "a"}, None),
        ({"model": {"sha256": "a"}}, {"model": "b"}, "model"),
        ({"model": {"sha256": "a"}}, {"model": ("b", "a")}, None),
        ({"model": {"sha256": "a"}}, {"model": ("b", "c")}, "model"),
        (None, {"model": "a"}, "model"),
        ({"precision": "32"}, {"precision": "16"}, "precision"),
        ({"precision": "32"}, {"precision": "auto"}, None),
        ({"precision": "32"}, {"precision": None}, None),
        ({}, {"precision": "16"}, None),
        ({"model": {"own_value": [1]}}, {"own_value": True}, None),
        ({"model": {"own_value": [1]}}, {"own_value": False}, "own_value"),
        ({"model": {"built_in_share": {"shares": [1]}}}, {"own_value": True}, None),
        ({"model": {"built_in_share": {"shares": [1]}}}, {"own_value": False}, "own_value"),
        ({"settings": {"own_value": "off"}}, {"own_value": False}, None),
        (
            {"model": {"own_value": [1]}, "settings": {"own_value": "off"}},
            {"own_value": True},
            "own_value",
        ),
        ({"settings": {"tta": 2}}, {"tta": 8, "dtype": "source"}, "tta and dtype"),
    ],
)
def test_results_are_kept_if_they_were_made_alike(
    tmp_path, monkeypatch, record, wanted, other
):
    record = None if record is None else {"model": {}, **record}
    monkeypatch.setattr(files, "read_record", lambda target: record)
    target = tmp_path / "a.tif"
    refuse_other_results([target], **wanted)  # does not exist
    target.touch()
    if other is None:
        refuse_other_results([target], **wanted)
    else:
        with pytest.raises(ExistingFileError, match=f"made with this {other};"):
            refuse_other_results([tmp_path / "b.tif", target], **wanted)


@pytest.mark.parametrize("resume", [False, True])
def test_files_are_denoised_one_after_the_other(tmp_path, resume):
    """The second exists, the third fails, and the fifth is of another process."""
    images = [tmp_path / f"{number}.tif" for number in range(5)]
    targets = [tmp_path / f"result {number}.tif" for number in range(5)]
    targets[1].touch()
    missing = tmp_path / "missing.tif"
    plan = FilesPlan(images, targets, range(4), {missing: "is not there"})
    done, finished, events = [], [], []

    def denoise(image, target, number, count):
        assert (image, target, count) == (images[number], targets[number], 5)
        done.append(number)
        if number == 2:
            raise DataError("has no pixels")
        return True

    def finish(image, target):
        finished.append(targets.index(target))
        assert image == images[finished[-1]]

    with pytest.raises(SomeFilesFailedError) as raised:
        predict_files(
            denoise, plan, resume=resume, on_progress=events.append, finish=finish
        )
    assert done == ([0, 2, 3] if resume else [0, 1, 2, 3])
    assert finished == [0, 1, 3]
    kinds = [FileFailed, FileWritten, FileKept if resume else FileWritten, FileFailed]
    assert [type(event) for event in events] == [*kinds, FileWritten]
    assert raised.value.failed == {missing: "is not there", images[2]: "has no pixels"}
    assert raised.value.done == [targets[0], targets[1], targets[3]]


def test_the_error_of_a_single_file_and_those_of_all_end_the_job(tmp_path):
    def fails(error):
        def denoise(image, target, number, count):
            done.append(number)
            raise error

        return denoise

    for count, error in ((1, DataError("a")), (2, ConfigurationError("a"))):
        paths = [tmp_path / str(number) for number in range(count)]
        plan, done = FilesPlan(paths, paths, range(count), {}), []
        with pytest.raises(type(error)):
            predict_files(fails(error), plan, on_progress=lambda event: None)
        assert done == [0]


def test_a_job_that_is_stopped_returns_what_is_complete(tmp_path):
    paths = [tmp_path / str(number) for number in range(3)]
    plan = FilesPlan(paths, paths, range(3), {tmp_path / "x": "is damaged"})

    def denoise(image, target, number, count):
        return number == 0

    assert predict_files(denoise, plan, on_progress=lambda event: None) == paths[:1]


@pytest.mark.parametrize(
    ("count", "ranks", "said"),
    [
        (1, 1, None),
        (1, 9, "the 9 processes of this job; start one process"),
        (2, 3, "are 2 files but 3 processes"),
        (3, 3, None),
        (0, 2, None),
    ],
)
def test_processes_without_work_are_refused(count, ranks, said):
    if said:
        with pytest.raises(ConfigurationError, match=said):
            files._check_enough(count, "files", ranks)
    else:
        files._check_enough(count, "files", ranks)
