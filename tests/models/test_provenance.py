"""Where models and results come from, and that the same run makes the same model."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile
import torch

from napari_hush import CAREamist
from napari_hush.cli import main
from napari_hush.errors import ModelFileError
from napari_hush.events import WarningIssued
from napari_hush.io import Image, content_of, open_images, read_record, write_tiff
from napari_hush.models import Provenance, load_model
from napari_hush.models.file import open_tensors, write_tensors
from napari_hush.models.provenance import versions


@pytest.fixture
def careamist(tiny_config, noisy):
    careamist = CAREamist(tiny_config(num_steps=2))
    careamist.train(train_source=noisy)
    return careamist


def test_a_model_says_what_it_was_trained_on(careamist, noisy):
    known = careamist.model.provenance
    (source,) = known.sources
    assert source.sha256 == content_of(Image.from_array(noisy, "YX")).sha256
    assert known.ranges == ((noisy.min(), noisy.max()),)
    assert known.software == versions()
    assert {"napari-hush", "python", "numpy", "torch"} <= known.software.keys()
    assert known.date.endswith("+00:00")


def test_training_on_adds_to_it(careamist, noisy):
    careamist.train(train_source=noisy + 1000)
    careamist.train(train_source=noisy)
    known = careamist.model.provenance
    assert len(known.sources) == known.num_sources == 2
    assert known.ranges == ((noisy.min(), noisy.max() + 1000),)


def test_a_model_file_keeps_it(careamist, tmp_path):
    path = careamist.save(tmp_path / "m.safetensors")
    model = load_model(path)
    assert model.provenance == careamist.model.provenance
    assert model.sha256 == careamist.model.sha256
    assert model.provenance.precision in ("32", "bf16")


def test_models_of_the_first_days_have_none(careamist, tmp_path):
    path = careamist.save(tmp_path / "m.safetensors")
    file = open_tensors(path)
    header = {k: v for k, v in file.header.items() if k not in ("provenance", "sha256")}
    write_tensors(path, file.tensors(), header)
    assert load_model(path).provenance == Provenance()


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 10**5, '{"ranges": [[1]]}'])
def test_a_damaged_one_is_refused(careamist, tmp_path, text):
    path = careamist.save(tmp_path / "m.safetensors")
    file = open_tensors(path)
    write_tensors(path, file.tensors(), file.header | {"provenance": text})
    with pytest.raises(ModelFileError, match="damaged"):
        load_model(path)


def test_the_hash_is_of_what_decides_on_results(careamist):
    before = careamist.model.sha256
    with torch.no_grad():
        weight = next(iter(careamist.model.network.parameters())).view(-1)
        weight[0] = torch.nextafter(weight[0], torch.tensor(torch.inf))
    assert careamist.model.sha256 != before


@pytest.mark.parametrize("other", [False, True])
def test_the_same_seed_makes_the_same_bits(tiny_config, noisy, other):
    models = []
    for seed in (3, 4 if other else 3):
        torch.manual_seed(len(models))  # of no consequence
        careamist = CAREamist(tiny_config(num_steps=3, seed=seed))
        careamist.train(train_source=noisy)
        models.append(careamist.model)
    one, two = (model.network.state_dict().values() for model in models)
    alike = all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert alike is not other
    assert (models[0].sha256 == models[1].sha256) is not other


@pytest.mark.process
def test_another_process_makes_the_same_bits(tiny_config, noisy, tmp_path):
    config = tiny_config(num_steps=3)
    # "auto" measures the speed of bfloat16 on some CPUs, and may decide otherwise there
    training = config.training_config.replace(precision="32")
    careamist = CAREamist(config.replace(training_config=training))
    careamist.train(train_source=noisy)
    np.save(tmp_path / "noisy.npy", noisy)
    (tmp_path / "config.json").write_text(careamist.config.model_dump_json())
    code = (
        "import numpy as np; from napari_hush import CAREamist\n"
        "from napari_hush.config import Configuration\n"
        "config = Configuration.model_validate_json(open('config.json').read())\n"
        "careamist = CAREamist(config)\n"
        "careamist.train(train_source=np.load('noisy.npy'))\n"
        "print(careamist.model.sha256)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split()[-1] == careamist.model.sha256


def test_a_result_on_disk_says_how_it_came_about(careamist, noisy, tmp_path, capsys):
    write_tiff(tmp_path / "noisy.tif", noisy, "YX")
    (result,) = careamist.predict_to_disk(
        tmp_path / "noisy.tif", prediction_dir=tmp_path / "out", tta=True
    )
    record = read_record(result)
    (image,) = open_images(tmp_path / "noisy.tif", "tiff", "YX")
    assert record["source"]["name"] == "noisy.tif"
    assert record["source"]["sha256"] == content_of(image).sha256
    assert record["model"]["sha256"] == careamist.model.sha256
    assert record["model"]["seed"] == careamist.config.data_config.seed
    configuration = careamist.config.model_dump(mode="json")
    assert record["model"]["configuration"] == configuration
    assert record["software"] == versions()
    assert record["settings"]["tta"] is True
    with tifffile.TiffFile(result) as file:
        assert "napari_hush" in file.imagej_metadata["Info"]
    assert main(["info", str(result), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer.pop("image")["axes"] == "YX"
    assert answer == record
    assert main(["info", str(result)]) == 0
    assert careamist.model.sha256 in capsys.readouterr().out


def test_info_about_an_image_of_others(noisy, tmp_path, capsys):
    write_tiff(
        tmp_path / "noisy.tif",
        np.stack([noisy, noisy]),
        "CYX",
        scale={"Y": 0.065, "X": 0.065},
        units={"Y": "µm", "X": "µm"},
        channels=["DAPI", "GFP"],
    )
    assert main(["info", str(tmp_path / "noisy.tif")]) == 0
    said = capsys.readouterr().out
    for words in ("axes      CYX", "scale     Y 0.065 µm, X 0.065 µm", "DAPI, GFP"):
        assert words in said
    assert "denoised" not in said
    assert main(["info", str(tmp_path / "none.tif")]) == 2


def cautions(careamist, *arguments, **more):
    events = []
    careamist.on_progress = events.append
    careamist.predict(*arguments, **more)
    return {event.about for event in events if isinstance(event, WarningIssued)}


def test_intensities_that_were_not_trained_on(careamist, noisy):
    assert "intensities" not in cautions(careamist, noisy)
    assert "intensities" in cautions(careamist, noisy + 200)
    assert "intensities" in cautions(careamist, noisy - 200)
    few = noisy.copy()
    few.flat[:10] += 1000  # of 2496
    assert "intensities" not in cautions(careamist, few)
    assert not cautions(careamist, noisy + 200, check=False)


def test_pixels_of_another_size(tiny_config, noisy, tmp_path):
    for name, size, unit in (("a", 0.1, "micrometer"), ("b", 100, "nm"), ("c", 0.2, "µm")):
        sizes = {"scale": {"X": size, "Y": size}, "units": {"X": unit, "Y": unit}}
        write_tiff(tmp_path / f"{name}.tif", noisy, "YX", **sizes)
    careamist = CAREamist(tiny_config(num_steps=2, data_type="tiff"))
    careamist.train(train_source=tmp_path / "a.tif")
    assert careamist.model.provenance.pixel_size.scale["X"] == pytest.approx(0.1)
    assert "pixel size" not in cautions(careamist, tmp_path / "b.tif")
    assert "pixel size" in cautions(careamist, tmp_path / "c.tif")
    assert "pixel size" not in cautions(careamist, noisy, data_type="array")


def test_saturated_input_and_structure_taken_away(careamist):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128]
    picture = 1000 + 500 * np.sin(x / 5) * np.cos(y / 7)
    image = rng.normal(picture, 10).astype(np.uint16)
    assert cautions(careamist, image) >= {"structure", "intensities"}
    assert "saturation" not in cautions(careamist, image)
    image[:4] = 65535
    assert "saturation" in cautions(careamist, image)


def test_where_nobody_listens_it_is_logged(careamist, noisy, caplog):
    CAREamist(careamist.model).predict(noisy + 200)
    assert "brighter than the training data" in caplog.text
