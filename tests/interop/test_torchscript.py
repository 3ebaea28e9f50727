import warnings

import numpy as np
import pytest
import torch

from napari_hush.errors import ExistingFileError, ModelFileError
from napari_hush.interop import export_model, write_torchscript


def load(path):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit.*")
        return torch.jit.load(path)


@pytest.mark.parametrize(("batch", "extra"), [(1, 3), (3, 5)])
def test_the_same_picture(model, tmp_path, intensities, denoised, psnr, batch, extra):
    network = load(export_model(model, tmp_path / "m.pt"))
    pixels = intensities(model, batch, extra)
    with torch.inference_mode():
        result = network(torch.from_numpy(pixels)).numpy()
    assert psnr(result, denoised(model, pixels)) > 100


def test_pictures_much_larger_than_what_was_traced(plain, tmp_path):
    network = load(export_model(plain, tmp_path / "m.pt"))
    pixels = np.random.default_rng(0).normal(100, 9, (1, 1, 4400, 16)).astype("float32")
    with torch.inference_mode():
        tall = network(torch.from_numpy(pixels)).numpy()
        top = network(torch.from_numpy(pixels[..., :400, :])).numpy()
    np.testing.assert_allclose(tall[..., :300, :], top[..., :300, :], rtol=1e-4)


def test_without_scaling(plain, tmp_path, intensities):
    write_torchscript(plain, tmp_path / "m.pt", scaled=False)
    pixels = torch.from_numpy(intensities(plain))
    with torch.inference_mode():
        difference = load(tmp_path / "m.pt")(pixels) - plain.network(pixels)
    assert difference.abs().max() < 1e-4


def test_the_model_stays_as_it_was(plain, tmp_path):
    before = {name: value.clone() for name, value in plain.network.state_dict().items()}
    export_model(plain, tmp_path / "m.pt")
    assert before.keys() == plain.network.state_dict().keys()
    for name, value in plain.network.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("name", ["m.pth", "m", "m.tif"])
def test_only_known_endings(plain, tmp_path, name):
    with pytest.raises(ModelFileError, match=r"end the name in \.onnx"):
        export_model(plain, tmp_path / name)


def test_nothing_is_replaced_unasked(plain, tmp_path):
    (tmp_path / "m.pt").write_bytes(b"mine")
    with pytest.raises(ExistingFileError, match="already exists"):
        export_model(plain, tmp_path / "m.pt")
    assert (tmp_path / "m.pt").read_bytes() == b"mine"
    export_model(plain, tmp_path / "m.pt", overwrite=True)
    pixels = torch.zeros((1, 1, 16, 16))
    assert np.isfinite(load(tmp_path / "m.pt")(pixels).detach().numpy()).all()
    assert [path.name for path in tmp_path.iterdir()] == ["m.pt"]
