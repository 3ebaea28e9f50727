"""Packages of the BioImage Model Zoo: what is in them, and the way back."""

import hashlib
import importlib.util
import io
import struct
import warnings
import zipfile
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from napari_hush import CAREamist
from napari_hush.config import NoNormalizationConfig
from napari_hush.dataset.statistics import fit_normalization
from napari_hush.errors import (
    ConfigurationError,
    DataError,
    ExistingFileError,
    MissingFileError,
    ModelFileError,
    TrainingError,
)
from napari_hush.interop import About, export_model, open_model, write_package
from napari_hush.interop.bioimageio_about import is_orcid
from napari_hush.interop.bioimageio_rdf import described
from napari_hush.io import ImageMetadata
from napari_hush.models import Model
from napari_hush.models.normalization import Normalization

pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def contents(path):
    with zipfile.ZipFile(path) as pack:
        files = {name: pack.read(name) for name in pack.namelist()}
    return yaml.safe_load(files["rdf.yaml"]), files


def scaled(tensor, steps):
    """What a consumer makes of a tensor ``(B, C, (Z), Y, X)`` by the description."""
    for step in steps:
        values = {
            name: np.reshape(value, (1, -1, *(1,) * (tensor.ndim - 2)))
            for name, value in step["kwargs"].items()
            if name != "axis"
        }
        match step["id"]:
            case "fixed_zero_mean_unit_variance":
                tensor = (tensor - values["mean"]) / (values["std"] + 1e-6)
            case "scale_linear":
                tensor = tensor * values["gain"] + values["offset"]
            case other:
                raise AssertionError(other)
    return tensor.astype(np.float32)


@pytest.fixture(scope="session")
def package(model, tmp_path_factory):
    """A package of each kind of network in turn."""
    return export_model(model, tmp_path_factory.mktemp("package") / "m.zip")


def test_every_kind_of_weights_gives_the_test_output(model, package, tmp_path, psnr):
    rdf, files = contents(package)
    source, result = rdf["inputs"][0], rdf["outputs"][0]
    noisy, clean = (
        np.load(io.BytesIO(files[f"test_{w}.npy"])) for w in ("input", "output")
    )
    x = scaled(noisy, source["preprocessing"])

    session = runtime.InferenceSession(files["weights.onnx"])
    by_onnx = session.run(None, {source["id"]: x})[0]
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.filterwarnings("ignore", message=r".*torch\.jit.*")
        by_script = torch.jit.load(io.BytesIO(files["weights.pt"]))(torch.from_numpy(x))
    weights = rdf["weights"]["pytorch_state_dict"]
    made = weights["architecture"]
    (tmp_path / "unet.py").write_bytes(files[made["source"]])
    spec = importlib.util.spec_from_file_location("theirs", tmp_path / "unet.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = getattr(module, made["callable"])(**made["kwargs"])
    state = torch.load(io.BytesIO(files[weights["source"]]), weights_only=True)
    network.load_state_dict(state)
    with torch.inference_mode():
        by_state = network(torch.from_numpy(x)).numpy()
    for raw in (by_onnx, by_script.numpy(), by_state):
        assert psnr(scaled(raw, result["postprocessing"]), clean) > 90
    for tensor, pixels in ((source, noisy), (result, clean)):
        assert pixels.dtype == np.float32
        assert len(tensor["axes"]) == pixels.ndim
        assert len(tensor["axes"][1]["channel_names"]) == pixels.shape[1]


def test_sizes_and_halo(model, package):
    rdf, files = contents(package)
    noisy = np.load(io.BytesIO(files["test_input.npy"]))
    ins, outs = (rdf[which][0]["axes"][2:] for which in ("inputs", "outputs"))
    assert [axis["id"] for axis in ins] == list("zyx"[-len(ins) :])
    for i, (before, after) in enumerate(zip(ins, outs, strict=True)):
        least, step = before["size"]["min"], before["size"]["step"]
        assert step == model.network.multiple[i]
        assert 0 <= after["halo"] - model.network.halo[i] < max(step, 2)
        assert after["halo"] % step == 0  # bioimageio.core pads by it
        assert after["halo"] % 2 == 0  # which bioimageio.spec 0.5.4 demands
        assert least % step == 0
        assert 2 * after["halo"] < least <= 2 * after["halo"] + step
        assert after["size"] == {"tensor_id": "raw", "axis_id": before["id"]}
        assert (noisy.shape[i + 2] - least) % step == 0


def test_sizes_of_pixels_that_were_trained_on(plain, tmp_path):
    sizes = ImageMetadata.of(
        None, {"Y": 0.25, "X": 0.059}, {"Y": "micrometer", "X": "parsec"}
    )
    model = replace(plain, provenance=replace(plain.provenance, pixel_size=sizes))
    rdf, _ = contents(export_model(model, tmp_path / "m.zip"))
    for which in ("inputs", "outputs"):
        y, x = rdf[which][0]["axes"][2:]
        assert (y["scale"], y["unit"]) == (0.25, "micrometer")
        assert x["scale"] == 0.059
        assert "unit" not in x  # none that the format knows
        for axis in (y, x) if which == "outputs" else ():
            assert axis["halo"] * axis["scale"] / axis["scale"] == axis["halo"]
    rdf, _ = contents(export_model(plain, tmp_path / "other.zip"))
    assert "scale" not in rdf["inputs"][0]["axes"][2]


def test_hashes_and_names(package):
    rdf, files = contents(package)
    said = {}

    def visit(value):
        if isinstance(value, dict):
            if "source" in value:
                said[value["source"]] = value["sha256"]
            for each in value.values():
                visit(each)
        elif isinstance(value, list):
            for each in value:
                visit(each)

    visit(rdf)
    # Readers before bioimageio.spec 0.5.12 take names of these alone.
    plain = {rdf["documentation"], *rdf["covers"]}
    assert plain == {"README.md", "cover.png"}
    assert said.keys() | plain == files.keys() - {"rdf.yaml"}
    for name, sha256 in said.items():
        assert hashlib.sha256(files[name]).hexdigest() == sha256
    parents = [weights.get("parent") for weights in rdf["weights"].values()]
    assert parents == [None, "pytorch_state_dict", "pytorch_state_dict"]


def test_back_to_the_bit(model, package):
    back = open_model(package)
    assert back.config == model.config
    assert back.normalization == model.normalization
    assert back.target_normalization == model.target_normalization
    assert (back.epochs, back.steps) == (model.epochs, model.steps)
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, back.network.state_dict()[name])


def test_the_cover_is_a_picture_twice_as_wide_as_high(plain, tmp_path):
    _, files = contents(export_model(plain, tmp_path / "m.zip"))
    cover = files["cover.png"]
    assert cover.startswith(b"\x89PNG\r\n\x1a\n")
    kinds, at = [], 8
    while at < len(cover):
        (size,) = struct.unpack(">I", cover[at : at + 4])
        kind, content = cover[at + 4 : at + 8], cover[at + 8 : at + 8 + size]
        (check,) = struct.unpack(">I", cover[at + 8 + size : at + 12 + size])
        assert check == zlib.crc32(kind + content)
        kinds.append(kind)
        if kind == b"IHDR":
            width, height, depth = struct.unpack(">IIB", content[:9])
        if kind == b"IDAT":
            rows = np.frombuffer(zlib.decompress(content), np.uint8)
        at += 12 + size
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]
    assert (width, height, depth) == (512, 256, 8)
    pixels = rows.reshape(height, width + 1)[:, 1:]
    assert np.ptp(pixels) == 255


ORCID = "0000-0002-1825-0097"  # the example of orcid.org


@pytest.fixture
def careamist(noisy, tiny_config):
    """A trained one, CPU and 32 bit."""
    config = tiny_config(num_steps=2)
    exact = config.training_config.replace(precision="32", device="cpu")
    careamist = CAREamist(config.replace(training_config=exact))
    careamist.train(train_source=noisy)
    return careamist


def test_what_people_write(careamist, noisy, tmp_path):
    path = careamist.export_to_bmz(
        tmp_path / "m.zip",
        "Cells (confocal)",
        noisy,
        [{"name": "A. Person", "affiliation": "Somewhere", "orcid": ORCID}],
        "Denoises cells.",
        "Forty **cells**.",
        channel_names=["DAPI"],
        model_version="1.2.0",
        license="MIT",
        tags=["nuclei", "denoising"],
        citations=[{"text": "Person et al. (2026), Cells", "doi": "10.1000/182"}],
        documentation="Only for *this* microscope.",
    )
    rdf, files = contents(path)
    assert rdf["name"] == "Cells (confocal)"
    assert rdf["authors"] == [
        {"name": "A. Person", "affiliation": "Somewhere", "orcid": ORCID}
    ]
    assert (rdf["description"], rdf["license"]) == ("Denoises cells.", "MIT")
    assert rdf["version"] == "1.2.0"
    assert rdf["inputs"][0]["axes"][1]["channel_names"] == ["DAPI"]
    dois = [one["doi"] for one in rdf["cite"]]
    assert dois[:2] == ["10.1000/182", "10.1109/CVPR.2019.00223"]
    assert rdf["tags"].count("denoising") == rdf["tags"].count("nuclei") == 1
    page = files["README.md"].decode()
    for said in ("Forty **cells**.", "Only for *this* microscope.", dois[0]):
        assert said in page
    assert "part of a real image" in page
    assert "## Validation" in page
    # the test input is the image, padded by reflection to the size that is needed
    test = np.load(io.BytesIO(files["test_input.npy"]))[0, 0]
    top, left = (256 - 48) // 2, (256 - 52) // 2
    assert np.array_equal(test[top : top + 48, left : left + 52], noisy)
    again = CAREamist(path)
    assert np.array_equal(again.predict(noisy), careamist.predict(noisy))


def test_a_large_image_gives_its_middle(plain, tmp_path):
    from napari_hush.io import Image

    pixels = np.arange(300 * 400, dtype=np.uint32).reshape(300, 400)
    image = Image.from_array(pixels, "YX")
    write_package(plain, tmp_path / "m.zip", image=image)
    _, files = contents(tmp_path / "m.zip")
    test = np.load(io.BytesIO(files["test_input.npy"]))
    assert np.array_equal(test[0, 0], pixels[22:278, 72:328].astype("float32"))


@pytest.mark.parametrize(
    ("stds", "step"),
    [
        ((20.0,), "fixed_zero_mean_unit_variance"),
        ((3e-6,), "fixed_zero_mean_unit_variance"),
        ((1e-9,), "scale_linear"),
    ],
)
def test_scaling_of_tiny_intensities(plain, stds, step):
    # the format knows no standard deviation below 1e-6
    model = Model(plain.config, plain.network, Normalization((1e-9,), stds))
    rdf = described(model, About(), NoHashes(), [], np.ones(1, "float32"))
    before = rdf["inputs"][0]["preprocessing"]
    assert [each["id"] for each in before] == [step]
    x = np.array([[[[0.0, 1e-9]]]])
    wanted = model.normalization.normalize(torch.from_numpy(x)).numpy()
    assert np.allclose(scaled(x, before), wanted, atol=1e-6)


class NoHashes(dict):
    def __missing__(self, name):
        return "0" * 64


def test_no_scaling_is_left_out(plain):
    # the format refuses a scaling that changes nothing
    none = fit_normalization(
        NoNormalizationConfig(), type("S", (), {"mean": [0.0]})(), "the data"
    )
    model = Model(plain.config, plain.network, none)
    rdf = described(model, About(), NoHashes(), [], np.ones(1, "float32"))
    assert rdf["outputs"][0]["postprocessing"] == []


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"name": "a/b: c"}, "model name 'a/b: c' cannot be used"),
        ({"name": "abc"}, "5 to 128"),
        ({"authors": ({"affiliation": "x"},)}, "Author 1 has no name"),
        ({"authors": ({"name": "a"}, {"name": "b/c"})}, "of author 2 .* slash"),
        ({"authors": ({"name": "x", "mail": "y"},)}, "unknown entry 'mail'"),
        ({"authors": ({"name": "x", "orcid": ORCID[::-1]},)}, "of x has a typing error"),
        ({"description": "x" * 1025}, "has 1025 characters"),
        ({"citations": ({"text": "x", "doi": "doi.org"},)}, "DOI 'doi.org' .* not valid"),
        ({"citations": ({"doi": "10.1000/182"},)}, "has no text"),
        ({"version": "one"}, "such as '0.1.0'"),
        ({"license": "do what you want"}, "not an SPDX identifier"),
        ({"channel_names": ("a b",)}, "letters, digits and underscores"),
    ],
)
def test_what_cannot_be_written(about, message):
    with pytest.raises(ConfigurationError, match=message):
        About(**about)


@pytest.mark.parametrize(
    ("orcid", "valid"),
    [
        (ORCID, True),
        ("0000-0001-5109-3700", True),
        ("0000-0002-1694-233X", True),
        ("0000-0002-1825-0079", False),  # two digits are swapped
        ("0000-0002-1694-2330", False),
        ("0000-0002-1825-009", False),
        (ORCID.replace("-", ""), False),
        (f"https://orcid.org/{ORCID}", False),
        (ORCID + "\n", False),
    ],
)
def test_the_check_digit_of_an_orcid(orcid, valid):
    assert is_orcid(orcid) is valid


def test_the_center_of_a_stack_is_shown_not_its_first_plane(plain, tmp_path):
    planes = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((5, 300, 300))
    careamist = CAREamist(plain)
    careamist.export_to_bmz(tmp_path / "m.zip", input_array=planes, axes="TYX")
    _, files = contents(tmp_path / "m.zip")
    assert (np.load(io.BytesIO(files["test_input.npy"])) == 2).all()


def test_refusals(careamist, plain, noisy, tmp_path):
    path = tmp_path / "m.zip"
    with pytest.raises(TrainingError, match="no model yet"):
        CAREamist(plain.config).export_to_bmz(path)
    with pytest.raises(ModelFileError, match=r"end the name in \.zip"):
        careamist.export_to_bmz(tmp_path / "m.tar")
    with pytest.raises(ConfigurationError, match="2 channel names were given"):
        careamist.export_to_bmz(path, channel_names=["a", "b"])
    with pytest.raises(MissingFileError, match="no cover image"):
        careamist.export_to_bmz(path, covers=[tmp_path / "c.png"])
    (tmp_path / "c.txt").write_text("a picture")
    with pytest.raises(ConfigurationError, match="PNG, JPEG or GIF"):
        careamist.export_to_bmz(path, covers=[tmp_path / "c.txt"])
    with pytest.raises(DataError):
        careamist.export_to_bmz(path, input_array=np.stack([noisy, noisy]))
    with pytest.raises(DataError, match="NaN"):
        careamist.export_to_bmz(path, input_array=np.full_like(noisy, np.nan))
    assert not path.exists()
    path.write_bytes(b"mine")
    with pytest.raises(ExistingFileError, match="already exists"):
        careamist.export_to_bmz(path)
    assert path.read_bytes() == b"mine"
    careamist.export_to_bmz(path, overwrite=True)
    assert open_model(path).config == careamist.config
