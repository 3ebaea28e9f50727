"""Files of all kinds are found, checked and denoised, or refused at once."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_hush.careamist import CAREamist
from napari_hush.errors import HushError
from napari_hush.events import FileFailed, FileKept, FileWritten
from napari_hush.io import load_images, read_metadata, write_tiff
from napari_hush.widgets.jobs.files_task import (
    CheckingFiles,
    DenoisingFiles,
    FilesFound,
    FilesRequest,
    ImageChecked,
    default_folder,
)
from napari_hush.widgets.jobs.tasks import StopRequest


@pytest.fixture(scope="module")
def model():
    from napari_hush.config import create_n2v_configuration
    from napari_hush.models import Model, UNet
    from napari_hush.models.normalization import Normalization

    small = {"num_channels_init": 8, "depth": 1}
    config = create_n2v_configuration("m", "array", "YX", [16, 16], 2, model_params=small)
    network = UNet(config.algorithm_config.model).eval()
    return Model(config, network, Normalization((20.0,), (5.0,)))


def run(task):
    events = []
    task(events.append, StopRequest())
    return events


def of_kind(events, kind):
    return [event for event in events if isinstance(event, kind)]


def write_png(path, pixels):
    from PIL import Image

    Image.fromarray(pixels).save(path)


def write_zarr(path, pixels):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    group.create_array("0", data=pixels)
    axes = [{"name": a, "type": "space", "unit": "micrometer"} for a in "yx"]
    scale = {"type": "scale", "scale": [0.5, 0.25]}
    levels = [{"path": "0", "coordinateTransformations": [scale]}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": levels}]


@pytest.mark.parametrize(
    ("names", "write", "result"),
    [
        (("a.png", "b.PNG"), write_png, ("a.tif", "b.tif")),
        (("a.bmp",), write_png, ("a.tif",)),
        (("a.ome.zarr", "b.zarr"), write_zarr, ("a.ome.zarr", "b.zarr")),
        (("a.tif", "deep/b.tiff"), tifffile.imwrite, ("a.tif", "deep/b.tiff")),
    ],
)
def test_folders_of_every_kind_are_denoised(tmp_path, model, noisy, names, write, result):
    """Checked without reading, and denoised as in memory."""
    pixels = noisy.astype(np.uint8)
    for name in names:
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, pixels)
    request = FilesRequest((tmp_path / "raw",), model, tmp_path / "clean")
    checked = of_kind(run(CheckingFiles(request)), ImageChecked)
    assert [(one.pixels, one.problem) for one in checked] == [(pixels.size, "")] * len(
        names
    )
    assert not (tmp_path / "clean").exists()
    events = run(DenoisingFiles(request))
    done = of_kind(events, FileWritten)
    assert [one.path for one in done] == [tmp_path / "clean" / name for name in result]
    expected = CAREamist(model).predict(pixels)
    for one in done:
        kind = "zarr" if "zarr" in one.path.suffix else "tiff"
        (image,) = load_images([one.path], kind, "YX")
        assert np.allclose(image.data, expected, atol=1e-4)
    if write is write_zarr:
        assert read_metadata(done[0].path).scale == {"Y": 0.5, "X": 0.25}


def test_folders_of_several_kinds_are_denoised(tmp_path, model, noisy):
    """Pictures beside images of other kinds are previews."""
    raw, pixels = tmp_path / "raw", noisy.astype(np.uint8)
    raw.mkdir()
    write_zarr(raw / "a.zarr", pixels)
    tifffile.imwrite(raw / "b.tif", pixels)
    write_png(raw / "b.png", pixels)
    events = run(DenoisingFiles(FilesRequest((raw,), model, tmp_path)))
    done = of_kind(events, FileWritten)
    assert of_kind(events, FilesFound)[0].warnings == ()
    assert sorted(one.path.name for one in done) == ["a.zarr", "b.tif"]
    together = FilesRequest((raw / "b.png", raw / "b.tif"), model, tmp_path / "clean")
    with pytest.raises(HushError, match=r"“b\.png” and “b\.tif” would both"):
        run(CheckingFiles(together))
    tifffile.imwrite(raw / "c.tif", pixels)
    other = replace(together, source=(raw / "b.png", raw / "c.tif"))
    assert len(of_kind(run(DenoisingFiles(other)), FileWritten)) == 2


def test_results_that_exist_are_kept_or_replaced(tmp_path, model, noisy):
    raw, clean = tmp_path / "raw", tmp_path / "clean"
    for folder in (raw, clean):
        folder.mkdir()
    for name in "ab":
        write_tiff(raw / f"{name}.tif", noisy, "YX")
    (clean / "a.tif").write_text("mine")
    keep = FilesRequest((raw,), model, clean)
    (found,) = of_kind(run(CheckingFiles(keep)), FilesFound)
    assert found.kept == {raw / "a.tif": clean / "a.tif"}
    assert "not results of this model" in " ".join(found.warnings)
    events = run(DenoisingFiles(keep))
    assert [one.source for one in of_kind(events, FileKept)] == [raw / "a.tif"]
    assert [one.source for one in of_kind(events, FileWritten)] == [raw / "b.tif"]
    assert (clean / "a.tif").read_text() == "mine"
    replaced = FilesRequest((raw,), model, clean, replace=True, keep_type=True)
    assert len(of_kind(run(DenoisingFiles(replaced)), FileWritten)) == 2
    assert tifffile.imread(clean / "a.tif").dtype == np.uint16


def test_kept_results_of_another_model_are_said(tmp_path, model, noisy):
    write_tiff(tmp_path / "a.tif", noisy, "YX")
    request = FilesRequest((tmp_path / "a.tif",), model, tmp_path / "clean")
    run(DenoisingFiles(request))
    (same,) = of_kind(run(CheckingFiles(request)), FilesFound)
    assert same.kept
    assert same.warnings == ()
    other = deepcopy(model)
    next(other.network.parameters()).data += 1
    improved = replace(model, own_value=(((0.0, 0.25, 1e9),),))
    for changed in (
        replace(request, model=other),
        replace(request, keep_type=True),
        replace(request, model=improved, network_alone=True),
    ):
        (found,) = of_kind(run(CheckingFiles(changed)), FilesFound)
        (warning,) = found.warnings
        assert "Replace" in warning


def test_files_that_cannot_be_denoised_are_named_before(tmp_path, model, noisy):
    raw = tmp_path / "raw"
    raw.mkdir()
    write_tiff(raw / "a.tif", noisy, "YX")
    write_tiff(raw / "deep.tif", np.stack([noisy] * 3), "CYX")
    (raw / "broken.tif").write_bytes(b"no image")
    request = FilesRequest((raw,), model, tmp_path / "clean")
    events = run(CheckingFiles(request))
    (found,) = of_kind(events, FilesFound)
    assert [path.name for path in found.failed] == ["broken.tif"]
    problems = {e.path.name: e.problem for e in of_kind(events, ImageChecked)}
    assert problems["a.tif"] == ""
    assert "give the axes as SYX" in problems["deep.tif"]
    failed = of_kind(run(DenoisingFiles(request)), FileFailed)
    assert [event.path.name for event in failed] == ["broken.tif", "deep.tif"]
    advised = replace(request, axes="SYX")
    assert len(of_kind(run(DenoisingFiles(advised)), FileWritten)) == 1
    assert tifffile.imread(tmp_path / "clean" / "deep.tif").shape == (3, *noisy.shape)


def _docx(folder):
    path = folder / "notes.docx"
    path.write_bytes(b"PK")
    return path


def _empty(folder):
    (folder / "empty").mkdir()
    return folder / "empty"


def _texts(folder):
    (folder / "texts").mkdir()
    (folder / "texts" / "a.txt").write_text("a")
    (folder / "texts" / "model.safetensors").write_text("a")
    return folder / "texts"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder / "gone", "There is no file or folder"),
        (lambda folder: folder / "gone.tif", "There is no file or folder"),
        (_docx, "“notes.docx” is not an image"),
        (_empty, "There is no image in “empty”"),
        (_texts, "There is no image in “texts”"),
    ],
)
def test_what_is_no_image_is_refused_before_the_model_is_loaded(tmp_path, make, says):
    request = FilesRequest((make(tmp_path),), tmp_path / "no model", tmp_path / "clean")
    for task in (CheckingFiles(request), DenoisingFiles(request)):
        with pytest.raises(HushError) as error:
            run(task)
        assert says in str(error.value)
        for word in ("data_type", "overwrite", "*.tif", "type of data"):
            assert word not in str(error.value)


def test_a_folder_that_cannot_be_written_to_is_said_before(tmp_path, model, noisy):
    write_tiff(tmp_path / "a.tif", noisy, "YX")
    (tmp_path / "notes").write_text("mine")
    request = FilesRequest((tmp_path / "a.tif",), model, tmp_path / "notes")
    with pytest.raises(HushError, match="notes” is a file"):
        run(CheckingFiles(request))
    with pytest.raises(HushError, match="would replace"):
        run(CheckingFiles(FilesRequest((tmp_path,), model, tmp_path)))


def test_an_unfinished_result_of_another_model_is_begun_anew(tmp_path, model, noisy, quick):
    """It is no result, and nobody asked to keep it."""
    large = np.tile(noisy, (20, 20))
    write_tiff(tmp_path / "a.tif", large, "YX")
    stop, engine = StopRequest(), CAREamist(quick())
    engine.train(train_source=noisy)

    def cancel(event):
        if type(event).__name__ == "TilesDone":
            stop.set()

    request = FilesRequest((tmp_path / "a.tif",), engine.model, tmp_path / "clean")
    DenoisingFiles(request)(cancel, stop)
    assert not (tmp_path / "clean" / "a.tif").exists()
    other = FilesRequest((tmp_path / "a.tif",), model, tmp_path / "clean")
    assert of_kind(run(DenoisingFiles(other)), FileWritten)


def test_files_are_listed_before_there_is_a_model(tmp_path, noisy):
    write_tiff(tmp_path / "a.tif", noisy, "YX")
    (found,) = run(CheckingFiles(FilesRequest((tmp_path,), None, tmp_path / "clean")))
    assert found.images == (tmp_path / "a.tif",)


def test_files_that_are_skipped_are_named(tmp_path, noisy):
    write_tiff(tmp_path / "a.tif", noisy, "YX")
    (tmp_path / "b.tif").touch()
    (found,) = run(CheckingFiles(FilesRequest((tmp_path,), None, tmp_path / "clean")))
    (warning,) = found.warnings
    assert "1 empty" in warning
    assert "b.tif" in warning


def test_results_go_next_to_the_images(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    assert default_folder(("/",)) is None
    assert default_folder((folder,)) == tmp_path / "raw denoised"
    assert default_folder((folder / "a.tif",)) == folder / "denoised"
    assert default_folder((folder / "a.tif", folder / "b.tif")) == folder / "denoised"
    assert default_folder((folder / "*.tif",)) == folder / "denoised"
    assert default_folder(("https://a.org/b.zarr",)) is None
