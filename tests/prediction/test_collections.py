"""Results of plates, wells and collections keep their structure."""

import json
import shutil

import numpy as np
import pytest

zarr = pytest.importorskip("zarr")
yaozarrs = pytest.importorskip("yaozarrs")

from zarr_stores import add_image, collection, plate

from napari_hush import CAREamist
from napari_hush.cli import main
from napari_hush.errors import ConfigurationError, ExistingFileError, SourceTypeError
from napari_hush.io import find_images, load_images, open_images, read_record

QUICK = ["--epochs", "1", "--steps", "1", "--filters", "8", "--patch-size", "16", "16"]


def pixels(number):
    """An image that no other number has."""
    return np.random.default_rng(number).normal(1000, 50, (24, 20)).astype("float32")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    source = plate(folder / "plate.zarr", ["A/1"], images=pixels)
    target = folder / "m.safetensors"
    assert main(["train", str(source), *QUICK, "--quiet", "-o", str(target)]) == 0
    return CAREamist(target)


def names(images, root):
    return [image.path.relative_to(root).as_posix() for image in images]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_plate_by_one_command(model, tmp_path, monkeypatch, version, capsys):
    monkeypatch.chdir(tmp_path)
    plate(tmp_path / "in" / "plate.zarr", version=version, images=pixels)
    assert main(["train", "in/plate.zarr", *QUICK, "-o", "m.safetensors"]) == 0
    assert len(CAREamist("m.safetensors").trained.provenance.sources) == 6
    command = ["predict", "m.safetensors", "in/plate.zarr", "-o", "out"]
    assert main(command) == 0
    clean = load_images("out/plate.zarr", "zarr", "YX")
    inner = [f"{well}/{n}" for well in ("A/1", "A/2", "B/10") for n in "01"]
    assert names(clean, "out/plate.zarr") == inner
    denoise = CAREamist("m.safetensors").predict
    for number, image in enumerate(clean):
        np.testing.assert_array_equal(image.data, denoise(pixels(number + 1)))
        assert read_record(image.path)["source"]["name"] == inner[number][-1]
    assert read_record("out/plate.zarr")["source"] == {"name": "plate.zarr"}
    with pytest.raises(SourceTypeError, match="are results of napari-hush"):
        find_images("out", "zarr")
    yaozarrs.validate_zarr_store("out/plate.zarr")
    known = zarr.open_group("out/plate.zarr", mode="r").attrs["ome"]["plate"]
    assert known == {
        "acquisitions": [{"id": 0}, {"id": 1}],
        "rows": [{"name": "A"}, {"name": "B"}],
        "columns": [{"name": "1"}, {"name": "10"}, {"name": "2"}],
        "wells": [
            {"path": "A/1", "rowIndex": 0, "columnIndex": 0},
            {"path": "A/2", "rowIndex": 0, "columnIndex": 2},
            {"path": "B/10", "rowIndex": 1, "columnIndex": 1},
        ],
        "field_count": 2,
    }
    well = zarr.open_group("out/plate.zarr/A/2", mode="r").attrs["ome"]["well"]
    assert well == {
        "images": [{"path": "0", "acquisition": 0}, {"path": "1", "acquisition": 1}]
    }
    assert main(command) == 2
    assert "already exists" in capsys.readouterr().err
    assert sorted(p.name for p in (tmp_path / "out" / "plate.zarr").rglob(".*")) == []


def test_resuming_a_plate_denoises_what_is_missing(model, tmp_path):
    source = plate(tmp_path / "plate.zarr", images=pixels)
    out = tmp_path / "out"
    model.predict_to_disk(source, prediction_dir=out, field=1)
    result = out / "plate.zarr"
    assert names(open_images(result, "zarr", "YX"), result) == [
        *("A/1/1", "A/2/1", "B/10/1")
    ]
    yaozarrs.validate_zarr_store(result)
    times = {f: f.stat().st_mtime_ns for f in (result / "A/1/1").rglob("*")}
    shutil.rmtree(result / "B")
    model.predict_to_disk(source, prediction_dir=out, resume=True)
    assert len(open_images(result, "zarr", "YX")) == 6
    yaozarrs.validate_zarr_store(result)
    assert times == {f: f.stat().st_mtime_ns for f in (result / "A/1/1").rglob("*")}


def test_a_store_as_output_is_the_plate(model, tmp_path):
    source = plate(tmp_path / "plate.zarr", images=pixels)
    model.predict_to_disk(
        [source / "A/1", source / "B/10/1"], prediction_dir=tmp_path / "c.zarr"
    )
    clean = open_images(tmp_path / "c.zarr", "zarr", "YX")
    assert names(clean, tmp_path / "c.zarr") == ["A/1/0", "A/1/1", "B/10/1"]
    yaozarrs.validate_zarr_store(tmp_path / "c.zarr")
    model.predict_to_disk(source / "A/1/1", prediction_dir=tmp_path / "one.ome.zarr")
    (image,) = load_images(tmp_path / "one.ome.zarr", "zarr", "YX")
    np.testing.assert_array_equal(image.data, model.predict(pixels(2)))
    assert image.path == tmp_path / "one.ome.zarr"


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_collection(model, tmp_path, version):
    collection(
        tmp_path / "run.zarr", version=version, images=pixels, series=["0", "2", "1"]
    )
    model.predict_to_disk(tmp_path, prediction_dir=tmp_path.with_name("out") / version)
    result = tmp_path.with_name("out") / version / "run.zarr"
    clean = load_images(result, "zarr", "YX")
    assert names(clean, result) == ["0", "2", "1"]
    np.testing.assert_array_equal(clean[1].data, model.predict(pixels(3)))
    assert json.loads((result / "zarr.json").read_text())["attributes"]["ome"] == {
        "version": "0.5",
        "bioformats2raw.layout": 3,
    }
    yaozarrs.validate_zarr_store(result)


def test_groups_of_images(model, tmp_path):
    root = zarr.create_group(tmp_path / "a.zarr")
    for name in ("t2", "t10", "deep/t0"):
        add_image(root.create_group(name), pixels(0), "0.5")
    model.predict_to_disk(tmp_path / "a.zarr", prediction_dir=tmp_path / "out")
    clean = open_images(tmp_path / "out" / "a.zarr", "zarr", "YX")
    assert names(clean, tmp_path / "out" / "a.zarr") == ["deep/t0", "t2", "t10"]


def test_tiff_files_of_a_plate(model, tmp_path):
    source = plate(tmp_path / "plate.ome.zarr", ["A/1", "B/1"], images=pixels)
    written = model.predict_to_disk(
        source, prediction_dir=tmp_path / "out", write_type="tiff"
    )
    assert [p.relative_to(tmp_path / "out").as_posix() for p in written] == [
        f"plate/{well}/1/{n}.tif" for well in "AB" for n in "01"
    ]
    with pytest.raises(ConfigurationError, match="4 images cannot go into the one file"):
        model.predict_to_disk(source, prediction_dir=tmp_path / "a.tif")


def test_results_that_would_harm_another_store(model, tmp_path):
    source = plate(tmp_path / "plate.zarr", ["A/1", "B/1"], images=pixels)
    for output in (tmp_path, source, source / "clean"):
        with pytest.raises(ConfigurationError, match="would replace"):
            model.predict_to_disk(source / "A/1", prediction_dir=output, overwrite=True)
    other = plate(tmp_path / "other.zarr", ["C/1"], images=pixels)
    add_image(zarr.create_group(tmp_path / "image.zarr"), pixels(0), "0.5")
    for output in (other, tmp_path / "image.zarr"):
        with pytest.raises(ExistingFileError, match="has no results of several images"):
            model.predict_to_disk(source, prediction_dir=output, overwrite=True)


def test_resolutions_are_named_after_their_image(model, tmp_path):
    for name in ("a.zarr", "b.zarr"):
        add_image(zarr.create_group(tmp_path / name), pixels(0), "0.5")
    written = model.predict_to_disk(
        [tmp_path / "a.zarr" / "0", tmp_path / "b.zarr" / "0"],
        prediction_dir=tmp_path / "o",
    )
    assert [path.name for path in written] == ["a_0.zarr", "b_0.zarr"]
